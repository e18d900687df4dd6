//! Many tensors with their gradients and an optimizer's states, in host memory and in any buffers of a device.

use penalty::gpu::{Operand, Operands, ParameterSet, PendingReports};
use penalty::half::{bf16, f16};
use penalty::{
    Adam, Cpu, Dtype, Gpu, HostSet, Momentum, Parameter, Penalty, Reports, Result, Sgd, Slice, SliceMut, TILE, wgpu,
};

use crate::common::adapters::sample;
use crate::common::cases::{LENGTHS, noise};
use crate::common::compare::{POISON, same_bytes};
use crate::common::device::{PATIENCE, USAGES, buffer, contents, encoder, submit};

/// Weights, gradients, first and second state, and the element weights.
pub(crate) const ROLES: usize = 5;
const DTYPES: [Dtype; 3] = [Dtype::F32, Dtype::F16, Dtype::BF16];

#[derive(Clone)]
pub(crate) struct Tensors {
    pub(crate) parameters: Vec<Parameter>,
    /// For each role and tensor its elements, as words; an odd half word is poison. Penalty weights only where the penalty takes some.
    pub(crate) words: [Vec<Vec<u32>>; ROLES],
}

/// What is done with a set.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Call {
    Evaluate,
    GradientAdd,
    EvaluateAndGradientAdd,
    Prox(f64),
    ProxAndEvaluate(f64),
    Sgd(Sgd),
    Adam(Adam),
}

/// Where operands lie.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Layout {
    /// All in one buffer.
    Page,
    /// A buffer for each role.
    PagePerRole,
    /// So many buffers that hold some of everything.
    Scattered(usize),
}

impl Tensors {
    /// Tensors of these lengths; types and penalties go round.
    pub(crate) fn new(lens: &[usize]) -> Tensors {
        Tensors::with(lens, |i| DTYPES[i / 2 % 3], &penalties())
    }

    /// Tensors of these lengths and one type; penalties go round.
    pub(crate) fn of(dtype: Dtype, lens: &[usize]) -> Tensors {
        Tensors::with(lens, |_| dtype, &penalties())
    }

    /// The same of every type, or where devices take a sample of one, which takes turns: types have kernels of their own.
    pub(crate) fn in_turn(turn: usize, lens: &[usize]) -> Tensors {
        if sample() == 1 { Tensors::new(lens) } else { Tensors::of(DTYPES[turn % DTYPES.len()], lens) }
    }

    /// Tensors of these lengths, types and penalties, which go round.
    pub(crate) fn with(lens: &[usize], dtype: impl Fn(usize) -> Dtype, penalties: &[Penalty]) -> Tensors {
        let parameter = |(i, &len): (usize, &usize)| {
            let penalty = penalties[i % penalties.len()].clone();
            Parameter::new(format!("tensor {i}"), len as u64, dtype(i), penalty)
        };
        let parameters: Vec<Parameter> = lens.iter().enumerate().map(parameter).collect();
        let words = std::array::from_fn(|role| {
            let fill = |(i, p): (usize, &Parameter)| {
                let len = if role < 4 || p.penalty.is_weighted() { p.len } else { 0 };
                let seed = (i * ROLES + role) as u64;
                // A second state is a mean of squares; a element weight is no less than 0.
                let numbers = noise(len as usize, seed).into_iter();
                let numbers = numbers.map(|x| match role {
                    3 => x * x * 0.01,
                    4 => 2.0 * x.max(0.0),
                    _ => x,
                });
                words(p.dtype, &numbers.collect::<Vec<f32>>())
            };
            parameters.iter().enumerate().map(fill).collect()
        });
        Tensors { parameters, words }
    }

    pub(crate) fn len(&self) -> usize {
        self.parameters.len()
    }

    pub(crate) fn slices(&self, role: usize) -> Vec<Slice<'_>> {
        read(&self.words[role], &self.parameters)
    }

    /// Does a call on the host.
    pub(crate) fn host(&mut self, call: Call) -> Result<Option<Reports>> {
        let element_weights = self.words[4].clone();
        self.call(&host_set(Cpu::new(), &self.parameters, &element_weights), call)
    }

    pub(crate) fn call(&mut self, set: &HostSet, call: Call) -> Result<Option<Reports>> {
        let parameters = &self.parameters;
        let [weights, gradients, first, second, _] = &mut self.words;
        match call {
            Call::Evaluate => set.evaluate(&read(weights, parameters)).map(Some),
            Call::GradientAdd => {
                set.gradient_add(&read(weights, parameters), &mut write(gradients, parameters)).map(|()| None)
            }
            Call::EvaluateAndGradientAdd => {
                set.evaluate_and_gradient_add(&read(weights, parameters), &mut write(gradients, parameters)).map(Some)
            }
            Call::Prox(step) => set.prox(&mut write(weights, parameters), step).map(|()| None),
            Call::ProxAndEvaluate(step) => set.prox_and_evaluate(&mut write(weights, parameters), step).map(Some),
            Call::Sgd(sgd) => {
                let first = &mut write(first, parameters);
                set.sgd(&sgd, &read(gradients, parameters), &mut write(weights, parameters), first).map(Some)
            }
            Call::Adam(adam) => {
                let (first, second) = (&mut write(first, parameters), &mut write(second, parameters));
                set.adam(&adam, &read(gradients, parameters), &mut write(weights, parameters), first, second).map(Some)
            }
        }
    }

    /// Lays everything out, poison between.
    pub(crate) fn lay_out(&self, layout: Layout) -> Images {
        let buffers = match layout {
            Layout::Page => 1,
            Layout::PagePerRole => ROLES,
            Layout::Scattered(buffers) => buffers,
        };
        let mut images = Images { bytes: vec![POISON.repeat(8); buffers], ranges: Default::default() };
        for role in 0..ROLES {
            for (i, words) in self.words[role].iter().enumerate() {
                let buffer = match layout {
                    Layout::Page => 0,
                    Layout::PagePerRole => role,
                    Layout::Scattered(buffers) => (7 * i + 3 * role) % buffers,
                };
                let bytes = &mut images.bytes[buffer];
                // Mostly aligned to 16 bytes, as frameworks do it, and sometimes not.
                let gap = if i % 5 == 2 { 4 * (i % 7) } else { 16 };
                bytes.resize((bytes.len() + gap).next_multiple_of(if i % 5 == 2 { 4 } else { 16 }), POISON[0]);
                images.ranges[role].push((buffer, bytes.len()));
                bytes.extend_from_slice(bytemuck::cast_slice(words));
            }
        }
        for bytes in &mut images.bytes {
            bytes.extend(POISON.repeat(8));
        }
        images
    }
}

/// The bytes of buffers, and for each role and tensor its buffer and offset.
#[derive(Clone)]
pub(crate) struct Images {
    pub(crate) bytes: Vec<Vec<u8>>,
    pub(crate) ranges: [Vec<(usize, usize)>; ROLES],
}

impl Images {
    pub(crate) fn upload(&self, gpu: &Gpu) -> Vec<wgpu::Buffer> {
        self.bytes.iter().map(|bytes| buffer(gpu, bytes, USAGES)).collect()
    }

    /// The same places with what the tensors hold now.
    pub(crate) fn with(&self, tensors: &Tensors) -> Images {
        let mut images = self.clone();
        for (role, ranges) in self.ranges.iter().enumerate() {
            for (words, &(buffer, offset)) in tensors.words[role].iter().zip(ranges) {
                images.bytes[buffer][offset..offset + 4 * words.len()].copy_from_slice(bytemuck::cast_slice(words));
            }
        }
        images
    }

    pub(crate) fn operands<'a>(&self, tensors: &Tensors, buffers: &'a [wgpu::Buffer]) -> Lists<'a> {
        let [weights, gradients, first, second, element_weights] = self.ranges.each_ref().map(|ranges| {
            let operand = |(&(buffer, offset), p): (&(usize, usize), &Parameter)| Operand {
                buffer: &buffers[buffer],
                offset: offset as u64,
                len: p.len,
                dtype: p.dtype,
            };
            ranges.iter().zip(&tensors.parameters).map(operand).collect::<Vec<Operand<'a>>>()
        });
        let weighted = |(operand, p): (Operand<'a>, &Parameter)| p.penalty.is_weighted().then_some(operand);
        let element_weights = element_weights.into_iter().zip(&tensors.parameters).map(weighted).collect();
        Lists { roles: [weights, gradients, first, second], element_weights }
    }
}

/// The operands of each role and tensor.
pub(crate) struct Lists<'a> {
    roles: [Vec<Operand<'a>>; 4],
    element_weights: Vec<Option<Operand<'a>>>,
}

pub(crate) fn operands<'a>(lists: &'a Lists<'a>) -> Operands<'a> {
    let [weights, gradients, first, second] = &lists.roles;
    Operands { weights, gradients, first, second, element_weights: &lists.element_weights }
}

/// A set of these tensors on the host, with these element weights where the penalties take some.
pub(crate) fn host_set<'w>(cpu: Cpu, parameters: &[Parameter], element_weights: &'w [Vec<u32>]) -> HostSet<'w> {
    let slice = |(words, p): (&'w Vec<u32>, &Parameter)| p.penalty.is_weighted().then(|| slice(words, p));
    let element_weights: Vec<Option<Slice<'w>>> = element_weights.iter().zip(parameters).map(slice).collect();
    HostSet::new(cpu, parameters.to_vec())
        .with_element_weights(&element_weights)
        .expect("the element weights are valid")
}

fn penalties() -> [Penalty; 5] {
    let penalties = [
        Penalty::l1(0.03),
        Ok(Penalty::none()),
        Penalty::l2_squared(0.2),
        Penalty::elastic_net(0.1, 0.25),
        Penalty::l1(1e-40),
    ];
    penalties.map(|penalty| penalty.expect("the λs are valid"))
}

/// A set of these tensors on the device, at the places of the images.
pub(crate) fn set(
    gpu: &Gpu,
    tensors: &Tensors,
    images: &Images,
    buffers: &[wgpu::Buffer],
    slots: usize,
) -> ParameterSet {
    let lists = images.operands(tensors, buffers);
    ParameterSet::new(gpu, tensors.parameters.clone(), &operands(&lists), slots).expect("the operands are valid")
}

pub(crate) fn record(
    set: &mut ParameterSet,
    encoder: &mut wgpu::CommandEncoder,
    call: Call,
) -> Result<Option<PendingReports>> {
    match call {
        Call::Evaluate => set.record_evaluate(encoder).map(Some),
        Call::GradientAdd => set.record_gradient_add(encoder).map(|()| None),
        Call::EvaluateAndGradientAdd => set.record_evaluate_and_gradient_add(encoder).map(Some),
        Call::Prox(step) => set.record_prox(encoder, step).map(|()| None),
        Call::ProxAndEvaluate(step) => set.record_prox_and_evaluate(encoder, step).map(Some),
        Call::Sgd(sgd) => set.record_sgd(encoder, &sgd).map(Some),
        Call::Adam(adam) => set.record_adam(encoder, &adam).map(Some),
    }
}

/// Elements as words.
pub(crate) fn words(dtype: Dtype, numbers: &[f32]) -> Vec<u32> {
    let pair = |halves: &[u16]| u32::from(halves[0]) | u32::from(*halves.get(1).unwrap_or(&0x7fc1)) << 16;
    let pairs = |halves: Vec<u16>| halves.chunks(2).map(pair).collect();
    match dtype {
        Dtype::F32 => numbers.iter().map(|x| x.to_bits()).collect(),
        Dtype::F16 => pairs(numbers.iter().map(|&x| f16::from_f32(x).to_bits()).collect()),
        Dtype::BF16 => pairs(numbers.iter().map(|&x| bf16::from_f32(x).to_bits()).collect()),
    }
}

/// Elements as numbers.
pub(crate) fn numbers(words: &[u32], p: &Parameter) -> Vec<f32> {
    let len = p.len as usize;
    match p.dtype {
        Dtype::F32 => bytemuck::cast_slice(words).to_vec(),
        Dtype::F16 => bytemuck::cast_slice::<u32, f16>(words)[..len].iter().map(|x| x.to_f32()).collect(),
        Dtype::BF16 => bytemuck::cast_slice::<u32, bf16>(words)[..len].iter().map(|x| x.to_f32()).collect(),
    }
}

pub(crate) fn slice<'a>(words: &'a [u32], p: &Parameter) -> Slice<'a> {
    let len = p.len as usize;
    match p.dtype {
        Dtype::F32 => bytemuck::cast_slice::<u32, f32>(words)[..len].into(),
        Dtype::F16 => bytemuck::cast_slice::<u32, f16>(words)[..len].into(),
        Dtype::BF16 => bytemuck::cast_slice::<u32, bf16>(words)[..len].into(),
    }
}

fn read<'a>(lists: &'a [Vec<u32>], parameters: &[Parameter]) -> Vec<Slice<'a>> {
    lists.iter().zip(parameters).map(|(words, p)| slice(words, p)).collect()
}

fn write<'a>(lists: &'a mut [Vec<u32>], parameters: &[Parameter]) -> Vec<SliceMut<'a>> {
    let slice = |(words, p): (&'a mut Vec<u32>, &Parameter)| -> SliceMut<'a> {
        let len = p.len as usize;
        match p.dtype {
            Dtype::F32 => (&mut bytemuck::cast_slice_mut::<u32, f32>(words)[..len]).into(),
            Dtype::F16 => (&mut bytemuck::cast_slice_mut::<u32, f16>(words)[..len]).into(),
            Dtype::BF16 => (&mut bytemuck::cast_slice_mut::<u32, bf16>(words)[..len]).into(),
        }
    };
    lists.iter_mut().zip(parameters).map(slice).collect()
}

pub(crate) fn reports_equal(want: &Reports, got: &Reports, what: &dyn std::fmt::Debug) {
    for (i, (want, got)) in want.tensors.iter().zip(&got.tensors).enumerate() {
        assert_eq!(want, got, "{what:?}: tensor {i}");
    }
    assert_eq!(want.tensors.len(), got.tensors.len(), "{what:?}");
    assert_eq!(want.total, got.total, "{what:?}: the total");
}

/// Does a call on the device and on the host, and compares every byte of every buffer and every report.
pub(crate) fn equal(gpu: &Gpu, before: &Tensors, layout: Layout, call: Call) {
    let mut after = before.clone();
    let want = after.host(call).expect("the call is valid");
    let images = before.lay_out(layout);
    let buffers = images.upload(gpu);
    let mut set = set(gpu, before, &images, &buffers, 1);
    let mut encoder = encoder(gpu);
    let pending = record(&mut set, &mut encoder, call).expect("the call is valid");
    submit(gpu, encoder);
    if let Some(want) = want {
        let got = pending.expect("the call reports").wait(PATIENCE).expect("it was submitted");
        reports_equal(&want, &got, &(layout, call));
    }
    for (want, buffer) in images.with(&after).bytes.iter().zip(&buffers) {
        same_bytes(want, &contents(gpu, buffer)).unwrap_or_else(|error| panic!("{layout:?}, {call:?}: {error}"));
    }
}

/// Evaluates a set whose tensors all have another penalty at each step, on the device and on the host, and compares the reports.
pub(crate) fn equal_step_by_step(gpu: &Gpu, mut tensors: Tensors, penalties: &[Penalty]) {
    let images = tensors.lay_out(Layout::Page);
    let buffers = images.upload(gpu);
    let mut set = set(gpu, &tensors, &images, &buffers, 2);
    for penalty in penalties {
        set.penalties_mut().for_each(|(_, p)| *p = penalty.clone());
        tensors.parameters.iter_mut().for_each(|p| p.penalty = penalty.clone());
        let mut encoder = encoder(gpu);
        let pending = record(&mut set, &mut encoder, Call::Evaluate).expect("the call is valid");
        submit(gpu, encoder);
        let got = pending.expect("the call reports").wait(PATIENCE).expect("it was submitted");
        let want = tensors.host(Call::Evaluate).expect("the call is valid").expect("the call reports");
        reports_equal(&want, &got, penalty);
    }
}

/// Everything whose bits the contract promises.
pub(crate) const EXACT: [Call; 8] = [
    Call::Evaluate,
    Call::GradientAdd,
    Call::EvaluateAndGradientAdd,
    Call::Prox(0.5),
    Call::ProxAndEvaluate(0.25),
    Call::Sgd(Sgd { step: 0.1, momentum: Momentum::None }),
    Call::Sgd(Sgd { step: 0.1, momentum: Momentum::HeavyBall { momentum: 0.9, dampening: 0.1 } }),
    Call::Sgd(Sgd { step: 0.1, momentum: Momentum::Nesterov { momentum: 0.5, dampening: 0.3 } }),
];

/// Every edge, and tensors of several spans.
pub(crate) fn lens() -> Vec<usize> {
    let mut lens: Vec<usize> = LENGTHS.into_iter().chain(LENGTHS).collect();
    lens.extend([70 * TILE + 1, 30_000, 16 * TILE, 16, 16, 16]);
    lens
}

/// 1 to 300,000, log-uniform.
pub(crate) fn thousand() -> Vec<usize> {
    let position = |i: u64| (i * 617 % 1000) as f64 / 999.0;
    (0..1000).map(|i| 300_000f64.powf(position(i)).round() as usize).collect()
}

/// A set of three tensors.
pub(crate) fn small(gpu: &Gpu, slots: usize) -> (Tensors, ParameterSet) {
    let tensors = Tensors::new(&[5000, 17, 300]);
    let images = tensors.lay_out(Layout::Page);
    let set = set(gpu, &tensors, &images, &images.upload(gpu), slots);
    (tensors, set)
}
