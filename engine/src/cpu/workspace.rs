//! The memory in which steps run: one buffer for each value, one for each gradient, and those that wait to be used again.

use super::kernels::conv::{self, ConvShape, Direction, PackedWeights};
use super::kernels::narrow::{Numbers, Quantization, Storage};
use super::kernels::{Accumulate, Scratch};
use super::{Buffer, Fingerprint, Machine};
use crate::graph::{Graph, Op, Value};
use crate::{EngineError, Precision, Result, StepKey, Tensor};

/// Values, gradients and free buffers of one executor.
pub(crate) struct Workspace {
    pub machine: Machine,
    /// The shape of every value, for the inputs bound last.
    pub shapes: Vec<Vec<usize>>,
    /// How every value is stored, and what a byte of it would stand for where that is known.
    pub storage: Vec<Storage>,
    pub quantizations: Vec<Option<Quantization>>,
    values: Vec<Option<Slot>>,
    gradients: Vec<Option<Buffer>>,
    /// Whether each value's gradient is wanted: it is, or depends on, a trained parameter.
    wanted: Vec<bool>,
    /// Counts the changes of each value, so that packed copies know when they are stale.
    versions: Vec<u64>,
    free: Vec<Buffer>,
    packed: Vec<PackedCopy>,
    /// Memory that kernels work in.
    pub scratch: Scratch,
    /// What names the step, while a training step runs.
    pub key: Option<StepKey>,
}

/// Where a value's numbers are.
enum Slot {
    /// Made here.
    Own(Buffer),
    /// A parameter's, which the caller has too and which nobody changes.
    Shared(Tensor),
}

/// Weights as a kernel reads them, and the version of the value they were packed from.
pub(crate) struct PackedCopy {
    weight: Value,
    /// Of a convolution in groups, which one's they are.
    group: usize,
    shape: ConvShape,
    direction: Direction,
    version: u64,
    pub weights: PackedWeights,
}

impl Workspace {
    /// A workspace for a graph of `wanted.len()` values.
    pub fn new(machine: Machine, wanted: Vec<bool>) -> Self {
        let count = wanted.len();
        Self {
            machine,
            shapes: vec![Vec::new(); count],
            storage: vec![Storage::F32; count],
            quantizations: vec![None; count],
            values: std::iter::repeat_with(|| None).take(count).collect(),
            gradients: std::iter::repeat_with(|| None).take(count).collect(),
            wanted,
            versions: vec![0; count],
            free: Vec::new(),
            packed: Vec::new(),
            scratch: Scratch::new(),
            key: None,
        }
    }

    /// The count of numbers of a value.
    pub fn len(&self, value: Value) -> usize {
        self.shapes[value.index()].iter().product()
    }

    /// The shape of a value.
    pub fn shape(&self, value: Value) -> &[usize] {
        &self.shapes[value.index()]
    }

    /// The count of words that a value is stored in.
    pub fn words(&self, value: Value) -> usize {
        self.storage[value.index()].words(self.len(value))
    }

    /// A value's numbers as they are stored.
    ///
    /// # Panics
    /// When no step has made them: the order of steps is wrong.
    pub fn numbers(&self, value: Value) -> Numbers<'_> {
        let words = match &self.values[value.index()] {
            Some(Slot::Own(buffer)) => &buffer[..self.words(value)],
            Some(Slot::Shared(tensor)) => tensor.as_f32().unwrap_or_default(),
            None => panic!("value {} is read before it is made", value.index()),
        };
        Numbers { storage: self.storage[value.index()], words }
    }

    /// A value's numbers, which are floats.
    ///
    /// # Panics
    /// When they are not, or no step has made them.
    pub fn get(&self, value: Value) -> &[f32] {
        self.numbers(value).floats()
    }

    /// How a value is stored for products of a precision.
    ///
    /// # Panics
    /// When it is to be bytes and nothing is known of its range.
    pub fn operand_storage(&self, value: Value, precision: Precision) -> Storage {
        match precision {
            Precision::F32 => Storage::F32,
            Precision::Bf16 => Storage::Bf16,
            Precision::Int8 => match self.quantizations[value.index()] {
                Some(code) => Storage::Int8(code),
                None => panic!("value {} was never calibrated", value.index()),
            },
        }
    }

    /// How often a value has changed.
    pub fn version(&self, value: Value) -> u64 {
        self.versions[value.index()]
    }

    /// A buffer of at least `length` numbers with arbitrary contents: the smallest free one that is large enough and not
    /// wastefully so, else a new one.
    pub fn allocate(&mut self, length: usize) -> Buffer {
        let most = 2 * length + (64 << 10);
        let fit = (0..self.free.len())
            .filter(|&index| (length..=most).contains(&self.free[index].len()))
            .min_by_key(|&index| self.free[index].len());
        match fit {
            Some(index) => self.free.swap_remove(index),
            None => Buffer::zeros(length),
        }
    }

    /// Gives a buffer back for later use.
    pub fn recycle(&mut self, buffer: Buffer) {
        self.free.push(buffer);
    }

    /// How many numbers all values have together.
    pub fn total_len(&self) -> usize {
        self.shapes.iter().map(|shape| shape.iter().product::<usize>()).sum()
    }

    /// Forgets free buffers, the smallest first, until all together hold at most so many numbers: inputs of ever other sizes would leave ever more.
    pub fn keep_free(&mut self, most: usize) {
        self.free.sort_by_key(|buffer| std::cmp::Reverse(buffer.len()));
        let mut held = 0;
        self.free.retain(|buffer| {
            held += buffer.len();
            held <= most
        });
    }

    /// Sets a value's numbers.
    pub fn put(&mut self, value: Value, buffer: Buffer) {
        self.versions[value.index()] += 1;
        if let Some(Slot::Own(old)) = self.values[value.index()].replace(Slot::Own(buffer)) {
            self.free.push(old);
        }
    }

    /// Sets a value's numbers to a tensor's, which are not copied.
    ///
    /// # Errors
    /// When the tensor is f64.
    pub fn put_shared(&mut self, value: Value, tensor: &Tensor) -> Result<()> {
        tensor.as_f32()?;
        self.release(value);
        self.versions[value.index()] += 1;
        self.values[value.index()] = Some(Slot::Shared(tensor.clone()));
        Ok(())
    }

    /// Copies a slice in as a value's numbers.
    pub fn put_slice(&mut self, value: Value, data: &[f32]) {
        let mut buffer = match self.values[value.index()].take() {
            Some(Slot::Own(buffer)) if buffer.len() >= data.len() => buffer,
            Some(Slot::Own(small)) => {
                self.free.push(small);
                self.allocate(data.len())
            }
            _ => self.allocate(data.len()),
        };
        buffer[..data.len()].copy_from_slice(data);
        self.put(value, buffer);
    }

    /// Takes a value's numbers out, to overwrite them or give them back. Shared ones are copied.
    pub fn take(&mut self, value: Value) -> Option<Buffer> {
        match self.values[value.index()].take()? {
            Slot::Own(buffer) => Some(buffer),
            Slot::Shared(tensor) => {
                let data = tensor.as_f32().unwrap_or_default();
                let mut buffer = self.allocate(data.len());
                buffer[..data.len()].copy_from_slice(data);
                Some(buffer)
            }
        }
    }

    /// Frees a value's numbers.
    pub fn release(&mut self, value: Value) {
        if let Some(Slot::Own(buffer)) = self.values[value.index()].take() {
            self.free.push(buffer);
        }
    }

    /// Whether a value's gradient is wanted.
    pub fn wants(&self, value: Value) -> bool {
        self.wanted[value.index()]
    }

    /// Takes the gradient of a value whose users have all run.
    pub fn take_gradient(&mut self, value: Value) -> Option<Buffer> {
        self.gradients[value.index()].take()
    }

    /// A value's gradient as far as it has been summed.
    pub fn gradient(&self, value: Value) -> Option<&[f32]> {
        self.gradients[value.index()].as_ref().map(|buffer| &buffer[..self.len(value)])
    }

    /// The buffer into which a step writes its share of a value's gradient, and whether to add to it.
    /// Returned with [`Workspace::put_gradient`].
    pub fn gradient_buffer(&mut self, value: Value) -> (Buffer, Accumulate) {
        match self.gradients[value.index()].take() {
            Some(buffer) => (buffer, Accumulate::Add),
            None => (self.allocate(self.len(value)), Accumulate::Overwrite),
        }
    }

    /// Sets a value's gradient.
    pub fn put_gradient(&mut self, value: Value, buffer: Buffer) {
        self.gradients[value.index()] = Some(buffer);
    }

    /// Frees every value and gradient but those that `keep` names.
    pub fn clear(&mut self, keep: impl Fn(Value) -> bool) {
        for index in (0..self.values.len()).filter(|&index| !keep(Value::at(index))) {
            self.release(Value::at(index));
            self.free.extend(self.gradients[index].take());
        }
    }

    /// Takes out the packed form of a convolution's weights, packed anew when the weights have changed. Returned with
    /// [`Workspace::keep_packed`], it outlives the steps, whose shapes come and go.
    pub fn take_packed(
        &mut self,
        weight: Value,
        shape: &ConvShape,
        direction: Direction,
        precision: Precision,
    ) -> PackedCopy {
        match self.take_packed_groups(weight, 1, shape, (direction, precision)).pop() {
            Some(copy) => copy,
            None => unreachable!("one was asked for"),
        }
    }

    /// The same for each group of a convolution in groups; the shape is that of one.
    pub fn take_packed_groups(
        &mut self,
        weight: Value,
        groups: usize,
        shape: &ConvShape,
        (direction, precision): (Direction, Precision),
    ) -> Vec<PackedCopy> {
        let shape = ConvShape { batch: 1, height: 0, width: 0, ..*shape };
        let version = self.version(weight);
        let mut take = |group: usize| {
            let known = self.packed.iter().position(|copy| {
                (copy.weight, copy.group) == (weight, group)
                    && (copy.direction, copy.weights.precision()) == (direction, precision)
                    && copy.shape == shape
            });
            match known {
                Some(index) => self.packed.swap_remove(index),
                None => {
                    let weights = PackedWeights::new(self.machine.isa, &shape, direction, precision);
                    let version = version.wrapping_sub(1);
                    PackedCopy { weight, group, shape, direction, version, weights }
                }
            }
        };
        let mut copies: Vec<PackedCopy> = (0..groups).map(&mut take).collect();
        let (machine, all, each) = (&self.machine, self.get(weight), shape.weight_len());
        let pack = |group: usize, copy: &mut PackedCopy| {
            if copy.version != version {
                conv::pack(machine, &shape, &all[group * each..][..each], &mut copy.weights);
                copy.version = version;
            }
        };
        match &mut copies[..] {
            // Its panels are tasks.
            [only] => pack(0, only),
            _ => machine.pool.for_each_chunk(&mut copies, 1, |group, copy| pack(group, &mut copy[0])),
        }
        copies
    }

    /// Keeps packed weights for the next pass.
    pub fn keep_packed(&mut self, copy: PackedCopy) {
        self.packed.push(copy);
    }

    /// Digests of the parameters and of their packed copies.
    pub fn fingerprint(&self, graph: &Graph) -> Fingerprint {
        let mut values = blake3::Hasher::new();
        for (position, node) in graph.nodes().iter().enumerate() {
            if let (Op::Parameter(_), Some(_)) = (&node.op, &self.values[position]) {
                values.update(bytemuck::cast_slice(self.get(Value::at(position))));
            }
        }
        let packed = self.packed.iter().map(|copy| {
            let (weight, precision) = (copy.weight.index(), copy.weights.precision());
            let mut digest = blake3::Hasher::new();
            for numbers in copy.weights.numbers() {
                digest.update(bytemuck::cast_slice(numbers));
            }
            let name = format!("{weight} {} {:?} {precision} {:?}", copy.group, copy.direction, copy.shape);
            (name, digest.finalize())
        });
        Fingerprint { values: values.finalize(), packed: packed.collect() }
    }

    /// The key of the training step that runs.
    ///
    /// # Errors
    /// When no step runs.
    pub fn key(&self) -> Result<&StepKey> {
        self.key.as_ref().ok_or(EngineError::Order("training behaviour outside of a training step"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_buffers_are_kept_up_to_a_measure_the_largest_first() {
        let mut workspace = Workspace::new(Machine::new(1), vec![false]);
        for length in [100, 400, 50, 300] {
            workspace.recycle(Buffer::zeros(length));
        }
        let kept = |workspace: &Workspace| workspace.free.iter().map(|buffer| buffer.len()).sum::<usize>();
        let whole = kept(&workspace);
        workspace.keep_free(whole);
        assert_eq!(kept(&workspace), whole);
        let largest = workspace.free[0].len();
        workspace.keep_free(largest);
        assert_eq!(workspace.free.len(), 1, "the largest alone fits");
        workspace.keep_free(0);
        assert!(workspace.free.is_empty());
    }
}
