//! The kernels that a device has compiled: each once, when it is first needed.

use super::device::{Gpu, one_line};
use super::kernel::Kernel;
use super::limits::at_least;
use super::pipeline::{PARAMETERS, Pipeline, compile, storage};
use super::source;
use crate::{Error, Result};

impl Gpu {
    /// The compiled kernel, from the cache if it was compiled before.
    pub(super) fn pipeline(&self, kernel: Kernel) -> Result<Pipeline> {
        self.inner.pipelines.get(kernel, || self.compile(kernel))
    }

    fn compile(&self, kernel: Kernel) -> Result<Pipeline> {
        let custom = kernel.subject.formula().filter(|formula| formula.custom);
        // Compilers repeat the label in their messages.
        let label = custom.map_or_else(|| format!("penalty {kernel:?}"), |formula| format!("penalty {formula:?}"));
        // Nothing is proved of a user's functions.
        let checked = self.inner.checked || custom.is_some();
        let layout = kernel.layout();
        // All bindings but the parameters are storage buffers.
        let (storage, most) = (layout.len() as u64 - 1, self.device().limits().max_storage_buffers_per_shader_stage);
        let limit = "the device's limit max_storage_buffers_per_shader_stage";
        at_least(limit, kernel.operation.name(), storage, most.into())?;
        let (pipeline, error) = self.scoped(|| compile(self.device(), &label, kernel.source(), &layout, checked))?;
        match (custom, error) {
            (_, None) => Ok(pipeline),
            (Some(formula), Some(error @ wgpu::Error::Validation { .. })) => {
                Err(Error::Wgsl { penalty: formula.name, error: one_line(&error) })
            }
            (_, Some(error)) => Err(Error::Device(one_line(&error))),
        }
    }

    /// The kernel that resolves results on the device, also compiled once.
    pub(super) fn resolve_pipeline(&self) -> Result<Pipeline> {
        let layout = [(0, PARAMETERS), (1, storage(true, true)), (2, storage(false, true)), (3, storage(false, false))];
        let compile = || compile(self.device(), "penalty resolve", source::resolve(), &layout, self.inner.checked);
        self.inner.resolve.get((), || self.guarded(compile))
    }
}
