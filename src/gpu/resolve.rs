//! Resolving: exact results become `f32` on the device, where the caller's own shaders read them.

use super::device::Gpu;
use super::operand::Operand;
use super::placement::Window;
use super::readback::Recorded;
use super::recorder::Recorder;
use super::ring::Phase;
use super::slot_memory::entry;
use super::table::PARAMETERS_BOUND;
use crate::{Error, Result};

impl Recorder {
    /// Compiles the kernel that resolves results to `f32`, and binds it with this output, unless it was the last one.
    pub(super) fn prepare_resolve(&mut self, gpu: &Gpu, output: &Operand<'_>) -> Result<()> {
        let Some(results) = &self.results else { return Ok(()) };
        let known =
            self.resolve.as_ref().is_some_and(|(o, ..)| o.offset == output.offset && o.buffer == *output.buffer);
        if known {
            return Ok(());
        }
        let pipeline = gpu.resolve_pipeline()?;
        let entries = [
            entry(0, &self.table.buffer, Window { start: 0, end: PARAMETERS_BOUND }),
            entry(1, &self.table.buffer, Window { start: 0, end: self.table.parameters }),
            entry(2, &results.buffer, Window { start: 0, end: results.size }),
            entry(3, output.buffer, Window { start: output.offset, end: output.end() }),
        ];
        let layout = &pipeline.layout;
        let descriptor = wgpu::BindGroupDescriptor { label: Some("penalty resolve"), layout, entries: &entries };
        let group = gpu.guarded(|| gpu.device().create_bind_group(&descriptor))?;
        self.resolve = Some((output.located(), pipeline, group));
        Ok(())
    }

    /// Records that a step's results are resolved to `f32`, behind the step in the same encoder or in a later one.
    /// Returns whether the step was recorded here.
    pub(super) fn record_resolve(
        &mut self,
        gpu: &Gpu,
        encoder: &mut wgpu::CommandEncoder,
        recorded: &Recorded,
        output: &Operand<'_>,
    ) -> Result<bool> {
        let Some(at) = self.ring.slots.iter().position(|slot| recorded.is_in(slot)) else { return Ok(false) };
        if let Phase::Failed(error) = &recorded.state()?.phase {
            return Err(error.clone());
        }
        if self.written[at].generation < self.table.since {
            let rule = "it must be finished before the operands move to more buffers";
            return Err(Error::Operand { operand: "the step", rule, found: "operands that have moved".into() });
        }
        self.prepare_resolve(gpu, output)?;
        let base = at as u64 * self.table.stride;
        let parameters = base + self.table.parameters;
        if let (Some(results), Some((_, pipeline, group))) = (&self.results, &self.resolve) {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&pipeline.pipeline);
            pass.set_bind_group(0, group, &[parameters as u32, base as u32, (at as u64 * results.stride) as u32]);
            pass.dispatch_workgroups(1, 1, 1);
        }
        Ok(true)
    }

    /// Where a step's exact results are, if it was recorded here.
    pub(super) fn results_of(&self, recorded: &Recorded) -> Option<(&wgpu::Buffer, u64, u64)> {
        let at = self.ring.slots.iter().position(|slot| recorded.is_in(slot))?;
        self.results.as_ref().map(|results| (&results.buffer, at as u64 * results.stride, results.size))
    }
}
