//! Maps at another one's height and width.

use super::{Mode, Step};
use crate::Result;
use crate::cpu::Workspace;
use crate::cpu::kernels::Accumulate;
use crate::cpu::kernels::resize::{Taps, resize};
use crate::graph::{Interpolation, Value};

/// `output = x`, brought to the height and width of another value.
pub(crate) struct Resize {
    x: Value,
    output: Value,
    /// Down and across.
    taps: [Taps; 2],
    /// The same for gradients.
    back: [Taps; 2],
}

impl Resize {
    /// `from` and `to` are height and width.
    pub fn new(
        x: Value,
        output: Value,
        interpolation: Interpolation,
        from: [usize; 2],
        to: [usize; 2],
    ) -> Self {
        let kind = match interpolation {
            Interpolation::Nearest => Taps::nearest,
            Interpolation::Bilinear => Taps::linear,
        };
        let taps = [0, 1].map(|axis| kind(from[axis], to[axis]));
        let back = [0, 1].map(|axis| taps[axis].transposed());
        Self { x, output, taps, back }
    }
}

impl Step for Resize {
    fn output(&self) -> Value {
        self.output
    }

    fn forward(&mut self, workspace: &mut Workspace, _: Mode) -> Result<()> {
        let (length, channels) = (workspace.len(self.output), workspace.shape(self.x)[3]);
        let mut buffer = workspace.allocate(length);
        let [down, across] = &self.taps;
        let (machine, x) = (&workspace.machine, workspace.get(self.x));
        resize(machine, [down, across], channels, x, &mut buffer[..length], Accumulate::Overwrite);
        workspace.put(self.output, buffer);
        Ok(())
    }

    fn backward(&mut self, workspace: &mut Workspace) -> Result<()> {
        let Some(gradient) = workspace.take_gradient(self.output) else { return Ok(()) };
        if workspace.wants(self.x) {
            let (length, channels) = (workspace.len(self.x), workspace.shape(self.x)[3]);
            let dy = &gradient[..workspace.len(self.output)];
            let (mut buffer, accumulate) = workspace.gradient_buffer(self.x);
            let [down, across] = &self.back;
            resize(&workspace.machine, [down, across], channels, dy, &mut buffer[..length], accumulate);
            workspace.put_gradient(self.x, buffer);
        }
        workspace.recycle(gradient);
        Ok(())
    }
}
