//! A kernel's bindings, and compiling it.

use super::kernel::{Kernel, Team};
use super::table::{FIRST_OPERAND, GROUP_COEFFICIENTS, LISTS, PARAMETERS_BOUND, PARTIAL_SUMS};
use crate::plan::operation::Part;

/// A compiled kernel.
#[derive(Debug, Clone)]
pub(super) struct Pipeline {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
}

pub(super) const PARAMETERS: wgpu::BindingType = wgpu::BindingType::Buffer {
    ty: wgpu::BufferBindingType::Uniform,
    has_dynamic_offset: true,
    min_binding_size: wgpu::BufferSize::new(PARAMETERS_BOUND),
};

pub(super) fn storage(read_only: bool, has_dynamic_offset: bool) -> wgpu::BindingType {
    let ty = wgpu::BufferBindingType::Storage { read_only };
    wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None }
}

impl Kernel {
    /// Each binding's index and type.
    pub(super) fn layout(self) -> Vec<(usize, wgpu::BindingType)> {
        let mut layout = vec![(0, PARAMETERS), (1, storage(true, true))];
        if self.has_results() {
            layout.push((2, storage(false, true)));
        }
        let operands = self.bindings.writable.iter().take(self.bindings.count());
        layout.extend((FIRST_OPERAND..).zip(operands.map(|&writable| storage(!writable, false))));
        if let Some(groups) = self.groups {
            layout.push((GROUP_COEFFICIENTS, storage(self.part == Part::Apply, false)));
            if groups.lists {
                layout.push((LISTS, storage(true, false)));
            }
            if groups.team == Team::Grid {
                layout.push((PARTIAL_SUMS, storage(false, false)));
            }
        }
        layout
    }
}

/// Compiles a kernel; if `checked`, with wgpu's checks of bounds and loops.
pub(super) fn compile(
    device: &wgpu::Device,
    label: &str,
    source: String,
    layout: &[(usize, wgpu::BindingType)],
    checked: bool,
) -> Pipeline {
    let descriptor =
        wgpu::ShaderModuleDescriptor { label: Some(label), source: wgpu::ShaderSource::Wgsl(source.into()) };
    let module = if checked {
        device.create_shader_module(descriptor)
    } else {
        // SAFETY: what the checks would check holds by construction. Loops are bounded by the counts of spans, which
        // the layout cuts to their bindings' ranges (`layout::Layout`), as it does every index into the table. Indices
        // into workgroup arrays are below the constants that set the arrays' sizes.
        unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
    };
    let entries: Vec<wgpu::BindGroupLayoutEntry> = layout
        .iter()
        .map(|&(binding, ty)| wgpu::BindGroupLayoutEntry {
            binding: binding as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty,
            count: None,
        })
        .collect();
    let layout =
        device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(label), entries: &entries });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(label),
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(label),
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: Some("main"),
        // Every workgroup variable is written before it is read.
        compilation_options: wgpu::PipelineCompilationOptions {
            zero_initialize_workgroup_memory: checked,
            ..Default::default()
        },
        cache: None,
    });
    Pipeline { pipeline, layout }
}
