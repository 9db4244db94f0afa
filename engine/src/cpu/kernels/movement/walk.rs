//! How operands lie in a result of another shape.

/// A walk over a result, in its order, with `N` operands: the result is rows of `run` numbers, and within a row each operand moves by
/// a constant step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk<const N: usize> {
    /// Numbers of a row.
    pub(super) run: usize,
    /// How far each operand moves from one number of a row to the next.
    pub(super) steps: [usize; N],
    /// The axes before a row, outermost first, with the strides of the operands.
    leading: Vec<(usize, [usize; N])>,
}

impl<const N: usize> Walk<N> {
    /// A walk over `full` with operands that broadcast to it as NumPy has it: each axis, counted from the last, full or 1.
    ///
    /// # Panics
    /// When a shape does not broadcast.
    pub fn broadcast(full: &[usize], parts: [&[usize]; N]) -> Self {
        let strides = parts.map(|part| {
            assert!(part.len() <= full.len(), "{part:?} does not broadcast to {full:?}");
            let missing = full.len() - part.len();
            let mut strides = vec![0; full.len()];
            let mut stride = 1;
            for axis in (0..part.len()).rev() {
                let size = part[axis];
                assert!(size == 1 || size == full[missing + axis], "{part:?} does not broadcast to {full:?}");
                strides[missing + axis] = if size == 1 { 0 } else { stride };
                stride *= size;
            }
            strides
        });
        Self::strided(full, &strides)
    }

    fn strided(full: &[usize], strides: &[Vec<usize>; N]) -> Self {
        let axes: Vec<(usize, [usize; N])> = (0..full.len())
            .filter(|&axis| full[axis] != 1)
            .map(|axis| (full[axis], std::array::from_fn(|operand| strides[operand][axis])))
            .collect();
        let Some((&(mut run, steps), mut leading)) = axes.split_last() else {
            return Self { run: 1, steps: [0; N], leading: Vec::new() };
        };
        // An axis joins the row when every operand goes on as it does within the row.
        while let Some((&(size, strides), before)) = leading.split_last()
            && (0..N).all(|operand| strides[operand] == run * steps[operand])
        {
            run *= size;
            leading = before;
        }
        Self { run, steps, leading: leading.to_vec() }
    }

    /// Where each operand is at the start of a row.
    #[inline(always)]
    pub(super) fn start(&self, mut row: usize) -> [usize; N] {
        let mut start = [0; N];
        for &(size, strides) in self.leading.iter().rev() {
            let index = row % size;
            row /= size;
            for operand in 0..N {
                start[operand] += index * strides[operand];
            }
        }
        start
    }

    /// Panics unless the result and the operands have so many numbers.
    pub(super) fn check(&self, length: usize, operands: [usize; N]) {
        let rows: usize = self.leading.iter().map(|(size, _)| size).product();
        assert_eq!(length, rows * self.run, "walk: size of the result");
        for operand in 0..N {
            let reach = |(size, strides): &(usize, [usize; N])| size.saturating_sub(1) * strides[operand];
            let inner = self.run.saturating_sub(1) * self.steps[operand];
            let last = self.leading.iter().map(reach).sum::<usize>() + inner;
            assert!(length == 0 || operands[operand] > last, "walk: size of operand {operand}");
        }
    }
}

impl Walk<1> {
    /// A walk over the result of a permutation: axis `i` of the result is axis `order[i]` of an operand of this shape.
    ///
    /// # Panics
    /// When the order is not one of the shape's axes.
    pub fn permuted(shape: &[usize], order: &[usize]) -> Self {
        let mut strides = vec![1; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis] * shape[axis];
        }
        let full: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
        Self::strided(&full, &[order.iter().map(|&axis| strides[axis]).collect()])
    }

    /// The same walk with the operand twice.
    pub(super) fn twice(&self) -> Walk<2> {
        let both = |[one]: [usize; 1]| [one; 2];
        let leading = self.leading.iter().map(|&(size, strides)| (size, both(strides))).collect();
        Walk { run: self.run, steps: both(self.steps), leading }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_join_where_operands_go_on() {
        let walk = Walk::broadcast(&[2, 3, 4], [&[2, 3, 4], &[3, 4]]);
        assert_eq!((walk.run, walk.steps, walk.start(1)), (12, [1, 1], [12, 0]));
        let walk = Walk::broadcast(&[2, 3, 4], [&[2, 1, 1]]);
        assert_eq!((walk.run, walk.steps, walk.start(1)), (12, [0], [1]));
        let walk = Walk::broadcast(&[2, 3, 4], [&[3, 1], &[1]]);
        assert_eq!((walk.run, walk.steps, walk.start(5)), (4, [0, 0], [2, 0]));
        let walk = Walk::permuted(&[2, 3, 4], &[1, 0, 2]);
        assert_eq!((walk.run, walk.steps, walk.start(3)), (4, [1], [16]));
    }
}
