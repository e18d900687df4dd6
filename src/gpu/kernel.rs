//! Kernels: joined strings, compiled when first needed, one for each key.

use super::{Gpu, lock};
use crate::plan::Operation;
use crate::{Dtype, Result};

/// What a kernel is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Kernel {
    pub(super) operation: Operation,
    pub(super) dtype: Dtype,
    pub(super) access: Access,
    pub(super) operands: Operands,
}

/// How four elements are loaded and stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Access {
    /// At once: every range of the span is aligned to 16 bytes, and its length is a multiple of four.
    Vector,
    /// Word by word.
    Scalar,
}

/// Which operand lies in which binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Operands {
    /// Only weights, only read.
    Source,
    /// Weights and output in one buffer, hence in one binding.
    Shared,
    /// Weights in one binding, only read, the output in another.
    Separate,
    /// Two ranges of one buffer further apart than a binding reaches: two bindings, neither read-only.
    Apart,
}

/// A compiled kernel.
#[derive(Debug, Clone)]
pub(super) struct Pipeline {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
}

macro_rules! shader {
    ($name:literal) => {
        include_str!(concat!("../../shaders/", $name, ".wgsl"))
    };
}

impl Kernel {
    /// Twins of the Rust files of the same stems.
    fn source(self) -> String {
        let (read, write) = match (self.access, self.dtype.size()) {
            (Access::Vector, 4) => (shader!("access/vector32"), shader!("access/vector32_write")),
            (Access::Vector, _) => (shader!("access/vector16"), shader!("access/vector16_write")),
            (Access::Scalar, 4) => (shader!("access/scalar32"), shader!("access/scalar32_write")),
            (Access::Scalar, _) => (shader!("access/scalar16"), shader!("access/scalar16_write")),
        };
        let operands = match self.operands {
            Operands::Source => shader!("operands/source"),
            Operands::Shared => shader!("operands/shared"),
            Operands::Separate => concat!(shader!("operands/separate"), shader!("operands/two")),
            Operands::Apart => concat!(shader!("operands/apart"), shader!("operands/two")),
        };
        let element = match self.dtype {
            Dtype::F32 => shader!("element/f32"),
            Dtype::F16 => shader!("element/f16"),
            Dtype::BF16 => shader!("element/bf16"),
        };
        let updated = match self.operation {
            Operation::Evaluate => {
                let sums = [shader!("tile"), shader!("accumulator"), shader!("evaluate")];
                return [&[shader!("prelude"), read, operands, element][..], &sums].concat().concat();
            }
            Operation::Gradient => shader!("gradient"),
            Operation::AddGradient => shader!("add_gradient"),
            Operation::Prox => shader!("prox"),
        };
        let formula = [shader!("elementwise"), shader!("penalty/elastic_net"), updated, shader!("update")];
        [&[shader!("prelude"), read, write, operands, element][..], &formula].concat().concat()
    }

    fn bindings(self) -> Vec<wgpu::BindingType> {
        let storage = |read_only| wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Storage { read_only },
            has_dynamic_offset: false,
            min_binding_size: None,
        };
        let parameters = wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Uniform,
            has_dynamic_offset: true,
            min_binding_size: wgpu::BufferSize::new(16),
        };
        let mut bindings = vec![parameters, storage(true)];
        bindings.extend(match self.operands {
            Operands::Source => vec![storage(true), storage(false)], // the weights, the results
            Operands::Shared => vec![storage(false)],
            Operands::Separate => vec![storage(true), storage(false)],
            Operands::Apart => vec![storage(false), storage(false)],
        });
        bindings
    }
}

impl Gpu {
    /// The compiled kernel, from the cache where it was compiled before.
    pub(super) fn pipeline(&self, kernel: Kernel) -> Result<Pipeline> {
        let mut pipelines = lock(&self.inner.pipelines);
        if let Some(pipeline) = pipelines.get(&kernel) {
            return Ok(pipeline.clone());
        }
        let pipeline = self.guarded(|| self.compile(kernel))?;
        pipelines.insert(kernel, pipeline.clone());
        Ok(pipeline)
    }

    fn compile(&self, kernel: Kernel) -> Pipeline {
        let device = &self.inner.device;
        let label = format!("penalty {kernel:?}");
        let descriptor = wgpu::ShaderModuleDescriptor {
            label: Some(&label),
            source: wgpu::ShaderSource::Wgsl(kernel.source().into()),
        };
        let module = if self.inner.checked {
            device.create_shader_module(descriptor)
        } else {
            // SAFETY: what the checks would check is so by construction. Loops are bounded by the counts of spans, which
            // recording cuts to their bindings' ranges (`record::Dispatches`), as it does every index into the table;
            // indices into workgroup arrays are below the constants that the arrays are sized by.
            unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
        };
        let entries: Vec<wgpu::BindGroupLayoutEntry> = (0..)
            .zip(kernel.bindings())
            .map(|(binding, ty)| wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty,
                count: None,
            })
            .collect();
        let layout = device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(&label), entries: &entries });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(&label),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&label),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            // Every workgroup variable is written before it is read.
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: self.inner.checked,
                ..Default::default()
            },
            cache: None,
        });
        Pipeline { pipeline, layout }
    }
}
