//! Attention over heads.

use super::convolution::hand_on;
use super::{Mode, Step};
use crate::cpu::kernels::attention::{self, AttentionShape, Dropped, Gradients, Mask, Operands};
use crate::cpu::kernels::movement::{self, Walk};
use crate::cpu::{Buffer, Workspace};
use crate::graph::Value;
use crate::random::Stream;
use crate::{Result, StepKey};

/// `output = attention(query, key, value[, mask])`.
pub(crate) struct Attend {
    /// Query, key, value.
    pub operands: [Value; 3],
    pub mask: Option<Value>,
    pub heads: usize,
    /// 0 where the specification switches it off.
    pub dropout: f64,
    pub name: String,
    pub output: Value,
    /// What the last training pass left for the backward pass.
    pub kept: Option<Buffer>,
}

impl Attend {
    fn shape(&self, workspace: &Workspace) -> AttentionShape {
        let (query, key) = (workspace.shape(self.operands[0]), workspace.shape(self.operands[1]));
        AttentionShape { batch: query[0], query: query[1], key: key[1], width: query[2], heads: self.heads }
    }

    fn operands<'a>(&self, workspace: &'a Workspace) -> Operands<'a> {
        let [query, key, value] = self.operands.map(|operand| workspace.get(operand));
        let mask = self.mask.map(|mask| {
            let shape = workspace.shape(mask);
            Mask { data: workspace.get(mask), sizes: [shape[0], shape[1], shape[2]] }
        });
        Operands { query, key, value, mask }
    }

    /// The streams of a step's samples, where dropout acts.
    fn streams(&self, workspace: &Workspace, mode: Mode) -> Result<Vec<Stream>> {
        if mode == Mode::Inference || self.dropout == 0.0 {
            return Ok(Vec::new());
        }
        let StepKey { seed, step, samples } = workspace.key()?;
        let stream =
            |sample: &u64| Stream::new(*seed, &[(*step).into(), (*sample).into(), self.name.as_str().into()]);
        Ok(samples.iter().map(stream).collect())
    }

    fn dropped<'a>(&self, streams: &'a [Stream]) -> Option<Dropped<'a>> {
        (!streams.is_empty()).then_some(Dropped { rate: self.dropout, streams })
    }

    /// Adds the gradients of scores to that of the mask, summed over the axes that the mask lacks.
    fn hand_to_mask(&self, workspace: &mut Workspace, shape: &AttentionShape, scores: Buffer) {
        let Some(mask) = self.mask else { return workspace.recycle(scores) };
        let full = [shape.batch, shape.heads, shape.query, shape.key];
        if workspace.shape(mask) == full {
            return hand_on(workspace, Some(mask), scores);
        }
        let (mut gradient, accumulate) = workspace.gradient_buffer(mask);
        let walk = Walk::broadcast(&full, [workspace.shape(mask), &full]);
        let (machine, length) = (&workspace.machine, full.iter().product());
        let into = &mut gradient[..workspace.len(mask)];
        movement::collect(machine, &walk, 1.0, &scores[..length], None, into, accumulate);
        workspace.put_gradient(mask, gradient);
        workspace.recycle(scores);
    }
}

impl Step for Attend {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, mode: Mode) -> Result<()> {
        let shape = self.shape(workspace);
        let streams = self.streams(workspace, mode)?;
        let mut y = workspace.allocate(shape.query_len());
        if let Some(old) = self.kept.take() {
            workspace.recycle(old);
        }
        let mut kept = (mode == Mode::Training && workspace.wants(self.output))
            .then(|| workspace.allocate(shape.kept_len()));
        attention::forward(
            &workspace.machine,
            &shape,
            self.operands(workspace),
            self.dropped(&streams),
            kept.as_mut().map(|kept| &mut kept[..shape.kept_len()]),
            &mut y[..shape.query_len()],
        );
        self.kept = kept;
        workspace.put(self.output, y);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let (Some(dy), Some(kept)) = (workspace.take_gradient(self.output), self.kept.take()) else {
            return Ok(());
        };
        let shape = self.shape(workspace);
        let streams = self.streams(workspace, Mode::Training)?;
        // Each has a buffer of its own: query, key and value may be one value.
        let lengths = [shape.query_len(), shape.key_len(), shape.key_len()];
        let mut buffers = [0, 1, 2].map(|operand| {
            let wanted = workspace.wants(self.operands[operand]);
            wanted.then(|| workspace.allocate(lengths[operand]))
        });
        let scores_len = shape.batch * shape.heads * shape.query * shape.key;
        let mut scores =
            self.mask.is_some_and(|mask| workspace.wants(mask)).then(|| workspace.allocate(scores_len));
        let [query, key, value] = &mut buffers;
        fn cut(buffer: &mut Option<Buffer>, length: usize) -> Option<&mut [f32]> {
            buffer.as_mut().map(|buffer| &mut buffer[..length])
        }
        let gradients = Gradients {
            query: cut(query, lengths[0]),
            key: cut(key, lengths[1]),
            value: cut(value, lengths[2]),
            scores: cut(&mut scores, scores_len),
        };
        attention::backward(
            &workspace.machine,
            &shape,
            self.operands(workspace),
            self.dropped(&streams),
            &kept[..shape.kept_len()],
            &dy[..shape.query_len()],
            gradients,
        );
        for (operand, buffer) in self.operands.into_iter().zip(buffers) {
            if let Some(buffer) = buffer {
                hand_on(workspace, Some(operand), buffer);
            }
        }
        if let Some(scores) = scores {
            self.hand_to_mask(workspace, &shape, scores);
        }
        workspace.recycle(kept);
        workspace.recycle(dy);
        Ok(())
    }
}
