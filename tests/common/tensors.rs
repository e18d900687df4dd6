//! Many tensors, their gradients and an optimizer's states, in host memory.

use penalty::exact::TILE;
use penalty::half::{bf16, f16};
use penalty::{Adam, Cpu, Dtype, HostSet, Metric, Momentum, Parameter, Penalty, Reports, Result, Sgd, Slice, SliceMut};

use crate::common::cases::{LENGTHS, noise};
use crate::common::trials::sample;

/// Weights, gradients, first and second state, and the element weights.
pub(crate) const ROLES: usize = 5;
const DTYPES: [Dtype; 3] = [Dtype::F32, Dtype::F16, Dtype::BF16];

/// A tensor of a set, with its length and type.
#[derive(Debug, Clone)]
pub(crate) struct Shaped {
    pub(crate) name: String,
    pub(crate) len: u64,
    pub(crate) dtype: Dtype,
    pub(crate) penalty: Penalty,
}

#[derive(Clone)]
pub(crate) struct Tensors {
    pub(crate) parameters: Vec<Shaped>,
    /// The elements of each role and tensor, as words. An odd half word is poison. Element weights exist only for
    /// weighted penalties.
    pub(crate) words: [Vec<Vec<u32>>; ROLES],
}

/// An operation on a set.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Call {
    Evaluate,
    GradientInto,
    GradientAdd,
    EvaluateAndGradientInto,
    EvaluateAndGradientAdd,
    Prox(f64),
    ProxAndEvaluate(f64),
    Sgd(Sgd),
    SgdAndEvaluate(Sgd),
    Adam(Adam),
    AdamAndEvaluate(Adam),
}

impl Tensors {
    /// Tensors of these lengths. Types and penalties repeat in turn.
    pub(crate) fn new(lens: &[usize]) -> Tensors {
        Tensors::with(lens, |i| DTYPES[i / 2 % 3], &penalties())
    }

    /// Tensors of these lengths and one type. Penalties repeat in turn.
    pub(crate) fn of(dtype: Dtype, lens: &[usize]) -> Tensors {
        Tensors::with(lens, |_| dtype, &penalties())
    }

    /// Tensors of all types; if devices take a sample, of one type, which changes with `turn`. Each type has separate
    /// kernels.
    pub(crate) fn in_turn(turn: usize, lens: &[usize]) -> Tensors {
        if sample() == 1 { Tensors::new(lens) } else { Tensors::of(DTYPES[turn % DTYPES.len()], lens) }
    }

    /// Tensors of these lengths, types and penalties. Penalties repeat in turn.
    pub(crate) fn with(lens: &[usize], dtype: impl Fn(usize) -> Dtype, penalties: &[Penalty]) -> Tensors {
        let parameter = |(i, &len): (usize, &usize)| {
            let penalty = penalties[i % penalties.len()].clone();
            Shaped { name: format!("tensor {i}"), len: len as u64, dtype: dtype(i), penalty }
        };
        let parameters: Vec<Shaped> = lens.iter().enumerate().map(parameter).collect();
        let words = std::array::from_fn(|role| {
            let fill = |(i, p): (usize, &Shaped)| {
                let len = if role < 4 || p.penalty.is_weighted() { p.len } else { 0 };
                let seed = (i * ROLES + role) as u64;
                // A second state is a mean of squares. An element weight is at least 0.
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

    /// Runs a call on the host.
    pub(crate) fn host(&mut self, call: Call) -> Result<Option<Reports>> {
        let element_weights = self.words[4].clone();
        self.call(&host_set(Cpu::new(), &self.parameters, &element_weights), call)
    }

    pub(crate) fn call(&mut self, set: &HostSet, call: Call) -> Result<Option<Reports>> {
        let parameters = &self.parameters;
        let [weights, gradients, first, second, _] = &mut self.words;
        match call {
            Call::Evaluate => set.evaluate(&read(weights, parameters)).map(Some),
            Call::GradientInto => {
                set.gradient_into(&read(weights, parameters), &mut write(gradients, parameters)).map(|()| None)
            }
            Call::EvaluateAndGradientInto => {
                set.evaluate_and_gradient_into(&read(weights, parameters), &mut write(gradients, parameters)).map(Some)
            }
            Call::GradientAdd => {
                set.gradient_add(&read(weights, parameters), &mut write(gradients, parameters)).map(|()| None)
            }
            Call::EvaluateAndGradientAdd => {
                set.evaluate_and_gradient_add(&read(weights, parameters), &mut write(gradients, parameters)).map(Some)
            }
            Call::Prox(step) => set.prox_in_place(&mut write(weights, parameters), step).map(|()| None),
            Call::ProxAndEvaluate(step) => {
                set.prox_and_evaluate_in_place(&mut write(weights, parameters), step).map(Some)
            }
            Call::Sgd(sgd) | Call::SgdAndEvaluate(sgd) => {
                let (weights, first) = (&mut write(weights, parameters), &mut write(first, parameters));
                let gradients = &read(gradients, parameters);
                match call {
                    Call::Sgd(_) => set.sgd(weights, gradients, first, &sgd).map(|()| None),
                    _ => set.sgd_and_evaluate(weights, gradients, first, &sgd).map(Some),
                }
            }
            Call::Adam(adam) | Call::AdamAndEvaluate(adam) => {
                let (weights, first) = (&mut write(weights, parameters), &mut write(first, parameters));
                let (gradients, second) = (&read(gradients, parameters), &mut write(second, parameters));
                match call {
                    Call::Adam(_) => set.adam(weights, gradients, first, second, &adam).map(|()| None),
                    _ => set.adam_and_evaluate(weights, gradients, first, second, &adam).map(Some),
                }
            }
        }
    }
}

/// The names and penalties that describe these tensors to a set.
pub(crate) fn parameters_of(parameters: &[Shaped]) -> Vec<Parameter> {
    parameters.iter().map(|p| Parameter::new(&p.name, p.penalty.clone())).collect()
}

/// A set of these tensors on the host. Weighted penalties get these element weights.
pub(crate) fn host_set<'w>(cpu: Cpu, parameters: &[Shaped], element_weights: &'w [Vec<u32>]) -> HostSet<'w> {
    let slice = |(words, p): (&'w Vec<u32>, &Shaped)| p.penalty.is_weighted().then(|| slice(words, p));
    let element_weights: Vec<Option<Slice<'w>>> = element_weights.iter().zip(parameters).map(slice).collect();
    HostSet::new(cpu, parameters_of(parameters))
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
pub(crate) fn numbers(words: &[u32], p: &Shaped) -> Vec<f32> {
    let len = p.len as usize;
    match p.dtype {
        Dtype::F32 => bytemuck::cast_slice(words).to_vec(),
        Dtype::F16 => bytemuck::cast_slice::<u32, f16>(words)[..len].iter().map(|x| x.to_f32()).collect(),
        Dtype::BF16 => bytemuck::cast_slice::<u32, bf16>(words)[..len].iter().map(|x| x.to_f32()).collect(),
    }
}

pub(crate) fn slice<'a>(words: &'a [u32], p: &Shaped) -> Slice<'a> {
    let len = p.len as usize;
    match p.dtype {
        Dtype::F32 => bytemuck::cast_slice::<u32, f32>(words)[..len].into(),
        Dtype::F16 => bytemuck::cast_slice::<u32, f16>(words)[..len].into(),
        Dtype::BF16 => bytemuck::cast_slice::<u32, bf16>(words)[..len].into(),
    }
}

fn read<'a>(lists: &'a [Vec<u32>], parameters: &[Shaped]) -> Vec<Slice<'a>> {
    lists.iter().zip(parameters).map(|(words, p)| slice(words, p)).collect()
}

fn write<'a>(lists: &'a mut [Vec<u32>], parameters: &[Shaped]) -> Vec<SliceMut<'a>> {
    let slice = |(words, p): (&'a mut Vec<u32>, &Shaped)| -> SliceMut<'a> {
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

/// Every call whose bits the contract promises.
pub(crate) const EXACT: [Call; 10] = [
    Call::Evaluate,
    Call::GradientAdd,
    Call::EvaluateAndGradientAdd,
    Call::Prox(0.5),
    Call::ProxAndEvaluate(0.25),
    Call::SgdAndEvaluate(Sgd { step: 0.1, momentum: Momentum::None }),
    Call::SgdAndEvaluate(Sgd { step: 0.1, momentum: Momentum::HeavyBall { momentum: 0.9, dampening: 0.1 } }),
    Call::SgdAndEvaluate(Sgd { step: 0.1, momentum: Momentum::Nesterov { momentum: 0.5, dampening: 0.3 } }),
    Call::GradientInto,
    Call::EvaluateAndGradientInto,
];

/// Steps of every kind, alone and with a report.
pub(crate) fn steps() -> impl Iterator<Item = [Call; 2]> {
    let momentum = [
        Momentum::None,
        Momentum::HeavyBall { momentum: 0.9, dampening: 0.1 },
        Momentum::Nesterov { momentum: 0.5, dampening: 0.3 },
    ];
    let sgd = momentum.map(|momentum| Sgd { step: 0.1, momentum });
    let adam = [Metric::Plain, Metric::Adam].map(|metric| Adam { step: 0.02, metric, ..Adam::default() });
    let sgd = sgd.into_iter().map(|sgd| [Call::Sgd(sgd), Call::SgdAndEvaluate(sgd)]);
    sgd.chain(adam.into_iter().map(|adam| [Call::Adam(adam), Call::AdamAndEvaluate(adam)]))
}

/// Lengths at every edge, and of several spans.
pub(crate) fn lens() -> Vec<usize> {
    let mut lens: Vec<usize> = LENGTHS.into_iter().chain(LENGTHS).collect();
    lens.extend([70 * TILE + 1, 30_000, 16 * TILE, 16, 16, 16]);
    lens
}

/// A thousand lengths from 1 to 300,000, log-uniform.
pub(crate) fn thousand() -> Vec<usize> {
    let position = |i: u64| (i * 617 % 1000) as f64 / 999.0;
    (0..1000).map(|i| 300_000f64.powf(position(i)).round() as usize).collect()
}
