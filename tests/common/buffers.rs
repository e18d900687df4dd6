//! Tensors, their gradients and an optimizer's states, laid out in buffers of a device.

use penalty::gpu::{Operand, Operands, ParameterSet, Pending};
use penalty::{Gpu, Penalty, Reports, Result, wgpu};

use crate::common::compare::{POISON, same_bytes};
use crate::common::device::{TIMEOUT, USAGES, buffer, contents, encoder, submit};
use crate::common::tensors::{Call, ROLES, Shaped, Tensors, parameters_of, reports_equal};

/// Where operands lie.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Layout {
    /// All in one buffer.
    Page,
    /// A buffer for each role.
    PagePerRole,
    /// This many buffers, each with operands of all roles.
    Scattered(usize),
}

impl Tensors {
    /// Lays everything out, with poison in the gaps.
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
                // Most offsets are aligned to 16 bytes, as in frameworks. Some are not.
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

/// The bytes of each buffer. For each role and tensor: its buffer and offset.
#[derive(Clone)]
pub(crate) struct Images {
    pub(crate) bytes: Vec<Vec<u8>>,
    pub(crate) ranges: [Vec<(usize, usize)>; ROLES],
}

impl Images {
    pub(crate) fn upload(&self, gpu: &Gpu) -> Vec<wgpu::Buffer> {
        self.bytes.iter().map(|bytes| buffer(gpu, bytes, USAGES)).collect()
    }

    /// The same ranges, with the tensors' current contents.
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
        let [weights, gradients, first, second, own] = self.ranges.each_ref().map(|ranges| {
            let operand = |(&(buffer, offset), p): (&(usize, usize), &Shaped)| Operand {
                buffer: &buffers[buffer],
                offset: offset as u64,
                len: p.len,
                dtype: p.dtype,
            };
            ranges.iter().zip(&tensors.parameters).map(operand).collect::<Vec<Operand<'a>>>()
        });
        let weighted = |(own, p): (Operand<'a>, &Shaped)| p.penalty.is_weighted().then_some(own);
        let element_weights = own.into_iter().zip(&tensors.parameters).map(weighted).collect();
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

/// A set of these tensors on the device, at the ranges of the images.
pub(crate) fn set(
    gpu: &Gpu,
    tensors: &Tensors,
    images: &Images,
    buffers: &[wgpu::Buffer],
    slots: usize,
) -> ParameterSet {
    let lists = images.operands(tensors, buffers);
    ParameterSet::new(gpu, parameters_of(&tensors.parameters), &operands(&lists), slots)
        .expect("the operands are valid")
}

pub(crate) fn record(
    set: &mut ParameterSet,
    encoder: &mut wgpu::CommandEncoder,
    call: Call,
) -> Result<Option<Pending<Reports>>> {
    match call {
        Call::Evaluate => set.record_evaluate(encoder).map(Some),
        Call::GradientInto => set.record_gradient_into(encoder).map(|()| None),
        Call::GradientAdd => set.record_gradient_add(encoder).map(|()| None),
        Call::EvaluateAndGradientInto => set.record_evaluate_and_gradient_into(encoder).map(Some),
        Call::EvaluateAndGradientAdd => set.record_evaluate_and_gradient_add(encoder).map(Some),
        Call::Prox(step) => set.record_prox_in_place(encoder, step).map(|()| None),
        Call::ProxAndEvaluate(step) => set.record_prox_and_evaluate_in_place(encoder, step).map(Some),
        Call::Sgd(sgd) => set.record_sgd(encoder, &sgd).map(|()| None),
        Call::Adam(adam) => set.record_adam(encoder, &adam).map(|()| None),
        Call::SgdAndEvaluate(sgd) => set.record_sgd_and_evaluate(encoder, &sgd).map(Some),
        Call::AdamAndEvaluate(adam) => set.record_adam_and_evaluate(encoder, &adam).map(Some),
    }
}

/// Prepares a set for a call.
pub(crate) fn prepare(set: &mut ParameterSet, call: Call) -> Result<()> {
    match call {
        Call::Evaluate => set.prepare_evaluate(),
        Call::GradientInto => set.prepare_gradient_into(),
        Call::GradientAdd => set.prepare_gradient_add(),
        Call::EvaluateAndGradientInto => set.prepare_evaluate_and_gradient_into(),
        Call::EvaluateAndGradientAdd => set.prepare_evaluate_and_gradient_add(),
        Call::Prox(_) => set.prepare_prox_in_place(),
        Call::ProxAndEvaluate(_) => set.prepare_prox_and_evaluate_in_place(),
        Call::Sgd(sgd) => set.prepare_sgd(&sgd),
        Call::Adam(adam) => set.prepare_adam(&adam),
        Call::SgdAndEvaluate(sgd) => set.prepare_sgd_and_evaluate(&sgd),
        Call::AdamAndEvaluate(adam) => set.prepare_adam_and_evaluate(&adam),
    }
}

/// Runs a call on the device and on the host. Compares every byte of every buffer, and every report.
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
        let got = pending.expect("the call reports").wait(TIMEOUT).expect("it was submitted");
        reports_equal(&want, &got, &(layout, call));
    }
    for (want, buffer) in images.with(&after).bytes.iter().zip(&buffers) {
        same_bytes(want, &contents(gpu, buffer)).unwrap_or_else(|error| panic!("{layout:?}, {call:?}: {error}"));
    }
}

/// Evaluates a set on the device and on the host, and compares the reports. Each step gives all tensors another
/// penalty.
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
        let got = pending.expect("the call reports").wait(TIMEOUT).expect("it was submitted");
        let want = tensors.host(Call::Evaluate).expect("the call is valid").expect("the call reports");
        reports_equal(&want, &got, penalty);
    }
}

/// A set of three tensors.
pub(crate) fn small(gpu: &Gpu, slots: usize) -> (Tensors, ParameterSet) {
    let tensors = Tensors::new(&[5000, 17, 300]);
    let images = tensors.lay_out(Layout::Page);
    let set = set(gpu, &tensors, &images, &images.upload(gpu), slots);
    (tensors, set)
}
