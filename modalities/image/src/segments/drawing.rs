//! Objects that are drawn onto a map of classes: outlines and runs of one picture.

use super::error::MaskError;
use super::{ClassMap, IGNORED};
use crate::annotations::Segmentation;
use crate::masks::Mask;

/// What is annotated in one picture.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Drawing {
    /// The name of the file that says it.
    pub source: String,
    /// Width and height of the picture that was annotated, where they are stated.
    pub stated: Option<[u32; 2]>,
    /// Later ones are drawn over earlier ones.
    pub objects: Vec<Drawn>,
}

/// One object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Drawn {
    /// What it is called to the user.
    pub name: String,
    /// Its class, which is not 0.
    pub class: u8,
    /// Whether it is many objects in one: then it hides background alone, and is [`IGNORED`].
    pub is_crowd: bool,
    pub shape: Segmentation,
}

impl Drawing {
    /// Width and height of the picture that was annotated, where something says them.
    pub fn size(&self) -> Option<[u32; 2]> {
        let of_runs = |drawn: &Drawn| match drawn.shape {
            Segmentation::Runs { size: [height, width], .. } => {
                Some([u32::try_from(width).ok()?, u32::try_from(height).ok()?])
            }
            Segmentation::Polygons(_) => None,
        };
        self.stated.or_else(|| self.objects.iter().find_map(of_runs))
    }

    /// The classes of a picture of that size: 0 where nothing is.
    ///
    /// # Errors
    /// An outline or runs are damaged, or of another size.
    pub fn map(&self, [width, height]: [u32; 2]) -> Result<ClassMap, MaskError> {
        let mut classes = vec![0; width as usize * height as usize];
        for drawn in self.objects.iter().filter(|drawn| !drawn.is_crowd) {
            paint(&mut classes, &drawn.mask([width, height])?, |_| drawn.class);
        }
        for crowd in self.objects.iter().filter(|drawn| drawn.is_crowd) {
            paint(
                &mut classes,
                &crowd.mask([width, height])?,
                |class| if class == 0 { IGNORED } else { class },
            );
        }
        ClassMap::new(width, height, classes)
    }
}

impl Drawn {
    fn mask(&self, [width, height]: [u32; 2]) -> Result<Mask, MaskError> {
        let wrong = |reason: String| MaskError::Annotation { annotation: self.name.clone(), reason };
        let (width, height) = (width as usize, height as usize);
        match &self.shape {
            Segmentation::Polygons(outlines) => {
                Mask::from_outlines(height, width, outlines).map_err(|error| wrong(error.to_string()))
            }
            Segmentation::Runs { size, .. } if *size != [height, width] => {
                let [its_height, its_width] = size;
                let reason = format!(
                    "its runs are of {its_width}×{its_height} pixels, and the picture of {width}×{height}"
                );
                Err(wrong(reason))
            }
            Segmentation::Runs { counts, .. } => {
                counts.mask(height, width).map_err(|error| wrong(error.to_string()))
            }
        }
    }
}

/// Changes the classes, `[height, width]`, of what is inside a mask of their size.
fn paint(classes: &mut [u8], mask: &Mask, change: impl Fn(u8) -> u8) {
    let [height, width] = mask.size();
    let mut place = 0;
    for (run, &length) in mask.runs().iter().enumerate() {
        // Runs go down the columns, outside and inside in turn.
        if run % 2 == 1 {
            for inside in place..place + length {
                let class = &mut classes[inside % height * width + inside / height];
                *class = change(*class);
            }
        }
        place += length;
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::annotations::Runs;

    fn drawn(class: u8, is_crowd: bool, shape: Segmentation) -> Drawn {
        Drawn { name: format!("annotation {class}"), class, is_crowd, shape }
    }

    fn rectangle([left, top, right, bottom]: [f64; 4]) -> Segmentation {
        Segmentation::Polygons(vec![vec![left, top, right, top, right, bottom, left, bottom]])
    }

    fn runs(size: [usize; 2], counts: &[usize]) -> Segmentation {
        Segmentation::Runs { size, counts: Runs::List(counts.to_vec()) }
    }

    #[test]
    fn later_objects_hide_earlier_ones_and_crowds_hide_nothing() {
        let packed = Mask::from_pixels(4, &[0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0]).packed();
        let drawing = Drawing {
            source: String::new(),
            stated: None,
            objects: vec![
                // A crowd in the lower row, though it stands first.
                drawn(9, true, runs([3, 4], &[2, 1, 2, 1, 2, 1, 2, 1])),
                drawn(1, false, rectangle([0.0, 0.0, 3.0, 2.0])),
                drawn(2, false, Segmentation::Runs { size: [3, 4], counts: Runs::Packed(packed) }),
            ],
        };
        assert_eq!(drawing.size(), Some([4, 3]));
        let map = drawing.map([4, 3]).unwrap();
        let (one, two, crowd) = (1, 2, IGNORED);
        assert_eq!(map.classes(), [one, one, two, 0, one, one, two, 0, crowd, crowd, two, crowd]);
        let empty = Drawing { stated: Some([2, 1]), objects: Vec::new(), ..drawing };
        assert_eq!((empty.size(), empty.map([2, 1]).unwrap().classes()), (Some([2, 1]), &[0, 0][..]));
    }

    #[test]
    fn what_cannot_be_drawn_is_told() {
        for (shape, expected) in [
            (
                Segmentation::Polygons(vec![vec![0.0, 1.0, 2.0, 3.0]]),
                "annotation 1: an outline of 4 numbers; expected x and y of at least three corners",
            ),
            (runs([3, 5], &[15]), "annotation 1: its runs are of 5×3 pixels, and the picture of 4×3"),
            (runs([3, 4], &[11]), "annotation 1: its runs cover 11 pixels, and 3 × 4 are 12"),
        ] {
            let drawing =
                Drawing { source: String::new(), stated: None, objects: vec![drawn(1, false, shape)] };
            assert_eq!(drawing.map([4, 3]).unwrap_err().to_string(), expected);
        }
    }
}
