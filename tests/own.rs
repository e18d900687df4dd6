//! Penalties of a user's own: the same bits everywhere and those of a built-in one written again, and what is refused of a pair that
//! disagrees, does not compile, or was not checked.

mod common;

use common::adapters::{Device, DeviceTest};
use common::cases::{self, noise};
use common::compare::{close, same_bits};
use common::device::{PATIENCE, USAGES, buffer, contents, encoder, own, submit};
use common::everything::same;
use common::oracle::Weight;
use common::tensors::{Call, Layout, Tensors, equal};
use libtest_mimic::Trial;
use penalty::gpu::{Operand, Operands, ParameterSet, Poller, Recording};
use penalty::half::{bf16, f16};
use penalty::own::{self as twins, Elementwise};
use penalty::{
    Adam, Backend, Cpu, Dtype, Error, Gpu, HostSet, InstructionSet, Metric, Momentum, Parameter, Partial, Penalty,
    Result, Sgd, TILE,
};

fn main() {
    let sets = InstructionSet::available().into_iter().map(|set| {
        let run = move || {
            let backend = Backend::Cpu(Cpu::with_instructions(set).expect("the processor has them"));
            same_bits_as_the_reference(&backend);
            Ok(())
        };
        Trial::test("every_instruction_set_gives_the_same_bits", run).with_kind(format!("CPU, {set:?}"))
    });
    let host: [(&str, fn()); 6] = [
        ("the_host_follows_the_formulas", the_host_follows_the_formulas),
        ("a_built_in_penalty_written_again_has_its_bits", || written_again(&Backend::cpu())),
        ("a_constraint_has_no_gradient", || a_constraint_has_no_gradient(&Backend::cpu())),
        ("parameters_and_steps_are_refused", parameters_and_steps_are_refused),
        ("partials_are_told_apart", partials_are_told_apart),
        ("functions_that_break_rules_do_not_panic", functions_that_break_rules_do_not_panic),
    ];
    let host = host.into_iter().map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    let tests: &[DeviceTest] = &[
        ("every_adapter_gives_the_same_bits", |device| same_bits_as_the_reference(&device.backend())),
        ("a_built_in_penalty_written_again_has_its_bits", |device| written_again(&device.backend())),
        ("a_set_of_several_types_equals_the_host", a_set_of_several_types_equals_the_host),
        ("a_constraint_has_no_gradient", a_constraint_has_no_gradient_on_a_device),
        ("recording_on_buffers_equals_the_host", recording_on_buffers_equals_the_host),
        ("what_was_not_checked_is_not_recorded", what_was_not_checked_is_not_recorded),
        ("halves_that_disagree_are_refused", halves_that_disagree_are_refused),
        ("wgsl_that_is_none_is_refused", wgsl_that_is_none_is_refused),
        ("types_of_one_name_are_two", types_of_one_name_are_two),
        ("a_type_is_checked_once_and_its_refusal_kept", a_type_is_checked_once_and_its_refusal_kept),
    ];
    common::adapters::run(sets.chain(host).collect(), tests);
}

/// λΣ τθ where θ > 0, else (τ − 1)θ.
enum Pinball {}

impl Elementwise for Pinball {
    const NAME: &'static str = "pinball";
    const WGSL: &'static str = "
        fn term(theta: vec4<f32>, t: TermNumbers) -> vec4<f32> {
            return select(-theta * t[1], theta * t[0], theta > vec4<f32>(0.0));
        }
        fn gradient(theta: vec4<f32>, c: Numbers) -> vec4<f32> {
            let below = select(vec4<f32>(0.0), -c[1], theta < vec4<f32>(0.0));
            return select(below, c[0], theta > vec4<f32>(0.0));
        }
        fn prox(v: vec4<f32>, c: Numbers) -> vec4<f32> {
            return opaque(v - clamp(v, -c[1], c[0]));
        }";

    fn accept([_, tau]: [f64; 2]) -> Result<()> {
        let refused = Error::Parameter { name: "tau", expected: "from 0 to 1", found: tau };
        if (0.0..=1.0).contains(&tau) { Ok(()) } else { Err(refused) }
    }

    fn term_numbers([_, tau]: [f64; 2]) -> [f64; 3] {
        [tau, 1.0 - tau, 0.0]
    }

    fn gradient_numbers([lambda, tau]: [f64; 2]) -> [f64; 3] {
        [lambda * tau, lambda * (1.0 - tau), 0.0]
    }

    fn gradient_limits([lambda, tau]: [f64; 2]) -> [f64; 2] {
        [-lambda * (1.0 - tau), lambda * tau]
    }

    /// Takes no step of 0, which others do.
    fn prox_numbers([lambda, tau]: [f64; 2], step: f64) -> Result<[f64; 5]> {
        if step == 0.0 {
            return Err(Error::Parameter { name: "step", expected: "above 0", found: step });
        }
        Ok([step * lambda * tau, step * lambda * (1.0 - tau), 0.0, 0.0, 0.0])
    }

    #[inline(always)]
    fn term(theta: f32, t: &[f32; 3]) -> f32 {
        if theta > 0.0 { theta * t[0] } else { -theta * t[1] }
    }

    #[inline(always)]
    fn gradient(theta: f32, c: &[f32; 3]) -> f32 {
        if theta > 0.0 {
            c[0]
        } else if theta < 0.0 {
            -c[1]
        } else {
            0.0
        }
    }

    #[inline(always)]
    fn prox(v: f32, c: &[f32; 5]) -> f32 {
        let raised = if v > -c[1] { v } else { -c[1] };
        v - if raised < c[0] { raised } else { c[0] }
    }
}

/// The reverse of Huber's penalty, λΣ|θ| up to δ and λΣ(θ² + δ²)/(2δ) beyond (Owen 2007), with a prox in Adam's metric.
enum BerHu {}

impl Elementwise for BerHu {
    const NAME: &'static str = "berhu";
    const WGSL: &'static str = "
        fn term(theta: vec4<f32>, t: TermNumbers) -> vec4<f32> {
            let a = abs(theta);
            let beyond = bounded(opaque(opaque(a * a) * 0.5) + t[1]);
            return select(beyond, bounded(a * t[0]), a <= t[0]);
        }
        fn gradient(theta: vec4<f32>, c: Numbers) -> vec4<f32> {
            let a = abs(theta);
            let slope = select(bounded(a * c[1]), c[0], a <= c[2]);
            return select(signed(slope, theta), vec4<f32>(0.0), theta == vec4<f32>(0.0));
        }
        fn prox(v: vec4<f32>, c: Numbers) -> vec4<f32> {
            return select(opaque(v * c[2]), threshold(v, c[0]), abs(v) <= c[1]);
        }
        fn metric_prox(v: vec4<f32>, d: vec4<f32>, c: Numbers) -> vec4<f32> {
            let k = quotient(c[0], d);
            let beyond = opaque(v * quotient(d, opaque(d + c[2])));
            return select(beyond, threshold(v, k), abs(v) <= opaque(c[1] + k));
        }";

    fn accept([_, delta]: [f64; 2]) -> Result<()> {
        let refused = Error::Parameter { name: "delta", expected: "from 2^-40 to 2^40", found: delta };
        if (2f64.powi(-40)..=2f64.powi(40)).contains(&delta) { Ok(()) } else { Err(refused) }
    }

    /// Of δ times the summand, which then has no quotient.
    fn weight([lambda, delta]: [f64; 2]) -> f64 {
        lambda / delta
    }

    fn term_numbers([_, delta]: [f64; 2]) -> [f64; 3] {
        [delta, 0.5 * delta * delta, 0.0]
    }

    fn gradient_numbers([lambda, delta]: [f64; 2]) -> [f64; 3] {
        [lambda, lambda / delta, delta]
    }

    fn gradient_limits([lambda, _]: [f64; 2]) -> [f64; 2] {
        if lambda == 0.0 { [0.0; 2] } else { [f64::NEG_INFINITY, f64::INFINITY] }
    }

    fn prox_numbers([lambda, delta]: [f64; 2], step: f64) -> Result<[f64; 5]> {
        let k = step * lambda;
        Ok([k, delta + k, 1.0 / (1.0 + k / delta), 0.0, 0.0])
    }

    fn metric_numbers([lambda, delta]: [f64; 2], step: f64) -> Result<[f64; 5]> {
        Ok([step * lambda, delta, step * lambda / delta, 0.0, 0.0])
    }

    #[inline(always)]
    fn term(theta: f32, t: &[f32; 3]) -> f32 {
        let a = theta.abs();
        if a <= t[0] { twins::bounded(a * t[0]) } else { twins::bounded((a * a) * 0.5 + t[1]) }
    }

    #[inline(always)]
    fn gradient(theta: f32, c: &[f32; 3]) -> f32 {
        let a = theta.abs();
        let slope = if a <= c[2] { c[0] } else { twins::bounded(a * c[1]) };
        if theta == 0.0 { 0.0 } else { twins::signed(slope, theta) }
    }

    #[inline(always)]
    fn prox(v: f32, c: &[f32; 5]) -> f32 {
        if v.abs() <= c[1] { twins::threshold(v, c[0]) } else { v * c[2] }
    }

    #[inline(always)]
    fn metric_prox(v: f32, d: f32, c: &[f32; 5]) -> f32 {
        let k = twins::quotient(c[0], d);
        let beyond = v * twins::quotient(d, d + c[2]);
        if v.abs() <= c[1] + k { twins::threshold(v, k) } else { beyond }
    }
}

/// A constraint: no weight below the first parameter. It has no gradient, so nobody asks for one in either half.
enum AtLeast {}

impl Elementwise for AtLeast {
    const NAME: &'static str = "at_least";
    const WGSL: &'static str = "
        fn term(theta: vec4<f32>, t: TermNumbers) -> vec4<f32> {
            return select(vec4<f32>(0.0), vec4<f32>(1.0), theta < t[0]);
        }
        fn prox(v: vec4<f32>, c: Numbers) -> vec4<f32> {
            return max(v, c[0]);
        }";

    fn weight(_: [f64; 2]) -> f64 {
        f64::INFINITY
    }

    fn term_numbers([lowest, _]: [f64; 2]) -> [f64; 3] {
        [lowest, 0.0, 0.0]
    }

    fn gradient_limits(_: [f64; 2]) -> [f64; 2] {
        [0.0; 2]
    }

    fn prox_numbers([lowest, _]: [f64; 2], _: f64) -> Result<[f64; 5]> {
        Ok([lowest, 0.0, 0.0, 0.0, 0.0])
    }

    #[inline(always)]
    fn term(theta: f32, t: &[f32; 3]) -> f32 {
        if theta < t[0] { 1.0 } else { 0.0 }
    }

    fn gradient(_: f32, _: &[f32; 3]) -> f32 {
        unreachable!("a constraint has no gradient")
    }

    #[inline(always)]
    fn prox(v: f32, c: &[f32; 5]) -> f32 {
        if v > c[0] { v } else { c[0] }
    }
}

fn at_least(lowest: f64) -> Penalty {
    Penalty::own::<AtLeast>([lowest, 0.0]).expect("its parameters are valid")
}

/// The functions of L1 in WGSL.
macro_rules! wgsl {
    (term) => {
        "fn term(theta: vec4<f32>, t: TermNumbers) -> vec4<f32> { return abs(theta); }
"
    };
    (gradient) => {
        "fn gradient(theta: vec4<f32>, c: Numbers) -> vec4<f32> {
            return select(signed(c[0], theta), vec4<f32>(0.0), theta == vec4<f32>(0.0));
        }
"
    };
    (prox) => {
        "fn prox(v: vec4<f32>, c: Numbers) -> vec4<f32> { return threshold(v, c[0]); }
"
    };
    (metric_prox) => {
        "fn metric_prox(v: vec4<f32>, d: vec4<f32>, c: Numbers) -> vec4<f32> { return threshold(v, quotient(c[0], d)); }
"
    };
}

/// What is given in WGSL for each mistake.
const WGSL: [&str; 10] = [
    concat!(wgsl!(term), wgsl!(gradient), wgsl!(prox), wgsl!(metric_prox)),
    concat!(
        "fn term(theta: vec4<f32>, t: TermNumbers) -> vec4<f32> { return min(abs(theta), vec4<f32>(1e30)); }",
        wgsl!(gradient),
        wgsl!(prox),
        wgsl!(metric_prox)
    ),
    concat!(
        wgsl!(term),
        "fn gradient(theta: vec4<f32>, c: Numbers) -> vec4<f32> { return signed(c[0], theta); }",
        wgsl!(prox),
        wgsl!(metric_prox)
    ),
    concat!(
        wgsl!(term),
        wgsl!(gradient),
        "fn prox(v: vec4<f32>, c: Numbers) -> vec4<f32> { return threshold(v, c[0]) * 0.99999994; }",
        wgsl!(metric_prox)
    ),
    concat!(
        wgsl!(term),
        wgsl!(gradient),
        wgsl!(prox),
        "fn metric_prox(v: vec4<f32>, d: vec4<f32>, c: Numbers) -> vec4<f32> { return threshold(v, c[0] * d); }"
    ),
    concat!(wgsl!(term), wgsl!(gradient), "fn prox(v: vec4<f32>, c: Numbers) -> vec4<f32> { return v +; }"),
    concat!(wgsl!(term), wgsl!(gradient)),
    concat!(wgsl!(term), wgsl!(gradient), "fn prox(v: vec4<f32>) -> vec4<f32> { return v; }"),
    concat!(wgsl!(term), wgsl!(gradient), wgsl!(prox), "fn visit(x: f32) -> f32 { return x; }"),
    concat!(wgsl!(term), wgsl!(gradient), wgsl!(prox), "/*"),
];

/// L1 written again, or with a mistake in its WGSL. Each is a type of its own, and all have one name.
struct L1<const MISTAKE: usize>;

/// What the mistakes are in.
const RIGHT: usize = 0;
const IN_TERM: usize = 1;
const IN_GRADIENT: usize = 2;
const IN_PROX: usize = 3;
const IN_METRIC: usize = 4;
const IN_SYNTAX: usize = 5;
const NO_PROX: usize = 6;
const IN_SIGNATURE: usize = 7;
const TAKEN_NAME: usize = 8;
const UNCLOSED: usize = 9;

impl<const MISTAKE: usize> Elementwise for L1<MISTAKE> {
    const NAME: &'static str = "l1_again";
    const WGSL: &'static str = WGSL[MISTAKE];

    fn gradient_limits([lambda, _]: [f64; 2]) -> [f64; 2] {
        [-lambda, lambda]
    }

    fn metric_numbers(p: [f64; 2], step: f64) -> Result<[f64; 5]> {
        Self::prox_numbers(p, step)
    }

    #[inline(always)]
    fn term(theta: f32, _: &[f32; 3]) -> f32 {
        assert!(theta.is_finite());
        theta.abs()
    }

    #[inline(always)]
    fn gradient(theta: f32, c: &[f32; 3]) -> f32 {
        assert!(theta.is_finite());
        if theta == 0.0 { 0.0 } else { twins::signed(c[0], theta) }
    }

    #[inline(always)]
    fn prox(v: f32, c: &[f32; 5]) -> f32 {
        assert!(v.is_finite());
        twins::threshold(v, c[0])
    }

    #[inline(always)]
    fn metric_prox(v: f32, d: f32, c: &[f32; 5]) -> f32 {
        twins::threshold(v, twins::quotient(c[0], d))
    }
}

/// Whose functions break the rules as `KIND` says; no device is asked about them.
struct Lawless<const KIND: usize>;

impl<const KIND: usize> Elementwise for Lawless<KIND> {
    const NAME: &'static str = "lawless";
    const WGSL: &'static str = WGSL[RIGHT];

    fn gradient_limits(_: [f64; 2]) -> [f64; 2] {
        [0.0; 2]
    }

    fn term(theta: f32, _: &[f32; 3]) -> f32 {
        [f32::NAN, -1.0, f32::INFINITY, f32::MAX, theta.abs(), theta.abs()][KIND]
    }

    fn gradient(theta: f32, c: &[f32; 3]) -> f32 {
        if KIND == 4 { f32::NAN } else { L1::<RIGHT>::gradient(theta, c) }
    }

    fn prox(v: f32, _: &[f32; 5]) -> f32 {
        if KIND == 5 { f32::INFINITY } else { v }
    }
}

fn pinball(lambda: f64, tau: f64) -> Penalty {
    Penalty::own::<Pinball>([lambda, tau]).expect("its parameters are valid")
}

fn berhu(lambda: f64, delta: f64) -> Penalty {
    Penalty::own::<BerHu>([lambda, delta]).expect("its parameters are valid")
}

fn l1_with<const MISTAKE: usize>() -> Penalty {
    Penalty::own::<L1<MISTAKE>>([0.5, 0.0]).expect("its parameters are valid")
}

/// Penalties with steps, ordinary and extreme.
fn penalties() -> Vec<(Penalty, f64)> {
    vec![
        (pinball(0.5, 0.25), 0.5),
        (pinball(1e38, 1.0), 1e-3),
        (pinball(0.0, 0.5), 1.0),
        (berhu(0.1, 0.5), 0.5),
        (berhu(1e-3, 1e12), 1e3),
        (berhu(1e20, 1e-12), 1.0),
        (l1_with::<RIGHT>(), 0.7),
        (at_least(-0.25), 1.0),
    ]
}

fn same_bits_as_the_reference(backend: &Backend) {
    // A multiple of four, so that no tail takes a kernel of its own: drivers take a second for each.
    let (mut edges, mut others) = cases::elementwise();
    edges.truncate(edges.len() / 4 * 4);
    others.truncate(edges.len());
    let half = |weights: &[f32]| weights.iter().map(|&x| f16::nearest(x)).collect::<Vec<f16>>();
    let brain = |weights: &[f32]| weights.iter().map(|&x| bf16::nearest(x)).collect::<Vec<bf16>>();
    let mut tiles = noise(2 * TILE + 76, 11);
    tiles.extend(cases::at_scale(127, TILE));
    let tiles_others = noise(tiles.len(), 12);
    for (i, case) in penalties().iter().enumerate() {
        let (penalty, step) = case;
        let name = |weights: &str| format!("{weights} by {penalty:?}");
        same(backend, (penalty, *step), &name("edges"), &edges, &others);
        same(backend, (penalty, *step), &name("tiles"), &tiles, &tiles_others);
        if i == 0 || i == 3 {
            same(backend, (penalty, *step), &name("edges"), &half(&edges), &half(&others));
            same(backend, (penalty, *step), &name("tiles"), &brain(&tiles), &brain(&tiles_others));
        }
    }
}

/// Against formulas in `f64`.
fn the_host_follows_the_formulas() {
    let cpu = Backend::cpu();
    let weights: Vec<f32> = noise(5000, 3).iter().map(|x| 4.0 * x).chain([0.0, 1e10, -1e10]).collect();
    let (lambda, shape, step) = (0.5, 0.25, 0.8);
    let k = lambda * step;
    // The value, the gradient and the prox of one number.
    type Formulas = fn(f64, [f64; 3]) -> [f64; 3];
    let formulas: [(Penalty, [f32; 2], Formulas); 2] = [
        (pinball(lambda, shape), [-0.375, 0.125], |x, [lambda, tau, k]| {
            let slope = if x > 0.0 { tau } else { tau - 1.0 };
            let shrunk = x - x.clamp(-k * (1.0 - tau), k * tau);
            [lambda * slope * x, if x == 0.0 { 0.0 } else { lambda * slope }, shrunk]
        }),
        (berhu(lambda, shape), [f32::NEG_INFINITY, f32::INFINITY], |x, [lambda, delta, k]| {
            let (a, sign) = (x.abs(), if x == 0.0 { 0.0 } else { x.signum() });
            let value = if a <= delta { a } else { (x * x + delta * delta) / (2.0 * delta) };
            let slope = if a <= delta { sign } else { x / delta };
            let shrunk = if a <= delta + k { sign * (a - k).max(0.0) } else { x / (1.0 + k / delta) };
            [lambda * value, lambda * slope, shrunk]
        }),
    ];
    for (penalty, limits, formulas) in formulas {
        let of = |x: &f32| formulas(f64::from(*x), [lambda, shape, k]);
        let value: f64 = weights.iter().map(|x| of(x)[0]).sum();
        let report = cpu.evaluate(&penalty, &weights).expect("the CPU does not fail");
        close(value, report.value, 1e-6).expect("the value");
        let gradient = cpu.gradient(&penalty, &weights).expect("the CPU does not fail");
        let shrunk = cpu.prox(&penalty, &weights, step).expect("the CPU does not fail");
        for ((x, gradient), shrunk) in weights.iter().zip(gradient).zip(shrunk) {
            let [_, slope, prox] = of(x);
            assert!((f64::from(gradient) - slope).abs() <= 1e-6 * slope.abs(), "{penalty:?} at {x}: {gradient}");
            assert!((f64::from(shrunk) - prox).abs() <= 3e-7 * f64::from(x.abs()), "{penalty:?} at {x}: {shrunk}");
        }
        let infinite = cpu.gradient(&penalty, &[f32::NEG_INFINITY, f32::INFINITY]).expect("the CPU does not fail");
        assert_eq!(infinite, limits);
    }
}

fn a_constraint_has_no_gradient(backend: &Backend) {
    let (penalty, weights) = (at_least(-0.5), [1.0f32, -1.0, 0.0, -0.25]);
    assert!(!penalty.has_gradient() && l1_with::<RIGHT>().has_gradient());
    let mut sum = [7.0f32; 4];
    let refused = Err(Error::NoGradient { penalty: "at_least" });
    assert_eq!(backend.gradient(&penalty, &weights).map(drop), refused);
    assert_eq!(backend.gradient_into(&penalty, &weights, &mut sum), refused);
    assert_eq!(backend.gradient_add(&penalty, &weights, &mut sum), refused);
    assert_eq!(sum, [7.0; 4]);
    assert_eq!(backend.prox(&penalty, &weights, 1.0), Ok(vec![1.0, -0.5, 0.0, -0.25]));
    let value = |weights: &[f32]| backend.evaluate(&penalty, weights).map(|report| report.value);
    assert_eq!([value(&weights), value(&weights[2..])], [Ok(f64::INFINITY), Ok(0.0)]);
}

fn a_constraint_has_no_gradient_on_a_device(device: &Device) {
    a_constraint_has_no_gradient(&device.backend());
    let gpu = device.plain();
    let penalty = at_least(-0.5);
    gpu.check(&penalty).expect("its halves agree");
    let page = buffer(gpu, &[0; 64], USAGES);
    let [theta, g] = [0, 16].map(|offset| Operand { buffer: &page, offset, len: 4, dtype: Dtype::F32 });
    let mut encoder = encoder(gpu);
    let refused = Err(Error::NoGradient { penalty: "at_least" });
    assert_eq!(gpu.record_gradient(&mut encoder, &penalty, &theta, &g), refused);
    assert_eq!(gpu.record_gradient_add(&mut encoder, &penalty, &theta, &g), refused);
    let mut set = small_set(gpu, &penalty).expect("the operands are valid");
    assert_eq!(set.record_gradient_add(&mut encoder).map_err(inner), refused);
    assert_eq!(set.record_prox(&mut encoder, 1.0), Ok(()));
    submit(gpu, encoder);
}

/// L1 of a user's own has the bits of the built-in one, where its sum of terms is taken as Σ|θ| is.
fn written_again(backend: &Backend) {
    let (mut edges, mut others) = cases::elementwise();
    edges.truncate(edges.len() / 4 * 4);
    others.truncate(edges.len());
    let (built_in, again) = (Penalty::l1(0.5).expect("its parameters are valid"), l1_with::<RIGHT>());
    let of = |penalty: &Penalty| {
        let mut sum = others.clone();
        backend.gradient_add(penalty, &edges, &mut sum)?;
        let (gradient, prox) = (backend.gradient(penalty, &edges)?, backend.prox(penalty, &edges, 0.3)?);
        Ok::<_, Error>([gradient, sum, prox])
    };
    let (want, got) = (of(&built_in).expect("the calls are valid"), of(&again).expect("the calls are valid"));
    for (want, got) in want.iter().zip(&got) {
        same_bits(want, got).expect("L1 written again has L1's bits");
    }
    let weights = noise(2 * TILE + 300, 7);
    let value = |penalty: &Penalty| backend.evaluate(penalty, &weights).expect("the calls are valid").value;
    assert_eq!(value(&built_in).to_bits(), value(&again).to_bits());
}

fn parameters_and_steps_are_refused() {
    let text = |result: Result<Penalty>| result.expect_err("it is refused").to_string();
    assert_eq!(text(Penalty::own::<Pinball>([1.0, 2.0])), "tau must be from 0 to 1, found 2");
    let expected = "the weight must be a number from 0 to half of f32::MAX, found -1";
    assert_eq!(text(Penalty::own::<Pinball>([-1.0, 0.5])), expected);
    let expected = "the numbers of the term must be numbers, found NaN";
    assert_eq!(text(Penalty::own::<L1<RIGHT>>([1.0, f64::NAN])), expected);
    // Adam's metric is that of penalties that have a prox in it.
    let adam = Adam { metric: Metric::Adam, ..Adam::default() };
    let step = |penalty: Penalty| {
        let set = HostSet::new(Cpu::new(), vec![Parameter::new("w", 4, Dtype::F32, penalty)]);
        let [mut weights, mut first, mut second] = [[1.0f32; 4]; 3];
        let states = [&mut weights, &mut first, &mut second].map(|slice| [(&mut slice[..]).into()]);
        let [mut weights, mut first, mut second] = states;
        set.adam(&adam, &[(&[1.0f32; 4][..]).into()], &mut weights, &mut first, &mut second).map(drop)
    };
    assert_eq!(step(berhu(0.1, 0.5)), Ok(()));
    let refused = Err(Error::GroupMetric { penalty: "pinball" });
    assert_eq!(step(pinball(0.1, 0.5)).map_err(inner), refused);
}

/// What is said of a tensor of a set.
fn inner(error: Error) -> Error {
    match error {
        Error::InParameter { error, .. } => *error,
        error => error,
    }
}

fn partials_are_told_apart() {
    let cpu = Backend::cpu();
    let weights = noise(TILE, 1);
    let of = |penalty: &Penalty| cpu.partial_for(penalty, 0, &weights).expect("the CPU does not fail");
    let (pinball, other, berhu) = (pinball(0.5, 0.25), pinball(0.5, 0.5), berhu(0.5, 0.25));
    let value = |partial: &Partial, penalty: &Penalty| partial.report(penalty).map(|report| report.value);
    assert_eq!(value(&of(&pinball), &pinball), cpu.evaluate(&pinball, &weights).map(|report| report.value));
    for wrong in [&other, &berhu, &Penalty::mcp(0.5, 0.25).expect("its parameters are valid")] {
        let refused = |penalty: &Penalty| matches!(value(&of(wrong), penalty), Err(Error::OtherPenalty { .. }));
        assert!(refused(&pinball), "{wrong:?}");
    }
    // Where the numbers of the term are the same, the formula tells.
    let (l1, l0) = (l1_with::<RIGHT>(), Penalty::l0(0.5).expect("its parameters are valid"));
    let lawless = Penalty::own::<Lawless<4>>([0.5, 0.0]).expect("its parameters are valid");
    for (made_for, asked) in [(&l1, &l0), (&l0, &l1), (&lawless, &l1)] {
        assert!(matches!(value(&of(made_for), asked), Err(Error::OtherPenalty { .. })), "{made_for:?}");
    }
    assert_eq!(Partial::from_bytes(&of(&pinball).to_bytes()), Ok(of(&pinball)));
    assert!(Penalty::all().all(|named| named.name != "pinball"));
    assert!(!self::pinball(0.0, 0.5).is_none());
}

fn functions_that_break_rules_do_not_panic() {
    fn run<const KIND: usize>() {
        let penalty = Penalty::own::<Lawless<KIND>>([1.0, 0.0]).expect("its parameters are valid");
        let mut weights = cases::at_scale(127, TILE);
        weights.extend(noise(3 * TILE + 5, 1));
        for backend in InstructionSet::available() {
            let cpu = Backend::Cpu(Cpu::with_instructions(backend).expect("the processor has them"));
            let mut shrunk = weights.clone();
            cpu.evaluate(&penalty, &weights).expect("the CPU does not fail");
            cpu.gradient(&penalty, &weights).expect("the CPU does not fail");
            cpu.prox_and_evaluate_in_place(&penalty, &mut shrunk, 1.0).expect("the CPU does not fail");
        }
    }
    run::<0>();
    run::<1>();
    run::<2>();
    run::<3>();
    run::<4>();
    run::<5>();
}

const ADAM: Adam =
    Adam { step: 0.01, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, decay: 0.1, metric: Metric::Plain, iteration: 3 };

fn a_set_of_several_types_equals_the_host(device: &Device) {
    let gpu = device.plain();
    let (pinball, berhu, l1) =
        (pinball(0.1, 0.25), berhu(0.1, 0.3), Penalty::l1(0.03).expect("its parameters are valid"));
    for penalty in [&pinball, &berhu, &l1] {
        gpu.check(penalty).expect("its halves agree");
    }
    let lens = [4, 64, 700, TILE, TILE + 8];
    let all = [pinball, berhu.clone(), l1.clone()];
    // The formulas do not know the type.
    let calls = [
        (Dtype::F32, Call::GradientAdd),
        (Dtype::F32, Call::ProxAndEvaluate(0.5)),
        (Dtype::F32, Call::Sgd(Sgd { step: 0.1, momentum: Momentum::nesterov(0.5) })),
        (Dtype::F32, Call::Adam(ADAM)),
        (Dtype::F16, Call::EvaluateAndGradientAdd),
        (Dtype::BF16, Call::Sgd(Sgd { step: 0.1, momentum: Momentum::None })),
    ];
    for (dtype, call) in calls {
        equal(gpu, &Tensors::with(&lens, |_| dtype, &all), Layout::Page, call);
    }
    let tensors = Tensors::with(&lens, |_| Dtype::F32, &[berhu, l1]);
    equal(gpu, &tensors, Layout::PagePerRole, Call::Adam(Adam { metric: Metric::Adam, ..ADAM }));
}

fn recording_on_buffers_equals_the_host(device: &Device) {
    let gpu = device.plain();
    let (penalty, cpu) = (pinball(0.1, 0.25), Backend::cpu());
    gpu.check(&penalty).expect("its halves agree");
    let (weights, mut gradient) = (noise(TILE + 36, 1), noise(TILE + 36, 2));
    let buffers = [&weights, &gradient].map(|numbers| buffer(gpu, bytemuck::cast_slice(numbers), USAGES));
    let [theta, g] =
        buffers.each_ref().map(|buffer| Operand { buffer, offset: 0, len: weights.len() as u64, dtype: Dtype::F32 });
    let mut encoder = encoder(gpu);
    gpu.record_gradient_add(&mut encoder, &penalty, &theta, &g).expect("the operands are valid");
    gpu.record_prox(&mut encoder, &penalty, &theta, 0.5).expect("the operands are valid");
    let pending = gpu.record_evaluate(&mut encoder, &penalty, &theta).expect("the operands are valid");
    submit(gpu, encoder);
    cpu.gradient_add(&penalty, &weights, &mut gradient).expect("the CPU does not fail");
    let shrunk = cpu.prox(&penalty, &weights, 0.5).expect("the CPU does not fail");
    assert_eq!(pending.wait(PATIENCE), cpu.evaluate(&penalty, &shrunk));
    for (want, buffer) in [&shrunk, &gradient].into_iter().zip(&buffers) {
        same_bits(want, &bytemuck::pod_collect_to_vec::<u8, f32>(&contents(gpu, buffer))).expect("the host's bits");
    }
}

/// A set of one tensor of four weights, in the first bytes of a page.
fn small_set(gpu: &Gpu, penalty: &Penalty) -> Result<ParameterSet> {
    let page = buffer(gpu, &[0; 256], USAGES);
    let at = |offset| [Operand { buffer: &page, offset, len: 4, dtype: Dtype::F32 }];
    let (weights, gradients, first, second) = (at(0), at(64), at(128), at(192));
    let operands =
        Operands { weights: &weights, gradients: &gradients, first: &first, second: &second, ..Operands::default() };
    ParameterSet::new(gpu, vec![Parameter::new("w", 4, Dtype::F32, penalty.clone())], &operands, 1)
}

fn what_was_not_checked_is_not_recorded(device: &Device) {
    let gpu = &own(device);
    let penalty = pinball(0.1, 0.25);
    let unchecked = Error::Unchecked { penalty: "pinball" };
    let text = "pinball must be checked on this device before it is recorded: call Gpu::check first";
    assert_eq!(unchecked.to_string(), text);
    let page = buffer(gpu, &[0; 64], USAGES);
    let [theta, g] = [0, 16].map(|offset| Operand { buffer: &page, offset, len: 4, dtype: Dtype::F32 });
    let mut encoder = encoder(gpu);
    assert_eq!(gpu.record_prox(&mut encoder, &penalty, &theta, 0.5), Err(unchecked.clone()));
    assert_eq!(gpu.record_gradient(&mut encoder, &penalty, &theta, &g), Err(unchecked.clone()));
    assert_eq!(gpu.record_gradient_add(&mut encoder, &penalty, &theta, &g), Err(unchecked.clone()));
    assert_eq!(gpu.record_evaluate(&mut encoder, &penalty, &theta).map(drop), Err(unchecked.clone()));
    assert_eq!(small_set(gpu, &penalty).map(drop).map_err(inner), Err(unchecked.clone()));
    // A set whose penalty becomes one that was not checked.
    let l1 = Penalty::l1(0.1).expect("its parameters are valid");
    let mut set = small_set(gpu, &l1).expect("the operands are valid");
    set.prepare(&[Recording::Prox]).expect("the set is valid");
    set.penalties_mut().for_each(|(_, p)| *p = penalty.clone());
    assert_eq!(set.record_prox(&mut encoder, 0.5).map_err(inner), Err(unchecked.clone()));
    assert_eq!(set.prepare(&[Recording::Evaluate]).map_err(inner), Err(unchecked));
    // Calls on host slices check by themselves, and other parameters of the type need no check.
    let weights = [1.0f32, -1.0, 0.0, 2.0];
    assert_eq!(Backend::Gpu(gpu.clone()).prox(&penalty, &weights, 0.5), Backend::cpu().prox(&penalty, &weights, 0.5));
    set.penalties_mut().for_each(|(_, p)| *p = pinball(0.3, 0.5));
    assert_eq!(set.record_prox(&mut encoder, 0.5), Ok(()));
    assert_eq!(gpu.record_gradient(&mut encoder, &penalty, &theta, &g), Ok(()));
    // In Adam's metric it has no prox, and no WGSL is compiled that lacks one.
    let refused = Error::GroupMetric { penalty: "pinball" };
    assert_eq!(set.prepare(&[Recording::Adam(Metric::Adam)]).map_err(inner), Err(refused));
    assert_eq!(set.prepare(&[Recording::Adam(Metric::Plain)]), Ok(()));
    submit(gpu, encoder);
}

fn halves_that_disagree_are_refused(device: &Device) {
    let gpu = device.plain();
    let refused = |penalty: &Penalty| gpu.check(penalty).expect_err("its halves disagree");
    // The scales' 2^99 with the significand that is neither the least nor the greatest.
    let term = "l1_again: the term at 1.06584144e30 must be 1.06584144e30 (0x71573eb6) as in Rust, found 1e30 (0x7149f2ca) in WGSL";
    assert_eq!(refused(&l1_with::<IN_TERM>()).to_string(), term);
    let gradient = refused(&l1_with::<IN_GRADIENT>());
    let expected = "l1_again: the gradient at 0 must be 0 (0x00000000) as in Rust, found 0.5 (0x3f000000) in WGSL";
    assert_eq!(gradient.to_string(), expected);
    let prox = refused(&l1_with::<IN_PROX>()).to_string();
    assert!(prox.starts_with("l1_again: the prox with the step 0 at ") && prox.ends_with(" in WGSL"), "{prox}");
    let metric = refused(&l1_with::<IN_METRIC>()).to_string();
    assert!(metric.starts_with("l1_again: the prox in Adam's metric with the step 0.001 at "), "{metric}");
    // What has been refused is not recorded, nor run on slices.
    let penalty = l1_with::<IN_GRADIENT>();
    let page = buffer(gpu, &[0; 64], USAGES);
    let theta = Operand { buffer: &page, offset: 0, len: 4, dtype: Dtype::F32 };
    assert_eq!(gpu.record_prox(&mut encoder(gpu), &penalty, &theta, 0.5), Err(gradient.clone()));
    assert_eq!(Backend::Gpu(gpu.clone()).prox(&penalty, &[1.0f32], 0.5), Err(gradient.clone()));
    assert_eq!(small_set(gpu, &penalty).map(drop).map_err(inner), Err(gradient));
    // Functions that break a rule.
    fn lawless<const KIND: usize>() -> Penalty {
        Penalty::own::<Lawless<KIND>>([1.0, 0.0]).expect("its parameters are valid")
    }
    let bound = "a finite number ≥ 0, and at most 2^115 where |θ| < 2^57";
    let rules = [
        (lawless::<0>(), format!("lawless: the term at 0 must be {bound}, found NaN (0x7fc00000) in Rust")),
        (lawless::<1>(), format!("lawless: the term at 0 must be {bound}, found -1 (0xbf800000) in Rust")),
        (lawless::<2>(), format!("lawless: the term at 0 must be {bound}, found inf (0x7f800000) in Rust")),
        (lawless::<3>(), format!("lawless: the term at 0 must be {bound}, found 3.4028235e38 (0x7f7fffff) in Rust")),
        (lawless::<4>(), "lawless: the gradient at 0 must be a number, found NaN (0x7fc00000) in Rust".into()),
        (
            lawless::<5>(),
            "lawless: the prox with the step 0 at 0 must be finite, found inf (0x7f800000) in Rust".into(),
        ),
    ];
    for (penalty, text) in rules {
        assert_eq!(refused(&penalty).to_string(), text);
    }
}

fn wgsl_that_is_none_is_refused(device: &Device) {
    let gpu = device.plain();
    let cases = [
        (l1_with::<IN_SYNTAX>(), "expected expression, found \";\""),
        (l1_with::<NO_PROX>(), "no definition in scope for identifier: `prox`"),
        (l1_with::<IN_SIGNATURE>(), "prox"),
        (l1_with::<TAKEN_NAME>(), "visit"),
        (l1_with::<UNCLOSED>(), ""),
    ];
    for (penalty, cause) in cases {
        let error = gpu.check(&penalty).expect_err("it does not compile");
        let text = error.to_string();
        assert!(matches!(error, Error::Wgsl { penalty: "l1_again", .. }), "{text}");
        assert!(text.starts_with("the WGSL of l1_again must compile as part of a kernel, found "), "{text}");
        assert!(text.contains(cause) && !text.contains('\n'), "{text}");
        assert_eq!(Backend::Gpu(gpu.clone()).evaluate(&penalty, &[1.0f32]).map(drop), Err(error));
    }
}

/// One that is right is not taken for one that is wrong, whatever they are called.
fn types_of_one_name_are_two(device: &Device) {
    let gpu = device.plain();
    assert!(gpu.check(&l1_with::<IN_PROX>()).is_err());
    assert_eq!(gpu.check(&l1_with::<RIGHT>()), Ok(()));
    assert_ne!(l1_with::<IN_PROX>(), l1_with::<RIGHT>());
    let weights = noise(64, 1);
    let shrunk = Backend::Gpu(gpu.clone()).prox(&l1_with::<RIGHT>(), &weights, 0.5);
    assert_eq!(shrunk, Backend::cpu().prox(&l1_with::<RIGHT>(), &weights, 0.5));
}

fn a_type_is_checked_once_and_its_refusal_kept(device: &Device) {
    let gpu = &own(device);
    assert_eq!(gpu.check(&Penalty::l1(1.0).expect("its parameters are valid")), Ok(()));
    let (right, wrong) = (l1_with::<RIGHT>(), l1_with::<IN_TERM>());
    let poller = Poller::spawn(gpu, PATIENCE).expect("the device is alive");
    assert_eq!(pollster::block_on(gpu.check_async(&right)), Ok(()));
    drop(poller);
    let refused = gpu.check(&wrong);
    assert!(refused.is_err());
    // Neither touches the device again.
    gpu.device().destroy();
    assert_eq!(gpu.check(&right), Ok(()));
    assert_eq!(gpu.check(&wrong), refused);
    let other = Penalty::own::<L1<RIGHT>>([0.25, 0.0]).expect("its parameters are valid");
    assert!(matches!(gpu.check(&other), Err(Error::Device(_) | Error::Timeout(_) | Error::NotSubmitted { .. })));
    // A device that fails has refused nothing.
    assert_eq!(gpu.check(&right), Ok(()));
}
