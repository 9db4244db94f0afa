//! What is in pictures, as a detector learns it, and how a batch carries it.

use tk_engine::{EngineError, Result, Tensor};

use super::Corners;

/// An object of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// Its class.
    pub class: usize,
    /// Its box, in pixels of the network's input.
    pub corners: Corners,
    /// Whether it stands for many that were not told apart: nothing is learned from it, and finding it is no mistake.
    pub is_crowd: bool,
}

/// The objects of the pictures of a batch, and how large each picture is within its padding.
#[derive(Clone, Debug, PartialEq)]
pub struct Truths {
    /// Of each picture.
    pub objects: Vec<Vec<Truth>>,
    /// Height and width of each picture in pixels.
    pub sizes: Vec<[usize; 2]>,
    /// Height and width of the batch, which all are padded to.
    pub padded: [usize; 2],
}

/// Numbers for an object: class, left, top, right, bottom, whether it is a crowd.
const NUMBERS: usize = 6;

/// In place of a class, behind a picture's last object.
const NO_OBJECT: f32 = -1.0;

impl Truths {
    /// As targets of a batch: objects `[batch, most, 6]`, and sizes `[batch, 4]`: height and width, each of the picture and of the batch.
    ///
    /// # Errors
    /// When there are no pictures.
    pub fn to_targets(&self) -> Result<Vec<Tensor>> {
        let (batch, most) = (self.objects.len(), self.objects.iter().map(Vec::len).max().unwrap_or(0).max(1));
        let mut objects = vec![NO_OBJECT; batch * most * NUMBERS];
        for (row, own) in objects.chunks_exact_mut(most * NUMBERS).zip(&self.objects) {
            for (numbers, object) in row.chunks_exact_mut(NUMBERS).zip(own) {
                let [left, top, right, bottom] = object.corners.0;
                // Classes and sizes are below 2²⁴ and exact in f32.
                let crowd = f32::from(u8::from(object.is_crowd));
                numbers.copy_from_slice(&[object.class as f32, left, top, right, bottom, crowd]);
            }
        }
        let padded = self.padded.map(|side| side as f32);
        let sizes: Vec<f32> = self
            .sizes
            .iter()
            .flat_map(|size| [size[0] as f32, size[1] as f32, padded[0], padded[1]])
            .collect();
        Ok(vec![Tensor::new(&[batch, most, NUMBERS], objects)?, Tensor::new(&[batch, 4], sizes)?])
    }

    /// What [`Truths::to_targets`] wrote.
    ///
    /// # Errors
    /// When the tensors are none of these.
    pub fn from_targets(targets: &[Tensor]) -> Result<Self> {
        let misfit = || EngineError::Tensor {
            what: "targets of detection".into(),
            expected: "objects [batch, most, 6] and sizes [batch, 4]".into(),
            found: format!("{:?}", targets.iter().map(Tensor::shape).collect::<Vec<_>>()),
        };
        let [objects, sizes] = targets else { return Err(misfit()) };
        let (&[batch, most, NUMBERS], &[rows, 4]) = (objects.shape(), sizes.shape()) else {
            return Err(misfit());
        };
        if rows != batch || batch == 0 {
            return Err(misfit());
        }
        let of = |numbers: &[f32]| match *numbers {
            [class, left, top, right, bottom, crowd] if class >= 0.0 => Some(Truth {
                class: class as usize,
                corners: Corners([left, top, right, bottom]),
                is_crowd: crowd > 0.0,
            }),
            _ => None,
        };
        let rows = objects.as_f32()?.chunks_exact((most * NUMBERS).max(1));
        let objects = rows.map(|row| row.chunks_exact(NUMBERS).map_while(of).collect()).collect();
        let sides: Vec<usize> = sizes.as_f32()?.iter().map(|&side| side as usize).collect();
        let sizes = sides.chunks_exact(4).map(|of| [of[0], of[1]]).collect();
        Ok(Self { objects, sizes, padded: [sides[2], sides[3]] })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn targets_are_read_as_they_were_written() {
        let object = |class, is_crowd| Truth { class, corners: Corners([1.0, 2.0, 30.5, 4.25]), is_crowd };
        let truths = Truths {
            objects: vec![vec![object(0, false), object(7, true)], Vec::new(), vec![object(2, false)]],
            sizes: vec![[300, 320], [320, 200], [64, 64]],
            padded: [320, 320],
        };
        assert_eq!(Truths::from_targets(&truths.to_targets().unwrap()).unwrap(), truths);
        let empty = Truths { objects: vec![Vec::new()], sizes: vec![[32, 32]], padded: [32, 32] };
        assert_eq!(Truths::from_targets(&empty.to_targets().unwrap()).unwrap(), empty);
        assert!(Truths::from_targets(&[Tensor::zeros(&[1, 2, 5]), Tensor::zeros(&[1, 4])]).is_err());
    }
}
