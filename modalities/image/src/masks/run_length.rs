//! Masks as lengths of runs, column by column, and the text that COCO packs them into (`maskApi.c` of pycocotools is the reference).

/// A mask: how many pixels are outside, then inside, then outside …, walking down each column from the left one on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    height: usize,
    width: usize,
    runs: Vec<usize>,
}

/// Runs that are no mask.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunsError {
    /// They cover another area.
    #[error("its runs cover {found} pixels, and {height} × {width} are {expected}", expected = height * width)]
    Area {
        /// The mask's height.
        height: usize,
        /// The mask's width.
        width: usize,
        /// The sum of the runs.
        found: usize,
    },
    /// Packed text with something else in it.
    #[error("its packed runs hold `{}` at place {place}, which stands for nothing", found.escape_default())]
    Character {
        /// What stands there.
        found: char,
        /// Where, from 0.
        place: usize,
    },
    /// Packed text that ends within a number, or holds a run below 0 or beyond what can be counted.
    #[error("its packed runs are cut off or no lengths, from run {run} on")]
    Length {
        /// Which, from 0.
        run: usize,
    },
}

impl Mask {
    /// A mask of runs.
    ///
    /// # Errors
    /// When they do not cover the area.
    pub fn from_runs(height: usize, width: usize, runs: Vec<usize>) -> Result<Self, RunsError> {
        let found = runs.iter().fold(0usize, |sum, &run| sum.saturating_add(run));
        match height.checked_mul(width) == Some(found) {
            true => Ok(Self { height, width, runs }),
            false => Err(RunsError::Area { height, width, found }),
        }
    }

    /// A mask of the rows of its pixels, `[height, width]`; what is not 0 is inside.
    ///
    /// # Panics
    /// When there are not whole rows.
    pub fn from_pixels(width: usize, pixels: &[u8]) -> Self {
        let height = pixels.len().checked_div(width).unwrap_or(0);
        assert_eq!(height * width, pixels.len(), "rows of {width} pixels");
        let down =
            (0..width).flat_map(|column| (0..height).map(move |row| pixels[row * width + column] != 0));
        let (mut runs, mut is_inside) = (vec![0], false);
        for pixel in down {
            if pixel != is_inside {
                is_inside = pixel;
                runs.push(0);
            }
            if let Some(last) = runs.last_mut() {
                *last += 1;
            }
        }
        Self { height, width, runs }
    }

    /// The mask that begins and ends at these places, counted down the columns: from each first to each second pixel, in pairs. Places that
    /// come twice cancel each other.
    pub(super) fn from_borders(height: usize, width: usize, mut borders: Vec<usize>) -> Self {
        borders.sort_unstable();
        borders.push(height * width);
        let mut runs: Vec<usize> = Vec::with_capacity(borders.len());
        let (mut before, mut joins) = (0, false);
        for border in borders {
            let run = border - before;
            before = border;
            // An empty run joins its neighbours; only the first may be empty.
            match runs.last_mut() {
                Some(last) if joins => {
                    *last += run;
                    joins = false;
                }
                Some(_) if run == 0 => joins = true,
                _ => runs.push(run),
            }
        }
        Self { height, width, runs }
    }

    /// A mask of packed text.
    ///
    /// # Errors
    /// When the text holds something else, or runs that do not cover the area.
    pub fn from_packed(height: usize, width: usize, packed: &str) -> Result<Self, RunsError> {
        let mut runs: Vec<i64> = Vec::new();
        let (mut number, mut shift) = (0i64, 0u32);
        for (place, found) in packed.chars().enumerate() {
            let bits = match found {
                '0'..='o' => i64::from(u32::from(found) - 48),
                _ => return Err(RunsError::Character { found, place }),
            };
            let run = runs.len();
            if shift > 50 {
                return Err(RunsError::Length { run });
            }
            number |= (bits & 31) << shift;
            shift += 5;
            if bits & 32 != 0 {
                continue;
            }
            // The fifth bit of the last piece is the sign.
            if bits & 16 != 0 {
                number |= -1 << shift;
            }
            // From the fourth run on the difference to the run before the last is written.
            let before = if run > 2 { runs[run - 2] } else { 0 };
            let length = number.checked_add(before).filter(|length| *length >= 0);
            runs.push(length.ok_or(RunsError::Length { run })?);
            (number, shift) = (0, 0);
        }
        if shift > 0 {
            return Err(RunsError::Length { run: runs.len() });
        }
        Self::from_runs(height, width, runs.into_iter().map(|run| run as usize).collect())
    }

    /// The packed text.
    pub fn packed(&self) -> String {
        let mut text = String::new();
        for (run, &length) in self.runs.iter().enumerate() {
            let before = if run > 2 { self.runs[run - 2] as i64 } else { 0 };
            let mut number = length as i64 - before;
            loop {
                let bits = number & 31;
                number >>= 5;
                let is_last = if bits & 16 != 0 { number == -1 } else { number == 0 };
                let piece = if is_last { bits } else { bits | 32 };
                text.push(char::from(piece as u8 + 48));
                if is_last {
                    break;
                }
            }
        }
        text
    }

    /// Height and width.
    pub fn size(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// The lengths of its runs.
    pub fn runs(&self) -> &[usize] {
        &self.runs
    }

    /// The rows of its pixels, `[height, width]`: 1 inside and 0 outside.
    pub fn pixels(&self) -> Vec<u8> {
        let mut pixels = vec![0; self.height * self.width];
        for place in self.inside().flatten() {
            pixels[place % self.height * self.width + place / self.height] = 1;
        }
        pixels
    }

    /// How many pixels are inside.
    pub fn area(&self) -> usize {
        self.inside().map(|run| run.len()).sum()
    }

    /// Left, top, width, height of what is inside; zeros where nothing is.
    pub fn bounds(&self) -> [usize; 4] {
        let (mut left, mut right, mut top, mut bottom) = (self.width, 0, self.height, 0);
        for run in self.inside().filter(|run| !run.is_empty()) {
            let (first, last) = (run.start, run.end - 1);
            (left, right) = (left.min(first / self.height), right.max(last / self.height + 1));
            match first / self.height == last / self.height {
                true => {
                    (top, bottom) = (top.min(first % self.height), bottom.max(last % self.height + 1));
                }
                // It goes round the lower end of a column.
                false => (top, bottom) = (0, self.height),
            }
        }
        if right == 0 { [0; 4] } else { [left, top, right - left, bottom - top] }
    }

    /// The mask of what is in any of some masks of one size.
    ///
    /// # Panics
    /// When there are none, or their sizes differ.
    pub fn union(masks: &[Self]) -> Self {
        let Some(first) = masks.first() else { panic!("at least one mask") };
        assert!(masks.iter().all(|mask| mask.size() == first.size()), "masks of one size");
        let mut inside: Vec<std::ops::Range<usize>> = masks.iter().flat_map(Self::inside).collect();
        inside.sort_by_key(|run| run.start);
        let (mut borders, mut end) = (Vec::new(), 0);
        for run in inside.into_iter().filter(|run| !run.is_empty()) {
            if borders.is_empty() || run.start > end {
                if !borders.is_empty() {
                    borders.push(end);
                }
                borders.push(run.start);
                end = run.end;
            }
            end = end.max(run.end);
        }
        if !borders.is_empty() {
            borders.push(end);
        }
        Self::from_borders(first.height, first.width, borders)
    }

    /// The places of its inner runs, counted down the columns.
    fn inside(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let mut end = 0;
        self.runs.iter().enumerate().filter_map(move |(run, &length)| {
            let start = end;
            end += length;
            (run % 2 == 1).then_some(start..end)
        })
    }
}
