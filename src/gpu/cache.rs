//! The kernels that a device has compiled: each once, when it is first needed.

use super::device::{Gpu, one_line};
use super::kernel::Kernel;
use super::limits::at_least;
use super::lock::lock;
use super::pipeline::{PARAMETERS, Pipeline, compile, storage};
use super::source;
use crate::{Error, Result};

impl Gpu {
    /// The compiled kernel, from the cache if it was compiled before.
    pub(super) fn pipeline(&self, kernel: Kernel) -> Result<Pipeline> {
        let mut pipelines = lock(&self.inner.pipelines);
        if let Some(pipeline) = pipelines.get(&kernel) {
            return Ok(pipeline.clone());
        }
        let custom = kernel.subject.formula().filter(|formula| formula.custom);
        // Compilers repeat the label in their messages.
        let label = custom.map_or_else(|| format!("penalty {kernel:?}"), |own| format!("penalty {own:?}"));
        // Nothing is proved of a user's functions.
        let checked = self.inner.checked || custom.is_some();
        let layout = kernel.layout();
        // All bindings but the parameters are storage buffers.
        let (storage, most) = (layout.len() as u64 - 1, self.device().limits().max_storage_buffers_per_shader_stage);
        let limit = "the device's limit max_storage_buffers_per_shader_stage";
        at_least(limit, kernel.operation.name(), storage, most.into())?;
        let (pipeline, error) = self.scoped(|| compile(self.device(), &label, kernel.source(), &layout, checked))?;
        match (custom, error) {
            (_, None) => {}
            (Some(own), Some(error @ wgpu::Error::Validation { .. })) => {
                return Err(Error::Wgsl { penalty: own.name, error: one_line(&error) });
            }
            (_, Some(error)) => return Err(Error::Device(one_line(&error))),
        }
        pipelines.insert(kernel, pipeline.clone());
        Ok(pipeline)
    }

    /// The kernel that resolves results on the device, also compiled once.
    pub(super) fn resolve_pipeline(&self) -> Result<Pipeline> {
        let mut resolve = lock(&self.inner.resolve);
        if let Some(pipeline) = &*resolve {
            return Ok(pipeline.clone());
        }
        let layout = [(0, PARAMETERS), (1, storage(true, true)), (2, storage(false, true)), (3, storage(false, false))];
        let pipeline =
            self.guarded(|| compile(self.device(), "penalty resolve", source::resolve(), &layout, self.inner.checked))?;
        Ok(resolve.insert(pipeline).clone())
    }
}
