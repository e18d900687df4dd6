//! Penalties that take weights together: the same bits everywhere, on slices and in sets, of every type and grouping; the golden cases
//! on every backend; and what cannot be grouped.

mod common;
#[path = "common/covering.rs"]
mod covering;

use common::adapters::{Device, DeviceTest};
use common::cases::{at_scale, noise};
use common::compare::close;
use common::everything;
use common::golden;
use common::oracle::Weight;
use common::ranges;
use common::tensors::{Call, Layout, Tensors, equal, equal_step_by_step};
use covering::coverings;
use libtest_mimic::Trial;
use penalty::gpu::{Operand, Options};
use penalty::half::{bf16, f16};
use penalty::wgpu;
use penalty::{Adam, Backend, Cpu, Dtype, Error, Gpu, Groups, InstructionSet, Metric, Momentum, Penalty, Result, Sgd};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const ADAM: Adam =
    Adam { step: 0.01, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, decay: 0.1, metric: Metric::Plain, iteration: 3 };
const CALLS: [Call; 3] =
    [Call::ProxAndEvaluate(0.25), Call::Sgd(Sgd { step: 0.1, momentum: Momentum::nesterov(0.5) }), Call::Adam(ADAM)];

fn main() {
    let sets = InstructionSet::available().into_iter().flat_map(|set| {
        let backend = move || Backend::Cpu(Cpu::with_instructions(set).expect("the processor has them"));
        let bits = move || {
            same_bits_as_the_reference(&backend());
            Ok(())
        };
        let golden = move || {
            golden_vectors_come_out(&backend());
            Ok(())
        };
        let kind = format!("CPU, {set:?}");
        let ranges = move || {
            ranges::projections_are_exact_at_every_ratio(&backend());
            ranges::reported_projections_are_right(&backend());
            ranges::norm_gradients_are_right_at_every_scale(&backend());
            Ok(())
        };
        [
            Trial::test("every_instruction_set_gives_the_same_bits", bits).with_kind(&kind),
            Trial::test("golden_vectors_come_out", golden).with_kind(&kind),
            Trial::test("no_scale_is_too_far_from_another", ranges).with_kind(&kind),
        ]
    });
    let host: [(&str, fn()); 3] = [
        ("what_cannot_be_grouped_is_refused", what_cannot_be_grouped_is_refused),
        ("lists_cover_one_length", || lists_cover_one_length(&Backend::cpu())),
        ("every_weight_is_in_one_group_or_every_call_is_refused", || {
            every_weight_is_in_one_group_or_every_call_is_refused(2000, &Backend::cpu(), None);
        }),
    ];
    let more = host.map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    let tests: &[DeviceTest] = &[
        ("every_adapter_gives_the_same_bits", |device| same_bits_as_the_reference(&device.backend())),
        ("golden_vectors_come_out", |device| golden_vectors_come_out(&device.backend())),
        ("projections_are_exact_at_every_ratio", |device| {
            ranges::projections_are_exact_at_every_ratio(&device.backend());
        }),
        ("reported_projections_are_right", |device| ranges::reported_projections_are_right(&device.backend())),
        ("norm_gradients_are_right_at_every_scale", |device| {
            ranges::norm_gradients_are_right_at_every_scale(&device.backend());
        }),
        ("large_groups_are_found_by_many_workgroups", large_groups_are_found_by_many_workgroups),
        ("groups_need_not_fit_a_binding", groups_need_not_fit_a_binding),
        ("loops_go_round_as_often_as_they_must", loops_go_round_as_often_as_they_must),
        ("sets_with_groups_equal_the_host", sets_with_groups_equal_the_host),
        ("sets_of_large_groups_equal_the_host", sets_of_large_groups_equal_the_host),
        ("groups_may_change_from_step_to_step", groups_may_change_from_step_to_step),
        ("a_layout_that_fails_leaves_nothing_behind", a_layout_that_fails_leaves_nothing_behind),
        ("a_device_refuses_what_the_cpu_does", a_device_refuses_what_the_cpu_does),
        ("lists_cover_one_length", |device| lists_cover_one_length(&device.backend())),
        ("every_weight_is_in_one_group_or_every_call_is_refused", |device| {
            let gpu = device.plain();
            every_weight_is_in_one_group_or_every_call_is_refused(60, &Backend::Gpu(gpu.clone()), Some(gpu));
        }),
    ];
    common::adapters::run(sets.chain(more).collect(), tests);
}

/// A penalty of every rule, with a step.
fn penalties() -> Vec<(Penalty, f64)> {
    let penalties = [
        (Penalty::l2_norm(0.3), 0.5),
        (Penalty::group_lasso(0.1, Groups::whole()), 0.7),
        (Penalty::sparse_group_lasso(0.2, 0.3, Groups::whole()), 0.7),
        (Penalty::l2_ball(0.7), 1.0),
        (Penalty::linf_norm(0.5), 0.9),
        (Penalty::l1_ball(1.5), 1.0),
        (Penalty::simplex(1.1), 1.0),
        (Penalty::top_k(3), 1.0),
    ];
    penalties.map(|(penalty, step)| (penalty.expect("its parameters are valid"), step)).into()
}

/// Every kind of grouping of 1,536 weights, small groups and large, each with what it is called.
fn groupings() -> Vec<Groups> {
    let backwards: Vec<u64> = (0..700).rev().collect();
    let odd: Vec<u64> = (700..1536).step_by(2).collect();
    let even: Vec<u64> = (701..1536).step_by(2).collect();
    let groups = [
        Ok(Groups::whole()),
        Groups::runs(4),
        Groups::runs(48),
        Groups::rows(96),
        Groups::columns(3),
        Groups::tiles(48, 8, 16),
        Groups::lists(&[backwards, odd, even]),
    ];
    groups.map(|groups| groups.expect("they are valid")).into()
}

/// Weights where rules decide: ties, zeros, both signs, several scales, and what is not finite.
fn weights(len: usize) -> Vec<f32> {
    let mut weights = noise(len, 5);
    for (i, w) in weights.iter_mut().enumerate() {
        match i % 97 {
            0 => *w = 0.5,
            1 => *w = -0.5,
            2 => *w = 0.0,
            3 => *w = -0.0,
            4 => *w *= 1e-20,
            5 => *w *= 30.0,
            6 => *w = f32::from_bits(1),
            _ => {}
        }
    }
    weights[len / 2] = f32::NAN;
    weights[len / 3] = f32::NEG_INFINITY;
    weights
}

fn same_bits_as_the_reference(backend: &Backend) {
    fn same<E: Weight>(backend: &Backend, (penalty, step): (&Penalty, f64), weights: &[E]) {
        everything::same(backend, (penalty, step), &format!("{penalty:?}"), weights, weights);
    }
    let ordinary = weights(1536);
    let half: Vec<f16> = ordinary.iter().map(|&x| f16::nearest(x)).collect();
    let brain: Vec<bf16> = ordinary.iter().map(|&x| bf16::nearest(x)).collect();
    the_least_excess_counts(backend);
    let scales = [-120, -60, 60, 127].map(|k| at_scale(k, 1536));
    for (i, (penalty, step)) in penalties().iter().enumerate() {
        for (j, groups) in groupings().into_iter().enumerate() {
            let penalty = penalty.over(groups).expect("it takes weights together");
            same(backend, (&penalty, *step), &ordinary);
            if j == 1 {
                scales.iter().for_each(|weights| same(backend, (&penalty, *step), weights));
            }
            // The rules do not know the type, but for what it rounds; each kind of group has its turn with each.
            if (i + j) % 4 == 1 {
                same(backend, (&penalty, *step), &half);
                same(backend, (&penalty, *step), &brain);
            }
        }
    }
}

/// Groups that lie outside by less than a unit of their sums are known to.
fn the_least_excess_counts(backend: &Backend) {
    let mut weights = vec![0.0f32; 96];
    for (at, w) in [(3, 0.5), (9, 2f32.powi(-70)), (70, 0.5), (80, 2f32.powi(-70))] {
        weights[at] = w;
    }
    let ball = |radius: f64, groups: Groups| Penalty::l1_ball(radius).and_then(|ball| ball.over(groups));
    let runs = Groups::runs(48).expect("they are valid");
    for penalty in [ball(1.0, Groups::whole()), ball(0.5, runs)] {
        let penalty = penalty.expect("its parameters are valid");
        everything::same(backend, (&penalty, 1.0), &format!("{penalty:?}"), &weights, &weights);
        let value = |weights: &[f32]| backend.evaluate(&penalty, weights).expect("the groups cover it").value;
        assert_eq!(value(&weights), f64::INFINITY);
        assert_eq!(value(&backend.prox(&penalty, &weights, 1.0).expect("the groups cover it")), 0.0);
    }
}

fn golden_vectors_come_out(backend: &Backend) {
    for case in golden::vectors() {
        let prox = backend.prox(&case.penalty, &case.v, case.step).expect("the case is valid");
        let largest = case.prox.iter().map(|x| x.abs()).fold(0.0, f64::max);
        for (i, (want, got)) in case.prox.iter().zip(&prox).enumerate() {
            let off = (want - f64::from(*got)).abs();
            assert!(off <= 1e-6 * largest, "{i} of {}: {got}, not {want}", case.name);
        }
        if let Some(want) = case.value {
            let value = backend.evaluate(&case.penalty, &case.v).expect("the case is valid").value;
            close(want, value, 1e-6).unwrap_or_else(|error| panic!("the value of {}: {error}", case.name));
        }
    }
}

/// A few groups of a device's thousands of weights each.
fn large_groupings(len: u64) -> [Groups; 4] {
    let lists = [(0..len / 2).rev().collect::<Vec<u64>>(), (len / 2..len).collect()];
    let groups = [Ok(Groups::whole()), Groups::rows(len / 2), Groups::columns(2), Groups::lists(&lists)];
    groups.map(|groups| groups.expect("they are valid"))
}

/// Weights from which Michelot's iteration drops one at a time: the gap below each is more than all that is above it.
fn slow(len: usize) -> Vec<f32> {
    let mut weights = vec![0.0; len];
    let (mut below, mut excess) = (0.0f64, 0.0);
    for (m, w) in weights.iter_mut().step_by(len / 20).enumerate() {
        *w = (1e16 - below) as f32;
        let gap = 1.01 * excess + 1e-2;
        excess += (m + 1) as f64 * gap;
        below += gap;
    }
    weights
}

fn large_groups_are_found_by_many_workgroups(device: &Device) {
    let backend = Backend::Gpu(device.plain().clone());
    const LEN: usize = 80_002;
    let ordinary = weights(LEN);
    for (i, (penalty, step)) in penalties().into_iter().enumerate() {
        for (j, groups) in large_groupings(LEN as u64).into_iter().enumerate() {
            // Lists have kernels of their own.
            if j < 3 || i % 4 == 1 {
                let penalty = penalty.over(groups).expect("it takes weights together");
                everything::same(&backend, (&penalty, step), &format!("{penalty:?}"), &ordinary, &ordinary);
            }
        }
    }
    let half: Vec<f16> = ordinary.iter().map(|&x| f16::nearest(x)).collect();
    let radius = |r: f64| Penalty::l1_ball(r).expect("it is valid");
    everything::same(&backend, (&radius(100.0), 1.0), "f16", &half, &half);
    for r in [0.0, 1e-3, 3.0] {
        everything::same(&backend, (&radius(r), 1.0), "slow", &slow(LEN), &ordinary);
    }
}

fn groups_need_not_fit_a_binding(device: &Device) {
    let options = Options { window: Some(1 << 17), ..Options::default() };
    let backend = Backend::Gpu(common::device::open(device, wgpu::Limits::default(), &options));
    const LEN: usize = 80_002;
    let ordinary = weights(LEN);
    for (penalty, step) in penalties() {
        let rows = Groups::rows(LEN as u64 / 2).expect("it is valid");
        for groups in [Groups::whole(), rows] {
            let penalty = penalty.over(groups).expect("it takes weights together");
            everything::same(&backend, (&penalty, step), &format!("{penalty:?}"), &ordinary, &ordinary);
        }
    }
    let small = Penalty::group_lasso(0.1, Groups::runs(26).expect("it is valid")).expect("it is valid");
    let odd = Penalty::l2_ball(0.1).and_then(|ball| ball.over(Groups::rows(181)?)).expect("it is valid");
    let half: Vec<f16> = ordinary.iter().map(|&x| f16::nearest(x)).collect();
    everything::same(&backend, (&small, 0.5), "small groups", &ordinary[..LEN / 26 * 26], &ordinary[..LEN / 26 * 26]);
    everything::same(&backend, (&odd, 1.0), "odd groups", &half, &half);
    everything::same(&backend, (&Penalty::l1_ball(1e-3).expect("it is valid"), 1.0), "slow", &slow(LEN), &ordinary);
    let halves = Penalty::l1_ball(9.0).and_then(|ball| ball.over(Groups::rows(40_001)?)).expect("it is valid");
    everything::same(&backend, (&halves, 1.0), "rows that begin within a word", &half, &half);
    let columns = Penalty::l2_ball(0.1).and_then(|ball| ball.over(Groups::columns(2)?)).expect("it is valid");
    let refused = backend.prox(&columns, &ordinary, 1.0).expect_err("no column fits").to_string();
    // A binding begins at a multiple of the alignment, so that much more must fit.
    let alignment = device.plain().device().limits().min_storage_buffer_offset_alignment as usize;
    let expected = 4 * LEN + alignment;
    let purpose = "a tensor whose groups are no runs";
    assert_eq!(refused, format!("Options::window must be at least {expected} for {purpose}, found 131072"));
}

/// Mesa's llvmpipe ends an invocation's loops when they have gone round 65535 times in all: larger groups are cut.
fn loops_go_round_as_often_as_they_must(device: &Device) {
    // More groups than are few, of 2048 weights a thread, each of which 33 counts look at.
    let weights = noise(9 << 19, 3);
    let top = Penalty::top_k(1000).and_then(|top| top.over(Groups::rows(1 << 19)?)).expect("it is valid");
    let backends = [Backend::cpu(), Backend::Gpu(device.plain().clone())];
    let [want, got] = backends.map(|backend| backend.prox(&top, &weights, 1.0).expect("it is covered"));
    common::compare::same_bits(&want, &got).expect("the same bits");
}

/// Tensors of one type whose penalties are of groups, two of others between.
fn tensors(dtype: Dtype) -> Tensors {
    let mut tensors = Tensors::of(dtype, &[96, 5000, 96, 300, 4096, 60, 96, 12]);
    let penalties = [
        Penalty::group_lasso(0.1, Groups::runs(8).expect("it is valid")),
        Penalty::l1(0.1),
        Penalty::group_lasso(0.2, Groups::columns(4).expect("it is valid")),
        Penalty::l1_ball(3.0),
        Penalty::sparse_group_lasso(0.1, 0.5, Groups::tiles(64, 4, 8).expect("it is valid")),
        Penalty::n_of_m(2, 4),
        Penalty::group_lasso(0.3, Groups::lists(&[(0..50).collect::<Vec<u64>>(), (50..96).collect()]).expect("it is")),
        Penalty::l2_norm(0.5),
    ];
    for (parameter, penalty) in tensors.parameters.iter_mut().zip(penalties) {
        parameter.penalty = penalty.expect("its parameters are valid");
    }
    tensors
}

fn sets_with_groups_equal_the_host(device: &Device) {
    for call in CALLS {
        equal(device.plain(), &tensors(Dtype::F32), Layout::Page, call);
    }
    equal(device.plain(), &tensors(Dtype::F16), Layout::Scattered(3), CALLS[0]);
    equal(device.plain(), &with_gradients(tensors(Dtype::F32)), Layout::Page, Call::EvaluateAndGradientAdd);
}

/// Norms where there are constraints, which have no gradient.
fn with_gradients(mut tensors: Tensors) -> Tensors {
    for parameter in tensors.parameters.iter_mut().filter(|parameter| !parameter.penalty.has_gradient()) {
        parameter.penalty = Penalty::linf_norm(0.5).expect("it is valid");
    }
    tensors
}

/// Groups that many workgroups find, of several rules; steps that are recorded before any is submitted, and operands that move.
fn sets_of_large_groups_equal_the_host(device: &Device) {
    let mut tensors = Tensors::of(Dtype::F32, &[80_002, 5000, 70_002, 40_000]);
    let penalties = [
        Penalty::l1_ball(3.0),
        Penalty::l2_norm(0.5),
        Penalty::l2_ball(0.5).and_then(|ball| ball.over(Groups::rows(35_001)?)),
        Penalty::top_k(700),
    ];
    for (parameter, penalty) in tensors.parameters.iter_mut().zip(penalties) {
        parameter.penalty = penalty.expect("its parameters are valid");
    }
    for call in CALLS {
        equal(device.plain(), &tensors, Layout::Page, call);
    }
    equal(device.plain(), &with_gradients(tensors.clone()), Layout::Page, Call::EvaluateAndGradientAdd);
    const STEPS: [f64; 3] = [0.25, 2.0, 0.5];
    let images = [Layout::Page, Layout::Scattered(2)].map(|layout| tensors.lay_out(layout));
    let buffers = images.each_ref().map(|images| images.upload(device.plain()));
    let mut set = common::tensors::set(device.plain(), &tensors, &images[0], &buffers[0], STEPS.len());
    for (images, buffers) in images.iter().zip(&buffers) {
        let lists = images.operands(&tensors, buffers);
        set.place(&common::tensors::operands(&lists)).expect("they are valid");
        let (mut after, mut encoder) = (tensors.clone(), common::device::encoder(device.plain()));
        let record = |&step| common::tensors::record(&mut set, &mut encoder, Call::ProxAndEvaluate(step));
        let pending: Vec<_> = STEPS.iter().map(record).collect();
        common::device::submit(device.plain(), encoder);
        for (pending, step) in pending.into_iter().zip(STEPS) {
            let want = after.host(Call::ProxAndEvaluate(step)).expect("the call is valid").expect("it reports");
            let got = pending.expect("the call is valid").expect("it reports").wait(common::device::PATIENCE);
            common::tensors::reports_equal(&want, &got.expect("it was submitted"), &step);
        }
        for (want, buffer) in images.with(&after).bytes.iter().zip(buffers) {
            let got = common::device::contents(device.plain(), buffer);
            common::compare::same_bytes(want, &got).expect("every byte is the host's");
        }
    }
}

fn groups_may_change_from_step_to_step(device: &Device) {
    let groups = [Groups::runs(4), Groups::columns(2), Groups::runs(1), Groups::columns(4)];
    let lasso = |groups: penalty::Result<Groups>| Penalty::group_lasso(0.1, groups.expect("they are valid"));
    let steps = [Penalty::l1(0.2)].into_iter().chain(groups.map(lasso)).chain([Penalty::l1(0.1)]);
    let steps: Vec<Penalty> = steps.map(|penalty| penalty.expect("its parameters are valid")).collect();
    equal_step_by_step(device.plain(), Tensors::of(Dtype::F32, &[960, 72, 4]), &steps);
}

/// Lists that were laid out when another tensor was refused are uploaded when it is not.
fn a_layout_that_fails_leaves_nothing_behind(device: &Device) {
    let lists = |at: u64| {
        let lists = Groups::lists(&[(0..at).collect::<Vec<u64>>(), (at..96).collect()]);
        Penalty::group_lasso(0.3, lists.expect("they are valid")).expect("it is valid")
    };
    let norm = Penalty::l2_norm(0.5).expect("it is valid");
    let uncovered = norm.over(Groups::rows(5).expect("it is valid")).expect("it takes weights together");
    let mut tensors = Tensors::with(&[96, 96], |_| Dtype::F32, &[lists(50), norm.clone()]);
    let images = tensors.lay_out(Layout::Page);
    let buffers = images.upload(device.plain());
    let mut set = common::tensors::set(device.plain(), &tensors, &images, &buffers, 2);
    for (penalties, covered) in
        [([lists(50), norm.clone()], true), ([lists(46), uncovered], false), ([lists(46), norm], true)]
    {
        set.penalties_mut().zip(&penalties).for_each(|((_, to), from)| *to = from.clone());
        tensors.parameters.iter_mut().zip(penalties).for_each(|(parameter, penalty)| parameter.penalty = penalty);
        let mut encoder = common::device::encoder(device.plain());
        let recorded = common::tensors::record(&mut set, &mut encoder, Call::Evaluate);
        assert_eq!(recorded.is_ok(), covered);
        if let Ok(Some(pending)) = recorded {
            common::device::submit(device.plain(), encoder);
            let want = tensors.host(Call::Evaluate).expect("it is covered").expect("it reports");
            let got = pending.wait(common::device::PATIENCE).expect("it was submitted");
            common::tensors::reports_equal(&want, &got, &"another list");
        }
    }
}

fn refusals(backend: &Backend) {
    let weights = [1.0f32; 12];
    let rows = Penalty::l2_norm(1.0).and_then(|norm| norm.over(Groups::rows(5)?)).expect("it is valid");
    let refused = |result: penalty::Result<Vec<f32>>| result.expect_err("it is refused").to_string();
    assert_eq!(refused(backend.prox(&rows, &weights, 1.0)), NOT_COVERED);
    assert_eq!(refused(backend.gradient(&rows, &weights)), NOT_COVERED);
    assert_eq!(backend.evaluate(&rows, &weights).expect_err("it is refused").to_string(), NOT_COVERED);
    let tiles = Penalty::top_k(1).and_then(|top| top.over(Groups::tiles(4, 2, 2)?)).expect("it is valid");
    let text = "groups of tiles of 2x2 in 4 columns must cover the tensor: its 12 weights do not divide so";
    assert_eq!(refused(backend.prox(&tiles, &weights, 1.0)), text);
    for step in [-1.0, f64::NAN, f64::INFINITY] {
        let text = format!("step must be a finite number ≥ 0, found {step}");
        let norm = Penalty::l2_norm(1.0).expect("it is valid");
        assert_eq!(refused(backend.prox(&norm, &weights, step)), text);
    }
    let norm = Penalty::linf_norm(1.0).expect("it is valid");
    let later = backend.partial_for(&norm, 4096, &weights).expect_err("it is refused");
    let text = "linf_norm is a group penalty: it needs the whole tensor at once, found a chunk from element 4096 on";
    assert_eq!(later.to_string(), text);
    // Of several, the one that is not covered, by its index.
    let all = backend.evaluate_all(&rows, &[&weights[..10], &weights[..10], &weights[..]]);
    assert_eq!(all.expect_err("the last is not covered").to_string(), format!("tensor 2: {NOT_COVERED}"));
    // Nothing has no groups, and every group of nothing is covered.
    assert_eq!(backend.prox::<f32>(&rows, &[], 1.0), Ok(Vec::new()));
    assert_eq!(backend.evaluate::<f32>(&rows, &[]).map(|report| report.value), Ok(0.0));
}

fn lists_cover_one_length(backend: &Backend) {
    let norm = |groups: Groups| Penalty::l2_norm(1.0).and_then(|norm| norm.over(groups)).expect("it is valid");
    let three = norm(Groups::lists(&[vec![0, 1], vec![2]]).expect("they are valid"));
    let none = norm(Groups::lists::<[u64; 0]>(&[]).expect("they are valid"));
    let refused = |penalty: &Penalty, len: usize| {
        let mut weights = vec![2.0f32; len];
        let results = [
            penalty.check_len(len as u64),
            backend.evaluate(penalty, &weights).map(drop),
            backend.evaluate_all(penalty, &[&weights[..]]).map(drop),
            backend.gradient(penalty, &weights).map(drop),
            backend.prox(penalty, &weights, 0.5).map(drop),
            backend.prox_in_place(penalty, &mut weights, 0.5),
        ];
        assert_eq!(weights, vec![2.0; len]);
        results.map(|result| result.expect_err("it is not covered").to_string())
    };
    // A list of tensors says which.
    let of_each_call = |text: &str| {
        [false, false, true, false, false, false]
            .map(|listed| if listed { format!("tensor 0: {text}") } else { text.into() })
    };
    for len in [0, 1, 2, 4, 6] {
        let text = format!("2 lists of indices must cover the tensor: they have 3 indices, and it has {len} weights");
        assert_eq!(refused(&three, len), of_each_call(&text));
    }
    let text = "0 lists of indices must cover the tensor: they have 0 indices, and it has 6 weights";
    assert_eq!(refused(&none, 6), of_each_call(text));
    assert_eq!(backend.prox::<f32>(&none, &[], 1.0), Ok(Vec::new()));
    assert_eq!(backend.evaluate(&three, &[3.0f32, -4.0, 2.0]).map(|report| report.value), Ok(7.0));
}

/// Every call with groups and a tensor of some length, on slices and in sets, and on a device also recorded.
fn every_weight_is_in_one_group_or_every_call_is_refused(cases: u32, backend: &Backend, gpu: Option<&Gpu>) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let run = runner.run(&coverings(), |(covering, len)| {
        let Ok(groups) = covering.groups() else { return Ok(()) };
        let penalty = Penalty::l2_norm(LAMBDA).and_then(|norm| norm.over(groups)).expect("it is valid");
        let theta: Vec<f32> = (0..len).map(|i| ((i * 37 % 101 + 1) as f32).copysign((i % 3) as f32 - 0.5)).collect();
        let calls = Calls { backend, gpu, penalty: &penalty, theta: &theta };
        match covering.group_of(len) {
            Some(group_of) => calls.take_each_group(&group_of),
            None => calls.are_refused(),
        }
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
}

const LAMBDA: f64 = 0.5;
const STEP: f64 = 3.0;

/// Calls of a penalty that has groups.
struct Calls<'a> {
    backend: &'a Backend,
    gpu: Option<&'a Gpu>,
    penalty: &'a Penalty,
    theta: &'a [f32],
}

impl Calls<'_> {
    /// What each weight becomes tells its group's norm.
    fn take_each_group(&self, group_of: &[u64]) {
        let Calls { backend, penalty, theta, .. } = *self;
        let norm = |group: u64| {
            let members = theta.iter().zip(group_of).filter(|(_, of)| **of == group);
            members.map(|(x, _)| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt()
        };
        let near = |want: f64, got: f32, what: &str| {
            let off = (want - f64::from(got)).abs();
            assert!(off <= 1e-5 * want.abs(), "{what} by {penalty:?}: {got}, not {want}");
        };
        penalty.check_len(theta.len() as u64).expect("they cover it");
        let mut groups = group_of.to_vec();
        groups.sort_unstable();
        groups.dedup();
        let value = backend.evaluate(penalty, theta).expect("they cover it").value;
        near(LAMBDA * groups.iter().map(|group| norm(*group)).sum::<f64>(), value as f32, "the value");
        let gradient = backend.gradient(penalty, theta).expect("they cover it");
        let shrunk = backend.prox(penalty, theta, STEP).expect("they cover it");
        for ((x, group), (g, v)) in theta.iter().zip(group_of).zip(gradient.iter().zip(&shrunk)) {
            let (x, norm) = (f64::from(*x), norm(*group));
            near(LAMBDA * x / norm, *g, "the gradient");
            near(x * (1.0 - LAMBDA * STEP / norm).max(0.0), *v, "the prox");
        }
        // The same in a set, behind another tensor.
        let mut tensors = self.tensors();
        tensors.host(Call::Prox(STEP)).expect("they cover it");
        assert_eq!(common::tensors::numbers(&tensors.words[0][1], &tensors.parameters[1]), shrunk);
        if let Some(gpu) = self.gpu {
            equal(gpu, &self.tensors(), Layout::Page, Call::Prox(STEP));
            equal(gpu, &self.tensors(), Layout::Page, Call::EvaluateAndGradientAdd);
        }
    }

    /// Nothing is written or recorded.
    fn are_refused(&self) {
        let Calls { backend, penalty, theta, .. } = *self;
        let groups = |what: &str, result: Result<()>| {
            let error = match result.expect_err(what) {
                Error::InParameter { error, .. } => *error,
                error => error,
            };
            assert!(matches!(error, Error::Groups { .. }), "{what} by {penalty:?}: {error}");
        };
        let mut written = theta.to_vec();
        groups("check_len", penalty.check_len(theta.len() as u64));
        groups("evaluate", backend.evaluate(penalty, theta).map(drop));
        groups("evaluate_all", backend.evaluate_all(penalty, &[theta]).map(drop));
        groups("partial_for", backend.partial_for(penalty, 0, theta).map(drop));
        groups("gradient", backend.gradient(penalty, theta).map(drop));
        groups("gradient_into", backend.gradient_into(penalty, theta, &mut written));
        groups("gradient_add", backend.gradient_add(penalty, theta, &mut written));
        groups("prox", backend.prox(penalty, theta, STEP).map(drop));
        groups("prox_in_place", backend.prox_in_place(penalty, &mut written, STEP));
        let evaluated = backend.prox_and_evaluate_in_place(penalty, &mut written, STEP);
        groups("prox_and_evaluate_in_place", evaluated.map(drop));
        assert_eq!(written, theta, "{penalty:?}");
        let calls = [
            Call::Evaluate,
            Call::GradientAdd,
            Call::EvaluateAndGradientAdd,
            Call::Prox(STEP),
            Call::ProxAndEvaluate(STEP),
            CALLS[1],
            CALLS[2],
        ];
        let before = self.tensors();
        for call in calls {
            let mut after = before.clone();
            groups("a set on the host", after.host(call).map(drop));
            assert_eq!(before.words, after.words, "{call:?} by {penalty:?}");
        }
        let Some(gpu) = self.gpu else { return };
        let images = before.lay_out(Layout::Page);
        let buffers = images.upload(gpu);
        let lists = images.operands(&before, &buffers);
        let operands = common::tensors::operands(&lists);
        let [theta, gradient]: [&Operand<'_>; 2] = [&operands.weights[1], &operands.gradients[1]];
        let mut encoder = common::device::encoder(gpu);
        groups("record_evaluate", gpu.record_evaluate(&mut encoder, penalty, theta).map(drop));
        groups("record_gradient", gpu.record_gradient(&mut encoder, penalty, theta, gradient));
        groups("record_gradient_add", gpu.record_gradient_add(&mut encoder, penalty, theta, gradient));
        groups("record_prox", gpu.record_prox(&mut encoder, penalty, theta, STEP));
        let mut set = common::tensors::set(gpu, &before, &images, &buffers, 1);
        for call in calls {
            groups("a set on a device", common::tensors::record(&mut set, &mut encoder, call).map(drop));
        }
        common::device::submit(gpu, encoder);
        let held = common::device::contents(gpu, &buffers[0]);
        common::compare::same_bytes(&images.bytes[0], &held).expect("nothing was recorded");
    }

    /// A tensor of L1, and one of these weights.
    fn tensors(&self) -> Tensors {
        let penalties = [Penalty::l1(0.1).expect("it is valid"), self.penalty.clone()];
        let mut tensors = Tensors::with(&[8, self.theta.len()], |_| Dtype::F32, &penalties);
        tensors.words[0][1] = common::tensors::words(Dtype::F32, self.theta);
        tensors
    }
}

/// Two tensors of one penalty, of which its groups cover the first.
fn half_covered() -> Tensors {
    let rows = Penalty::l2_norm(1.0).and_then(|norm| norm.over(Groups::rows(5)?)).expect("it is valid");
    Tensors::with(&[10, 12], |_| Dtype::F32, &[rows])
}

const NOT_COVERED: &str = "groups of rows of 5 must cover the tensor: its 12 weights do not divide so";

fn what_cannot_be_grouped_is_refused() {
    refusals(&Backend::cpu());
    let rows = Penalty::l2_norm(1.0).and_then(|norm| norm.over(Groups::rows(5)?)).expect("it is valid");
    assert_eq!(rows.check_len(12).expect_err("it is refused").to_string(), NOT_COVERED);
    assert_eq!([0, 5, 1000].map(|len| rows.check_len(len)), [Ok(()), Ok(()), Ok(())]);
    let long = "a group of all must have at most 2^32 − 256 weights: 4294967296";
    let simplex = Penalty::simplex(1.0).expect("it is valid");
    assert_eq!(simplex.check_len(1 << 32).expect_err("it is refused").to_string(), long);
    assert_eq!(Penalty::none().check_len(u64::MAX), Ok(()));
    for call in [Call::Evaluate, Call::Prox(1.0), Call::GradientAdd] {
        let refused = half_covered().host(call).expect_err("the second is not covered");
        assert_eq!(refused.to_string(), format!("\"tensor 1\": {NOT_COVERED}"), "{call:?}");
    }
    let text = |result: penalty::Result<Penalty>| result.expect_err("it is refused").to_string();
    let l1 = Penalty::l1(1.0).and_then(|l1| l1.over(Groups::whole()));
    let want =
        "a group of all must go with a penalty that takes weights together: found l1, a penalty of single weights";
    assert_eq!(text(l1), want);
    assert_eq!(text(Penalty::l1_ball(-1.0)), "radius must be a number from 0 to f32::MAX, found -1");
    assert_eq!(text(Penalty::top_k(0)), "k must be a whole number from 1 to 2^32 − 1, found 0");
    let named = Penalty::named("top-k", &[("k", 2.5)]);
    assert_eq!(text(named), "k must be a whole number from 1 to 2^32 − 1, found 2.5");
    let named = Penalty::named("group_lasso", &[("size", 2.0)]);
    assert_eq!(text(named), "group_lasso must have the parameters lambda, group_size or lambda; found size");
    let text = |result: penalty::Result<Groups>| result.expect_err("it is refused").to_string();
    assert_eq!(text(Groups::runs(0)), "groups of runs of 0 must have weights: 0");
    assert_eq!(text(Groups::tiles(5, 2, 2)), "groups of tiles of 2x2 in 5 columns must divide the columns: 5");
    assert_eq!(text(Groups::lists(&[[0, 1], [1, 2]])), "2 lists of indices must have every index once: 1 twice");
    let beyond = "2 lists of indices must have the indices below 4, which is how many there are: 9";
    assert_eq!(text(Groups::lists(&[[0, 1], [2, 9]])), beyond);
}

fn a_device_refuses_what_the_cpu_does(device: &Device) {
    refusals(&device.backend());
    let uncovered = half_covered();
    let images = uncovered.lay_out(Layout::Page);
    let buffers = images.upload(device.plain());
    let mut set = common::tensors::set(device.plain(), &uncovered, &images, &buffers, 1);
    let mut encoder = common::device::encoder(device.plain());
    let refused = common::tensors::record(&mut set, &mut encoder, Call::Evaluate).map(|_| ());
    let want = format!("\"tensor 1\": {NOT_COVERED}");
    assert_eq!(refused.expect_err("the second is not covered").to_string(), want);
    // Adam's own metric differs from weight to weight.
    let tensors = tensors(Dtype::F32);
    let adam = Adam { metric: Metric::Adam, ..ADAM };
    let error = Box::new(Error::GroupMetric { penalty: "group_lasso" });
    let refused = Error::InParameter { parameter: "\"tensor 0\"".into(), error };
    assert_eq!(tensors.clone().host(Call::Adam(adam)), Err(refused.clone()));
    let images = tensors.lay_out(Layout::Page);
    let buffers = images.upload(device.plain());
    let mut set = common::tensors::set(device.plain(), &tensors, &images, &buffers, 1);
    let mut encoder = common::device::encoder(device.plain());
    assert_eq!(common::tensors::record(&mut set, &mut encoder, Call::Adam(adam)).map(|_| ()), Err(refused));
}
