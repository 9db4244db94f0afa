//! Pixels and classes of an arrangement.

use tk_engine::cpu::Machine;
use tk_engine::cpu::kernels::Accumulate;
use tk_engine::cpu::kernels::resize::{Taps, resize};

use super::{Arrangement, Frame, Input};
use crate::data::{Picture, Region, Size, resize_region};

/// The pixels of an arrangement within a frame, `[height, width, 3]`, u8, without padding. What no tile covers has the mean colour.
///
/// # Panics
/// When a tile reaches beyond its picture or the frame.
pub fn paint(arrangement: &Arrangement, pictures: &[&Picture], frame: &Frame, input: &Input) -> Vec<u8> {
    let [height, width] = frame.size;
    let mean = input.mean.map(|mean| (mean * 255.0).round().clamp(0.0, 255.0) as u8);
    let mut pixels: Vec<u8> = mean.iter().copied().cycle().take(3 * height * width).collect();
    for tile in &arrangement.tiles {
        let size = Size { width: tile.target.width, height: tile.target.height };
        let picture = pictures[tile.picture];
        let part = match input.is_aliased {
            true => aliased(picture, tile.source, size),
            false => resize_region(picture, tile.source, size, input.interpolation),
        };
        for (from, row) in
            part.chunks_exact(3 * size.width as usize).zip(rows(&mut pixels, 3 * width, tile.target, 3))
        {
            row.copy_from_slice(from);
        }
    }
    if arrangement.is_mirrored {
        pixels.chunks_exact_mut(3 * width).for_each(mirror::<3>);
    }
    pixels
}

/// The classes of an arrangement within a frame, `[height, width]`: those of the nearest pixels of maps that are as large as their pictures.
/// What no tile covers is `otherwise`.
///
/// # Panics
/// When a tile reaches beyond its map or the frame.
pub fn paint_classes(
    arrangement: &Arrangement,
    maps: &[(&[u8], usize)],
    frame: &Frame,
    otherwise: u8,
) -> Vec<u8> {
    let [height, width] = frame.size;
    let mut classes = vec![otherwise; height * width];
    for tile in &arrangement.tiles {
        let (map, map_width) = maps[tile.picture];
        let nearest = |at: usize, [from, source, target]: [u32; 3]| {
            from as usize + ((at as f64 + 0.5) * f64::from(source) / f64::from(target)) as usize
        };
        let Region { left, top, width: across, height: down } = tile.source;
        for (y, row) in rows(&mut classes, width, tile.target, 1).enumerate() {
            let source = map_width * nearest(y, [top, down, tile.target.height]);
            for (x, class) in row.iter_mut().enumerate() {
                *class = map[source + nearest(x, [left, across, tile.target.width])];
            }
        }
    }
    if arrangement.is_mirrored {
        classes.chunks_exact_mut(width).for_each(mirror::<1>);
    }
    classes
}

/// A part of a picture at another size, each pixel from the four around it (PyTorch's `interpolate` without antialiasing).
fn aliased(picture: &Picture, source: Region, size: Size) -> Vec<u8> {
    let stride = 3 * picture.width() as usize;
    let columns = 3 * source.left as usize..3 * (source.left + source.width) as usize;
    let rows = picture.pixels().chunks_exact(stride).skip(source.top as usize).take(source.height as usize);
    let pixels: Vec<f32> = rows.flat_map(|row| &row[columns.clone()]).map(|&byte| f32::from(byte)).collect();
    let taps = |from: u32, to: u32| Taps::linear(from as usize, to as usize);
    let (down, across) = (taps(source.height, size.height), taps(source.width, size.width));
    let mut resized = vec![0.0; 3 * down.len() * across.len()];
    resize(&Machine::new(1), [&down, &across], 3, &pixels, &mut resized, Accumulate::Overwrite);
    resized.into_iter().map(|value| value.round().clamp(0.0, 255.0) as u8).collect()
}

/// The rows of a region of `[height, stride]` numbers, of which each place has so many.
fn rows(numbers: &mut [u8], stride: usize, region: Region, each: usize) -> impl Iterator<Item = &mut [u8]> {
    let columns = each * region.left as usize..each * (region.left + region.width) as usize;
    let rows = numbers.chunks_exact_mut(stride).skip(region.top as usize).take(region.height as usize);
    rows.map(move |row| &mut row[columns.clone()])
}

/// A row with its places, of so many numbers each, in reverse.
fn mirror<const EACH: usize>(row: &mut [u8]) {
    let middle = row.len() / EACH / 2 * EACH;
    let (left, right) = row.split_at_mut(middle);
    for (a, b) in left.chunks_exact_mut(EACH).zip(right.rchunks_exact_mut(EACH)) {
        a.swap_with_slice(b);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::{Framing, Tile};
    use super::*;
    use crate::data::Interpolation;

    fn input() -> Input {
        let framing = Framing::Exact { height: 2, width: 6 };
        Input {
            framing,
            interpolation: Interpolation::Bilinear,
            is_aliased: false,
            mean: [0.5; 3],
            std: [1.0; 3],
        }
    }

    #[test]
    fn aliased_pixels_are_those_of_four_neighbours() {
        // F.interpolate of [[0, 20, 40, 60], [80, 100, 120, 140], [160, 180, 200, 220]] to 2 × 2, bilinear, no antialiasing.
        let pixels: Vec<u8> = (0..12).flat_map(|at| [at * 20; 3]).collect();
        let picture = Picture::rgb8(4, 3, &pixels).unwrap();
        let found = aliased(&picture, Region::whole(&picture), Size { width: 2, height: 2 });
        assert_eq!(found.iter().step_by(3).copied().collect::<Vec<u8>>(), [30, 70, 150, 190]);
    }

    #[test]
    fn pixels_and_classes_go_the_same_way() {
        let values: Vec<u8> = (0..12).map(|at| at * 20).collect();
        let pixels: Vec<u8> = values.iter().flat_map(|&value| [value; 3]).collect();
        let picture = Picture::rgb8(4, 3, &pixels).unwrap();
        let tile = Tile {
            picture: 0,
            source: Region { left: 1, top: 1, width: 3, height: 2 },
            target: Region { left: 2, top: 0, width: 3, height: 2 },
        };
        let frame = Frame { size: [2, 6], padded: [2, 6] };
        for is_mirrored in [false, true] {
            let arrangement = Arrangement { tiles: vec![tile], is_mirrored, width: 6 };
            let painted = paint(&arrangement, &[&picture], &frame, &input());
            let classes = paint_classes(&arrangement, &[(&values, 4)], &frame, 128);
            assert_eq!(painted.iter().step_by(3).copied().collect::<Vec<u8>>(), classes, "{is_mirrored}");
            let first =
                if is_mirrored { [128, 140, 120, 100, 128, 128] } else { [128, 128, 100, 120, 140, 128] };
            assert_eq!(classes[..6], first);
        }
    }
}
