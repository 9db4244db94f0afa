//! Binding: the shape of every value, once the shapes of the inputs are known.

use super::{
    AdaptivePool, Attention, Dimension, Graph, Node, Op, Rotary, ShapeError, SliceRange, When, Window,
};

type Shape = Vec<usize>;

impl Graph {
    /// The shape of every node's value for the given input shapes.
    ///
    /// # Errors
    /// Names the first node whose inputs do not fit, with what it expected and found.
    pub fn infer(&self, inputs: &[Vec<usize>]) -> Result<Vec<Shape>, ShapeError> {
        let mut shapes: Vec<Shape> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let read: Vec<&[usize]> =
                node.inputs.iter().map(|input| shapes[input.index()].as_slice()).collect();
            let shape = match node.op {
                Op::Input(index) => self.input_shape(node, index, inputs)?,
                Op::Parameter(index) => self.parameters[index].shape.clone(),
                _ => infer(node, &read)?,
            };
            shapes.push(shape);
        }
        Ok(shapes)
    }

    fn input_shape(&self, node: &Node, index: usize, inputs: &[Shape]) -> Result<Shape, ShapeError> {
        let spec = &self.inputs[index];
        let Some(shape) = inputs.get(index) else {
            return Err(error(node, format!("{} inputs", self.inputs.len()), format!("{}", inputs.len())));
        };
        let fits = spec.rank.is_none_or(|rank| shape.len() == rank)
            && spec.channels.is_none_or(|channels| shape.last() == Some(&channels));
        if !fits || shape.contains(&0) {
            let last = spec.channels.map_or(String::new(), |channels| format!(" ending in {channels}"));
            return Err(error(
                node,
                format!(
                    "{}axes{last}, none empty",
                    spec.rank.map_or(String::new(), |rank| format!("{rank} "))
                ),
                format!("{shape:?}"),
            ));
        }
        Ok(shape.clone())
    }
}

fn infer(node: &Node, read: &[&[usize]]) -> Result<Shape, ShapeError> {
    let x = read.first().copied().unwrap_or_default();
    let need = |fits: bool, expected: &str| match fits {
        true => Ok(()),
        false => Err(error(node, expected.to_owned(), format!("{read:?}"))),
    };
    match &node.op {
        Op::Input(_) | Op::Parameter(_) => Ok(x.to_vec()),
        Op::Convolution(walk) => {
            let weight = read[1];
            need(
                matches!((x.len(), weight.len()), (4, 4) | (3, 3)),
                "[batch, height, width, in] or [batch, length, in]",
            )?;
            let fits = walk.groups > 0
                && x[x.len() - 1] == weight[1] * walk.groups
                && weight[0].is_multiple_of(walk.groups);
            need(fits, "as many channels as the weight takes")?;
            need(read.get(2).is_none_or(|bias| **bias == [weight[0]]), "a bias of the output's channels")?;
            let mut shape = vec![x[0]];
            for axis in 1..x.len() - 1 {
                // A single axis uses the horizontal settings.
                let side = if x.len() == 3 { 1 } else { axis - 1 };
                let span = walk.dilation[side] * (weight[axis + 1] - 1) + 1;
                let padded = x[axis] + walk.padding[2 * side] + walk.padding[2 * side + 1];
                need(padded >= span, "an input at least as large as the kernel")?;
                shape.push((padded - span) / walk.stride[side] + 1);
            }
            shape.push(weight[0]);
            Ok(shape)
        }
        Op::Linear => {
            let weight = read[1];
            need(weight.len() == 2 && x.last() == Some(&weight[1]), "[…, in] and a weight [out, in]")?;
            Ok([&x[..x.len() - 1], &[weight[0]]].concat())
        }
        Op::BatchNorm { .. } | Op::LayerNorm { .. } | Op::GroupNorm { .. } => {
            if let Op::GroupNorm { groups, .. } = node.op {
                need(x.len() > 2, "[batch, …, channels] with an axis between them")?;
                let divides = groups > 0 && x[x.len() - 1].is_multiple_of(groups);
                need(divides, &format!("channels that {groups} groups divide"))?;
            }
            need(
                read[1..].iter().all(|statistic| statistic.len() == 1 && statistic.last() == x.last()),
                "statistics of the last axis",
            )?;
            Ok(x.to_vec())
        }
        Op::Add | Op::Multiply | Op::Divide => broadcast(x, read[1])
            .ok_or_else(|| error(node, "shapes that broadcast".into(), format!("{read:?}"))),
        Op::Activation(_)
        | Op::Unary(_)
        | Op::Affine { .. }
        | Op::Softmax
        | Op::Dropout { .. }
        | Op::DropPath { .. } => Ok(x.to_vec()),
        Op::Reduce { axes, .. } => {
            need(axes.iter().all(|&axis| axis < x.len()), "axes that exist")?;
            Ok(x.iter()
                .enumerate()
                .map(|(axis, &size)| if axes.contains(&axis) { 1 } else { size })
                .collect())
        }
        Op::Concat { axis } => {
            let same = |other: &[usize]| {
                other.len() == x.len()
                    && other.iter().zip(x).enumerate().all(|(at, (a, b))| at == *axis || a == b)
            };
            need(
                *axis < x.len() && read.iter().all(|other| same(other)),
                "shapes equal but for the joined axis",
            )?;
            let mut shape = x.to_vec();
            shape[*axis] = read.iter().map(|other| other[*axis]).sum();
            Ok(shape)
        }
        Op::MaxPool(window) => pool(node, x, window),
        Op::AveragePool(pool_) => pool(node, x, &pool_.window),
        Op::GlobalAveragePool => {
            need(x.len() >= 3, "[batch, …, channels]")?;
            Ok(vec![x[0], x[x.len() - 1]])
        }
        Op::AdaptiveAveragePool(adaptive) => {
            need(x.len() == 4, "[batch, height, width, channels]")?;
            Ok(vec![x[0], adaptive_size(adaptive, 0, x[1]), adaptive_size(adaptive, 1, x[2]), x[3]])
        }
        Op::ResizeLike(_) => {
            need(x.len() == 4 && read[1].len() == 4, "two feature maps")?;
            Ok(vec![x[0], read[1][1], read[1][2], x[3]])
        }
        Op::MatMul { transpose_right } => {
            let (a, b, rank) = (x, read[1], x.len());
            need(
                rank >= 2 && b.len() == rank && a[..rank - 2] == b[..rank - 2],
                "matrices with equal leading axes",
            )?;
            let (inner, columns) =
                if *transpose_right { (b[rank - 1], b[rank - 2]) } else { (b[rank - 2], b[rank - 1]) };
            need(a[rank - 1] == inner, "equal inner axes")?;
            Ok([&a[..rank - 1], &[columns]].concat())
        }
        Op::Attention(attention) => {
            need(read.len() >= 3, "query, key and value")?;
            attention_shape(node, *attention, read)
        }
        Op::Rotary(Rotary { heads, base }) => {
            let fits = matches!(x, [_, _, width] if *heads > 0 && width.is_multiple_of(2 * heads));
            need(fits, &format!("[batch, length, width] of which each of {heads} heads has an even share"))?;
            need(base.is_finite() && *base > 0.0, "a base above 0")?;
            Ok(x.to_vec())
        }
        Op::ByDistance { columns } => {
            let &[.., length, count] = x else {
                return Err(error(node, "[…, length, columns]".into(), format!("{read:?}")));
            };
            need(!columns.len().is_multiple_of(2), "a column for each distance from −r to r")?;
            need(columns.iter().all(|&column| column < count), &format!("columns below {count}"))?;
            Ok([&x[..x.len() - 1], &[length]].concat())
        }
        Op::Gather => {
            need(read[1].len() == 2, "a table [rows, width]")?;
            Ok([x, &[read[1][1]]].concat())
        }
        Op::Slice { axis, range } => {
            need(*axis < x.len(), "an axis that exists")?;
            let (start, length) = match range {
                SliceRange::Fixed { start, length } => (*start, *length),
                SliceRange::Like { axis: like } => {
                    need(read.len() == 2 && *like < read[1].len(), "a second input with that axis")?;
                    (0, read[1][*like])
                }
            };
            need(start + length <= x[*axis], &format!("at least {} along axis {axis}", start + length))?;
            let mut shape = x.to_vec();
            shape[*axis] = length;
            Ok(shape)
        }
        Op::ExpandLike { axis } => {
            need(
                x.get(*axis) == Some(&1) && read[1].len() > *axis,
                "an axis of size 1 that the second has too",
            )?;
            let mut shape = x.to_vec();
            shape[*axis] = read[1][*axis];
            Ok(shape)
        }
        Op::Permute(order) => {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            need(sorted.iter().copied().eq(0..x.len()), "each axis once")?;
            Ok(order.iter().map(|&axis| x[axis]).collect())
        }
        Op::Reshape(dimensions) => reshape(x, dimensions)
            .ok_or_else(|| error(node, format!("a shape that {dimensions:?} divides"), format!("{x:?}"))),
    }
}

/// NumPy's broadcasting of two shapes.
fn broadcast(a: &[usize], b: &[usize]) -> Option<Shape> {
    let rank = a.len().max(b.len());
    let at =
        |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |index| shape[index]);
    (0..rank)
        .map(|axis| match (at(a, axis), at(b, axis)) {
            (left, right) if left == right => Some(left),
            (1, size) | (size, 1) => Some(size),
            _ => None,
        })
        .collect()
}

/// The shape of attention's value: that of its query.
fn attention_shape(node: &Node, attention: Attention, read: &[&[usize]]) -> Result<Shape, ShapeError> {
    let expected = |expected: String| error(node, expected, format!("{read:?}"));
    let (&[batch, query, width], &[key_batch, key, key_width]) = (read[0], read[1]) else {
        return Err(expected("query, key and value [batch, length, width]".into()));
    };
    if (key_batch, key_width) != (batch, width) || read[1] != read[2] {
        return Err(expected("a key and a value of the query's batch and width, of one length".into()));
    }
    let Attention { heads, dropout } = attention;
    if heads == 0 || !width.is_multiple_of(heads) {
        return Err(expected(format!("a width that {heads} heads divide")));
    }
    if !(0.0..1.0).contains(&dropout) {
        return Err(error(node, "a dropout in [0, 1)".into(), format!("{dropout}")));
    }
    let scores = [batch, heads, query, key];
    let fits = |mask: &&[usize]| {
        mask.len() == 4
            && mask[3] == key
            && mask.iter().zip(scores).all(|(&size, full)| size == 1 || size == full)
    };
    match read.get(3) {
        Some(mask) if !fits(mask) => {
            Err(expected(format!("a mask {scores:?}, of which the first three may be 1")))
        }
        _ => Ok(read[0].to_vec()),
    }
}

fn pool(node: &Node, x: &[usize], window: &Window) -> Result<Shape, ShapeError> {
    let fits = x.len() == 4
        && (0..2).all(|side| {
            let (before, after) = (window.padding[2 * side], window.padding[2 * side + 1]);
            2 * before.max(after) <= window.kernel[side]
                && x[side + 1] + before + after >= window.kernel[side]
        });
    if !fits {
        return Err(error(
            node,
            "[batch, height, width, channels] not smaller than the window".into(),
            format!("{x:?}"),
        ));
    }
    Ok(vec![x[0], window.output(0, x[1]), window.output(1, x[2]), x[3]])
}

impl Window {
    /// The output's size along a side (0 vertical, 1 horizontal). With `ceil`, a window never starts beyond the input and its
    /// leading padding, as PyTorch has it.
    pub fn output(&self, side: usize, size: usize) -> usize {
        let (kernel, stride) = (self.kernel[side], self.stride[side]);
        let (before, after) = (self.padding[2 * side], self.padding[2 * side + 1]);
        let span = size + before + after - kernel;
        if !self.ceil {
            return span / stride + 1;
        }
        let count = span.div_ceil(stride) + 1;
        if (count - 1) * stride >= size + before { count - 1 } else { count }
    }
}

/// The size of an adaptive pool's result along a side.
fn adaptive_size(pool: &AdaptivePool, side: usize, size: usize) -> usize {
    match pool.when {
        When::Always => pool.size[side],
        When::Smaller => size.max(pool.size[side]),
    }
}

fn reshape(x: &[usize], dimensions: &[Dimension]) -> Option<Shape> {
    let total: usize = x.iter().product();
    let mut shape = Vec::with_capacity(dimensions.len());
    for dimension in dimensions {
        shape.push(match dimension {
            Dimension::Same(axis) => *x.get(*axis)?,
            Dimension::Size(size) => *size,
            Dimension::Rest => 1,
        });
    }
    let known: usize = shape.iter().product();
    match dimensions.iter().position(|dimension| *dimension == Dimension::Rest) {
        Some(rest) if known > 0 && total.is_multiple_of(known) => shape[rest] = total / known,
        None if known == total => {}
        _ => return None,
    }
    Some(shape)
}

fn error(node: &Node, expected: String, found: String) -> ShapeError {
    ShapeError { node: node.name.clone(), op: node.op.name(), expected, found }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::{Conv2d, GraphBuilder};
    use super::*;

    #[test]
    fn windows_count_as_pytorch_counts_them() {
        // kernel, stride, padding before and after, ceil, size, expected (torch.nn.MaxPool2d)
        let cases = [
            (3, 2, 1, false, 112, 56),
            (3, 2, 0, true, 112, 56),
            (3, 2, 0, false, 112, 55),
            (2, 2, 0, true, 7, 4),
            (2, 2, 1, true, 7, 4),
            (3, 3, 1, true, 7, 3),
            (3, 1, 1, false, 5, 5),
        ];
        for (kernel, stride, padding, ceil, size, expected) in cases {
            let window = Window { kernel: [kernel; 2], stride: [stride; 2], padding: [padding; 4], ceil };
            assert_eq!(window.output(0, size), expected, "{window:?} on {size}");
        }
    }

    #[test]
    fn broadcasting_and_reshaping_follow_numpy() {
        assert_eq!(broadcast(&[2, 3, 4], &[4]), Some(vec![2, 3, 4]));
        assert_eq!(broadcast(&[2, 1, 4], &[3, 1]), Some(vec![2, 3, 4]));
        assert_eq!(broadcast(&[2, 3], &[2]), None);
        use Dimension::{Rest, Same, Size};
        assert_eq!(reshape(&[2, 5, 12], &[Same(0), Same(1), Size(3), Rest]), Some(vec![2, 5, 3, 4]));
        assert_eq!(reshape(&[2, 5], &[Size(3), Rest]), None);
    }

    #[test]
    fn a_misfit_names_the_node() {
        let mut b = GraphBuilder::new();
        b.begin_stage("stem");
        let x = b.input("pixels", 4, Some(3));
        let y = b.conv2d("conv", x, Conv2d::same(8, 7).padding(0));
        b.end_stage(y);
        let graph = b.finish(&[("y", y)]).unwrap();
        assert_eq!(graph.infer(&[vec![2, 9, 8, 3]]).unwrap()[y.index()], [2, 3, 2, 8]);
        let error = graph.infer(&[vec![2, 5, 8, 3]]).unwrap_err();
        assert_eq!(error.node, "conv");
        assert!(graph.infer(&[vec![2, 9, 8, 4]]).unwrap_err().to_string().contains("ending in 3"));
    }
}
