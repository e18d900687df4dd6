//! Which limits does the library need, and does it say so?

use penalty::exact::TILE;
use penalty::gpu::{Operands, Options, ParameterSet};
use penalty::{Adam, Backend, Determinism, Gpu, Groups, Metric, Parameter, Penalty, wgpu};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::cases::noise;
use crate::common::device::{USAGES, buffer, open};
use crate::common::recorded::{operand, penalty};

pub(crate) const ON_DEVICES: &[DeviceTest] = named![
    windows_that_hold_no_tile_are_rejected,
    limits_that_are_too_small_are_named,
    limits_that_are_just_enough_are_enough,
];

fn windows_that_hold_no_tile_are_rejected(device: &Device) {
    let (raw, queue) = device.request(wgpu::Limits::default());
    for window in [0, 1, 16_639] {
        let options = Options { window: Some(window), ..Options::default() };
        let error = Gpu::with_options(raw.clone(), queue.clone(), &options).expect_err("the window is too small");
        let want =
            format!("Options::window must be at least 16640 bytes, which are a tile of f32 and 256, found {window}");
        assert_eq!(error.to_string(), want);
    }
}

/// A limit's name, its smallest value, and a function that sets it.
type Needed = (&'static str, u64, fn(&mut wgpu::Limits, u64));

/// Without these limits no kernel runs.
const NEEDED: [Needed; 12] = {
    macro_rules! needed {
        ($($limit:ident: $least:expr,)*) => {
            [$((stringify!($limit), $least, |limits, to| limits.$limit = to as _),)*]
        };
    }
    needed! {
        max_storage_buffer_binding_size: 16_640,
        max_storage_buffers_per_shader_stage: 3,
        max_dynamic_storage_buffers_per_pipeline_layout: 2,
        max_uniform_buffers_per_shader_stage: 1,
        max_uniform_buffer_binding_size: 32,
        max_dynamic_uniform_buffers_per_pipeline_layout: 1,
        max_bind_groups: 1,
        max_bindings_per_bind_group: 11,
        max_compute_workgroup_storage_size: 15_592,
        max_compute_invocations_per_workgroup: 256,
        max_compute_workgroup_size_x: 256,
        max_compute_workgroups_per_dimension: 32_768,
    }
};

fn limits_that_are_too_small_are_named(device: &Device) {
    let rejected = |limits: wgpu::Limits| {
        let (raw, queue) = device.request(limits);
        Gpu::from_device(raw, queue).expect_err("a limit is too small").to_string()
    };
    for (limit, least, set) in NEEDED {
        for found in [0, least - 1] {
            let mut limits = wgpu::Limits::default();
            set(&mut limits, found);
            let want = format!("the device's limit {limit} must be at least {least} for the kernels, found {found}");
            assert_eq!(rejected(limits), want);
        }
    }
    let want = "the device's limit max_storage_buffer_binding_size must be at least 16640 for the kernels, found 0";
    assert_eq!(rejected(wgpu::Limits::downlevel_webgl2_defaults()), want);

    let limits = wgpu::Limits { max_buffer_size: 1 << 20, ..wgpu::Limits::default() };
    let gpu = open(device, limits, &Options::default());
    let create = |label, size| {
        gpu.create_buffer(&wgpu::BufferDescriptor { label, size, usage: USAGES, mapped_at_creation: false })
    };
    assert_eq!(create(None, 1 << 20).expect("it is not too large").size(), 1 << 20);
    let want = "the device's limit max_buffer_size must be at least 1048580 for the weights, found 1048576";
    assert_eq!(create(Some("the weights"), (1 << 20) + 4).expect_err("it is too large").to_string(), want);
    // Host slices travel in one buffer, as large as the device allows.
    let backend = Backend::Gpu(gpu);
    assert!(backend.evaluate(&penalty(), &vec![1.0f32; 1 << 18]).is_ok());
    let want =
        "the device's limit max_buffer_size must be at least 1048580 for a buffer of the library's, found 1048576";
    let long = vec![1.0f32; (1 << 18) + 1];
    assert_eq!(backend.evaluate(&penalty(), &long).expect_err("it is too long").to_string(), want);
    assert_eq!(backend.prox(&penalty(), &long, 1.0).expect_err("it is too long").to_string(), want);
    assert_eq!(backend.evaluate_all(&penalty(), &[&long[1..], &long]).map(drop).expect_err("too long").to_string(), {
        "the device's limit max_buffer_size must be at least 2097156 for a buffer of the library's, found 1048576"
    });
}

fn limits_that_are_just_enough_are_enough(device: &Device) {
    let mut limits = wgpu::Limits::default();
    NEEDED.iter().for_each(|(_, least, set)| set(&mut limits, *least));
    let gpu = open(device, limits, &Options::default());
    assert_eq!(gpu.determinism(), Determinism::GpuToGpu);
    let (backend, cpu, weights) = (Backend::Gpu(gpu.clone()), Backend::cpu(), noise(3 * TILE + 5, 1));
    // Its term sum needs the most workgroup memory.
    let mcp = Penalty::mcp(0.1, 3.0).expect("it is valid");
    for penalty in [&penalty(), &mcp] {
        assert_eq!(backend.evaluate(penalty, &weights), cpu.evaluate(penalty, &weights));
        assert_eq!(backend.prox(penalty, &weights, 0.5), cpu.prox(penalty, &weights, 0.5));
    }
    // The error says what needs more: one tensor, or many tensors together.
    let lone = |role: &str, penalty: &Penalty| (role.to_owned(), penalty.clone());
    let columns = Penalty::l2_norm(0.5).and_then(|norm| norm.over(Groups::columns(2)?)).expect("it is valid");
    let set = |tensors: usize, len: u64, (name, penalty): (String, Penalty)| {
        let parameters = vec![Parameter::new(name, penalty); tensors];
        let buffers: [Vec<wgpu::Buffer>; 4] =
            std::array::from_fn(|_| (0..tensors).map(|_| buffer(&gpu, &vec![0; 4 * len as usize], USAGES)).collect());
        let [weights, gradients, first, second] = buffers
            .each_ref()
            .map(|list| list.iter().map(|buffer| operand::<f32>(buffer, 0, len as usize)).collect::<Vec<_>>());
        let operands = Operands {
            weights: &weights,
            gradients: &gradients,
            first: &first,
            second: &second,
            ..Operands::default()
        };
        ParameterSet::new(&gpu, parameters, &operands, 1).expect("the operands are valid")
    };
    let text = |result: penalty::Result<()>| result.expect_err("a limit is too small").to_string();
    let mut one = set(1, 4, lone("w", &penalty()));
    let storage = "the device's limit max_storage_buffers_per_shader_stage must be at least";
    let adam = text(one.prepare_adam_and_evaluate(&Adam { metric: Metric::Plain, ..Adam::default() }));
    assert_eq!(adam, format!("{storage} 6 for Adam's step, found 3"));
    let binding = "the device's limit max_storage_buffer_binding_size must be at least";
    let mut large = set(1, 8192, lone("w \"1\"", &columns));
    let alignment = u64::from(gpu.device().limits().min_storage_buffer_offset_alignment);
    let want = format!("{binding} {} for a tensor whose groups are no runs, found 16640", 4 * 8192 + alignment);
    assert_eq!(text(large.prepare_prox_in_place()), format!("\"w \\\"1\\\"\": {want}"));
    let mut many = set(100, 1, lone("w", &penalty()));
    // A row of 52 words for the header, for each tensor and for the total.
    let results = 4 * 52 * 102;
    let want = format!("{binding} {results} for the results of 100 tensors, found 16640");
    assert_eq!(text(many.prepare_evaluate()), want);
}
