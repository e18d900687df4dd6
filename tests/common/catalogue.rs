//! Every operation on a penalty of every name, with a step. All backends must agree on it. Each result gets a hash.
//!
//! `tests/data/hashes.txt` holds the hashes. So a changed bit shows even if all backends change alike.

use std::hash::Hasher;

use fnv::FnvHasher;
use penalty::exact::TILE;
use penalty::half::{bf16, f16};
use penalty::{Adam, Backend, Cpu, Dtype, Element, Groups, Metric, Momentum, Penalty, Report, Reports, Result, Sgd};

use crate::common::cases::{at_scale, noise};
use crate::common::tensors::{Call, Tensors, host_set};

/// A penalty, and the step of its prox.
pub(crate) struct Entry {
    pub(crate) name: String,
    penalty: Penalty,
    step: f64,
    /// Lengths that every group of the penalty covers.
    lens: &'static [usize],
}

const DTYPES: [Dtype; 3] = [Dtype::F32, Dtype::F16, Dtype::BF16];

/// Multiples of 48, so that the groups below cover them. Multiples of 16 bytes, so that a device needs one access only.
const LENS: [usize; 2] = [720, TILE + 32];

/// A name, its parameters and a step. A name occurs several times if its parameters choose between branches.
const SEPARABLE: [(&str, &[f64], f64); 22] = [
    ("l1", &[0.0625], 1.0),
    ("l1", &[1e-30], 7.5e-10),
    ("l2_squared", &[0.3], 0.7),
    ("l2_squared", &[1e30], 1e-20),
    ("elastic_net", &[0.15, 0.6], 0.5),
    ("elastic_net", &[1e30, 0.5], 1e-3),
    ("l0", &[0.1], 0.5),
    ("l_half", &[0.3], 0.5),
    ("l_half", &[1e-30], 1e-6),
    ("log_sum", &[0.1, 0.5], 0.5),
    ("log_sum", &[0.7, 0.01], 0.9),
    ("mcp", &[0.1, 3.0], 0.5),
    ("mcp", &[0.1, 0.7], 1.5),
    ("scad", &[0.1, 3.7], 0.5),
    ("scad", &[0.1, 1.5], 0.7),
    ("scad", &[0.1, 1.2], 9.0),
    ("huber", &[0.4, 0.25], 0.5),
    ("nonnegative_l1", &[0.1], 0.5),
    ("box", &[-0.5, 0.3], 1.0),
    ("weighted_l1", &[0.1], 0.5),
    ("weighted_elastic_net", &[0.3, 0.25], 0.5),
    ("n_of_m", &[2.0, 4.0], 1.0),
];

/// The same for group penalties. Each is taken over two kinds of groups below.
const GROUPED: [(&str, &[f64], f64); 8] = [
    ("l2_norm", &[0.3], 0.5),
    ("group_lasso", &[0.1], 0.7),
    ("sparse_group_lasso", &[0.2, 0.3], 0.7),
    ("l2_ball", &[0.7], 1.0),
    ("linf_norm", &[0.5], 0.9),
    ("l1_ball", &[1.5], 1.0),
    ("simplex", &[1.1], 1.0),
    ("top_k", &[3.0], 1.0),
];

/// Every entry of the catalogue.
pub(crate) fn entries() -> Vec<Entry> {
    let tiled = [Groups::whole, || of(Groups::runs(16)), || of(Groups::columns(24)), || of(Groups::tiles(24, 2, 8))];
    let lists = of(Groups::lists(&[(0..300).rev().collect(), (300..720).step_by(2).collect::<Vec<u64>>(), {
        (301..720).step_by(2).collect()
    }]));
    let mut entries = vec![Entry { name: "none".into(), penalty: Penalty::none(), step: 1.0, lens: &LENS }];
    for (name, parameters, step) in SEPARABLE {
        entries.push(Entry::new(name, named(name, parameters), (parameters, step), &LENS));
    }
    entries.push(Entry::new("mask", Penalty::mask(), (&[], 1.0), &LENS));
    for (i, (name, parameters, step)) in GROUPED.into_iter().enumerate() {
        for (groups, lens) in [(tiled[i % 4](), &LENS[..]), (lists.clone(), &LENS[..1])] {
            let penalty = of(named(name, parameters).over(groups.clone()));
            entries.push(Entry::new(&format!("{name} over {groups}"), penalty, (parameters, step), lens));
        }
    }
    entries
}

fn of<T>(result: Result<T>) -> T {
    result.expect("its parameters are valid")
}

fn named(name: &str, values: &[f64]) -> Penalty {
    let known = Penalty::all().find(|named| named.name == name && named.parameters.len() == values.len());
    let keys = known.expect("it is in the library's list").parameters;
    let parameters: Vec<(&str, f64)> = keys.iter().copied().zip(values.iter().copied()).collect();
    of(Penalty::named(name, &parameters))
}

/// Which pairs of operation and type are computed: one in this many, and other pairs for each entry. A device compiles
/// a kernel for each pair.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) one_in: usize,
    /// The entry's index.
    pub(crate) from: usize,
}

impl Sample {
    /// All pairs.
    pub(crate) const WHOLE: Sample = Sample { one_in: 1, from: 0 };

    /// Whether the sample has the pair of this index.
    fn has(self, pair: usize) -> bool {
        (self.from + pair).is_multiple_of(self.one_in)
    }
}

const ON_SLICES: [&str; 6] =
    ["evaluate", "partial_for", "prox", "prox_and_evaluate_in_place", "gradient", "gradient_add"];

/// Operations that need a gradient, on slices or sets, and the operation that needs a variable-metric prox (Adam's).
const OF_GRADIENTS: [&str; 3] = ["gradient", "gradient_add", "evaluate_and_gradient_add"];
const IN_THE_METRIC: &str = "adam in its own metric";

/// The names of operations with the hashes of their results.
pub(crate) type Hashes = Vec<(String, u64)>;

impl Entry {
    fn new(name: &str, penalty: Penalty, (parameters, step): (&[f64], f64), lens: &'static [usize]) -> Entry {
        Entry { name: format!("{name} {parameters:?} step {step:?}"), penalty, step, lens }
    }

    /// Whether the penalty supports the operation.
    fn can(&self, operation: &str) -> bool {
        let separable = !self.name.contains(" over ") && !self.name.starts_with("n_of_m");
        (self.penalty.has_gradient() || !OF_GRADIENTS.contains(&operation)) && (separable || operation != IN_THE_METRIC)
    }

    /// The pairs of a type and one of these operations that the sample has. `before` pairs were counted earlier.
    fn sampled<T: Copy>(
        &self,
        sample: Sample,
        before: usize,
        operations: &[(&'static str, T)],
    ) -> Vec<(Dtype, &'static str, T)> {
        let can = operations.iter().filter(|(name, _)| self.can(name));
        let pairs = DTYPES.into_iter().flat_map(|dtype| can.clone().map(move |&(name, what)| (dtype, name, what)));
        pairs.enumerate().filter(|(i, _)| sample.has(before + i)).map(|(_, pair)| pair).collect()
    }

    /// Every operation on slices.
    pub(crate) fn slices(&self, backend: &Backend, sample: Sample) -> Hashes {
        let of = |(dtype, operation, ()): (Dtype, &str, ())| {
            let hash = match dtype {
                Dtype::F32 => self.on_slices(operation, backend, |x| x),
                Dtype::F16 => self.on_slices(operation, backend, f16::from_f32),
                Dtype::BF16 => self.on_slices(operation, backend, bf16::from_f32),
            };
            let hash = hash.unwrap_or_else(|error| panic!("{operation} of {}: {error}", self.name));
            (format!("{dtype} slices {operation}"), hash)
        };
        self.sampled(sample, 0, &ON_SLICES.map(|name| (name, ()))).into_iter().map(of).collect()
    }

    fn on_slices<E: Element>(&self, operation: &str, backend: &Backend, round: fn(f32) -> E) -> Result<u64> {
        let len = *self.lens.last().expect("there is one");
        let to = |numbers: Vec<f32>| numbers.into_iter().map(round).collect::<Vec<E>>();
        let (theta, others) = (to(weights(len)), to(noise(len, 12)));
        let factors = to(noise(len, 13).into_iter().map(|x| x.max(0.0)).collect());
        let penalty = match self.penalty.is_weighted() {
            true => self.penalty.with_element_weights(&factors)?,
            false => (&self.penalty).into(),
        };
        let bytes = |elements: &[E]| bytemuck::cast_slice::<E, u8>(elements).to_vec();
        Ok(hash(&match operation {
            "evaluate" => report(&backend.evaluate(penalty, &theta)?),
            "partial_for" => backend.partial_for(penalty, 0, &theta)?.to_bytes().to_vec(),
            "prox" => bytes(&backend.prox(penalty, &theta, self.step)?),
            "prox_and_evaluate_in_place" => {
                let mut shrunk = theta;
                let left = backend.prox_and_evaluate_in_place(penalty, &mut shrunk, self.step)?;
                [report(&left), bytes(&shrunk)].concat()
            }
            "gradient" => bytes(&backend.gradient(penalty, &theta)?),
            _ => {
                let mut sum = others;
                backend.gradient_add(penalty, &theta, &mut sum)?;
                bytes(&sum)
            }
        }))
    }

    /// Every operation on a set of slices.
    pub(crate) fn host_set(&self, cpu: &Cpu, sample: Sample) -> Hashes {
        self.set(sample, |before, call| {
            let mut after = before.clone();
            let set = host_set(cpu.clone(), &before.parameters, &before.words[4]);
            let reports = after.call(&set, call)?;
            Ok((after.words.into_iter().flatten().flatten().flat_map(u32::to_le_bytes).collect(), reports))
        })
    }

    /// Every operation on a set, run by `run`. The hash covers the bytes of all tensors afterwards, and the reports.
    pub(crate) fn set(
        &self,
        sample: Sample,
        run: impl Fn(&Tensors, Call) -> Result<(Vec<u8>, Option<Reports>)>,
    ) -> Hashes {
        let of = |(dtype, name, call): (Dtype, &str, Call)| {
            let before = Tensors::with(self.lens, |_| dtype, std::slice::from_ref(&self.penalty));
            let (mut bytes, reports) =
                run(&before, call).unwrap_or_else(|error| panic!("{name} of {}: {error}", self.name));
            for report in reports.iter().flat_map(|reports| reports.tensors.iter().chain([&reports.total])) {
                bytes.extend(self::report(report));
            }
            (format!("{dtype} set {name}"), hash(&bytes))
        };
        let on_slices = self.sampled(Sample::WHOLE, 0, &ON_SLICES.map(|name| (name, ()))).len();
        self.sampled(sample, on_slices, &calls(self.step)).into_iter().map(of).collect()
    }
}

/// Every operation of a set, with every optimizer.
fn calls(step: f64) -> [(&'static str, Call); 10] {
    let sgd = |momentum| Call::SgdAndEvaluate(Sgd { step: 0.1, momentum });
    let adam = |metric| {
        Call::AdamAndEvaluate(Adam {
            step: 0.01,
            beta1: 0.9,
            beta2: 0.99,
            epsilon: 1e-8,
            decay: 0.1,
            metric,
            iteration: 3,
        })
    };
    [
        ("evaluate", Call::Evaluate),
        ("gradient_add", Call::GradientAdd),
        ("evaluate_and_gradient_add", Call::EvaluateAndGradientAdd),
        ("prox", Call::Prox(step)),
        ("prox_and_evaluate", Call::ProxAndEvaluate(step)),
        ("sgd", sgd(Momentum::None)),
        ("sgd with heavy ball", sgd(Momentum::HeavyBall { momentum: 0.75, dampening: 0.25 })),
        ("sgd with Nesterov", sgd(Momentum::Nesterov { momentum: 0.75, dampening: 0.25 })),
        ("adam with the plain metric", adam(Metric::Plain)),
        (IN_THE_METRIC, adam(Metric::Adam)),
    ]
}

/// Ordinary weights, zeros and ties. The last tile also has every scale, NaN and infinities.
fn weights(len: usize) -> Vec<f32> {
    let mut weights = noise(len, 11);
    let scaled: Vec<f32> = (-150..=127).flat_map(|k| at_scale(k, 1)).collect();
    for (i, w) in weights.iter_mut().enumerate() {
        match i % 7 {
            3 => *w = 0.25,
            4 => *w = if i % 2 == 0 { 0.0 } else { -0.0 },
            5 if i >= len / TILE * TILE => *w = scaled[i / 7 % scaled.len()],
            _ => {}
        }
    }
    weights[len - 2] = f32::from_bits(0x7fc1_2345);
    weights[len - 5] = f32::NEG_INFINITY;
    weights
}

fn report(report: &Report) -> Vec<u8> {
    let Report { len, l1, l2_squared, max_abs, nonzero, nan, inf, value } = *report;
    // All NaN count as the same.
    let bits = |x: f64| if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() };
    [len, bits(l1), bits(l2_squared), bits(max_abs), nonzero, nan, inf, bits(value)]
        .into_iter()
        .flat_map(u64::to_le_bytes)
        .collect()
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(bytes);
    hasher.finish()
}
