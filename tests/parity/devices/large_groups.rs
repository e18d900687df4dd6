//! Do groups that many workgroups share have the reference's bits?

use penalty::gpu::Options;
use penalty::half::f16;
use penalty::{Backend, Dtype, Groups, Penalty, wgpu};

use crate::common;
use crate::common::adapters::{Device, DeviceTest};
use crate::common::buffers::{Layout, equal};
use crate::common::cases::noise;
use crate::common::everything;
use crate::common::grouped::{CALLS, penalties, weights, with_gradients};
use crate::common::oracle::Weight;
use crate::common::tensors::{Call, Tensors};
use crate::common::trials::is_brief;

pub(crate) const ON_DEVICES: &[DeviceTest] = named![
    large_groups_are_found_by_many_workgroups,
    groups_need_not_fit_a_binding,
    loops_go_round_as_often_as_they_must,
    sets_of_large_groups_equal_the_host,
];

/// Few groups with many weights: `len` or `len / 2` each.
fn large_groupings(len: u64) -> [Groups; 4] {
    let lists = [(0..len / 2).rev().collect::<Vec<u64>>(), (len / 2..len).collect()];
    let groups = [Ok(Groups::whole()), Groups::rows(len / 2), Groups::columns(2), Groups::lists(&lists)];
    groups.map(|groups| groups.expect("they are valid"))
}

/// Michelot's iteration drops these weights one at a time: the gap below each weight is larger than the sum of all
/// excess above it.
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
            // Lists have separate kernels.
            if j < 3 || i % 4 == 1 {
                let penalty = penalty.over(groups).expect("it takes weights together");
                let name = format!("{penalty:?}");
                everything::same_in_turn(&backend, i, (&penalty, step), &name, &ordinary, &ordinary);
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

/// Every operation has the reference's bits. The `brief` sample runs only this turn's operation, which the penalty must
/// have.
fn same<E: Weight>(
    backend: &Backend,
    turn: usize,
    (penalty, step): (&Penalty, f64),
    name: &str,
    weights: &[E],
    others: &[E],
) {
    if is_brief() {
        everything::same_in_turn(backend, turn, (penalty, step), name, weights, others);
    } else {
        everything::same(backend, (penalty, step), name, weights, others);
    }
}

fn groups_need_not_fit_a_binding(device: &Device) {
    let options = Options { window: Some(1 << 17), ..Options::default() };
    let backend = Backend::Gpu(common::device::open(device, wgpu::Limits::default(), &options));
    const LEN: usize = 80_002;
    let ordinary = weights(LEN);
    for (i, (penalty, step)) in penalties().into_iter().enumerate() {
        let rows = Groups::rows(LEN as u64 / 2).expect("it is valid");
        for groups in [Groups::whole(), rows] {
            let penalty = penalty.over(groups).expect("it takes weights together");
            everything::same_in_turn(&backend, i, (&penalty, step), &format!("{penalty:?}"), &ordinary, &ordinary);
        }
    }
    let small = Penalty::group_lasso(0.1, Groups::runs(26).expect("it is valid")).expect("it is valid");
    let odd = Penalty::l2_ball(0.1).and_then(|ball| ball.over(Groups::rows(181)?)).expect("it is valid");
    let half: Vec<f16> = ordinary.iter().map(|&x| f16::nearest(x)).collect();
    same(&backend, 2, (&small, 0.5), "small groups", &ordinary[..LEN / 26 * 26], &ordinary[..LEN / 26 * 26]);
    same(&backend, 4, (&odd, 1.0), "odd groups", &half, &half);
    same(&backend, 3, (&Penalty::l1_ball(1e-3).expect("it is valid"), 1.0), "slow", &slow(LEN), &ordinary);
    let halves = Penalty::l1_ball(9.0).and_then(|ball| ball.over(Groups::rows(40_001)?)).expect("it is valid");
    same(&backend, 4, (&halves, 1.0), "rows that begin within a word", &half, &half);
    let columns = Penalty::l2_ball(0.1).and_then(|ball| ball.over(Groups::columns(2)?)).expect("it is valid");
    let rejected = backend.prox(&columns, &ordinary, 1.0).expect_err("no column fits").to_string();
    // A binding starts at a multiple of the alignment, so the window must be larger by one alignment.
    let alignment = device.plain().device().limits().min_storage_buffer_offset_alignment as usize;
    let expected = 4 * LEN + alignment;
    let purpose = "a tensor whose groups are no runs";
    assert_eq!(rejected, format!("Options::window must be at least {expected} for {purpose}, found 131072"));
}

/// Mesa's llvmpipe stops an invocation's loops after 65535 rounds in all, so larger groups must be cut.
fn loops_go_round_as_often_as_they_must(device: &Device) {
    // There are more than a few groups. Each thread has 2048 weights, and 33 counts look at each of them.
    let weights = noise(9 << 19, 3);
    let top = Penalty::top_k(1000).and_then(|top| top.over(Groups::rows(1 << 19)?)).expect("it is valid");
    let backends = [Backend::cpu(), Backend::Gpu(device.plain().clone())];
    let [want, got] = backends.map(|backend| backend.prox(&top, &weights, 1.0).expect("it is covered"));
    common::compare::same_bits(&want, &got).expect("the same bits");
}

/// Groups that many workgroups share, with several rules. Steps are recorded before any is submitted, and operands
/// move.
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
    let mut set = common::buffers::set(device.plain(), &tensors, &images[0], &buffers[0], STEPS.len());
    for (images, buffers) in images.iter().zip(&buffers) {
        let lists = images.operands(&tensors, buffers);
        set.rebind(&common::buffers::operands(&lists)).expect("they are valid");
        let (mut after, mut encoder) = (tensors.clone(), common::device::encoder(device.plain()));
        let record = |&step| common::buffers::record(&mut set, &mut encoder, Call::ProxAndEvaluate(step));
        let pending: Vec<_> = STEPS.iter().map(record).collect();
        common::device::submit(device.plain(), encoder);
        for (pending, step) in pending.into_iter().zip(STEPS) {
            let want = after.host(Call::ProxAndEvaluate(step)).expect("the call is valid").expect("it reports");
            let got = pending.expect("the call is valid").expect("it reports").wait(common::device::TIMEOUT);
            common::tensors::reports_equal(&want, &got.expect("it was submitted"), &step);
        }
        for (want, buffer) in images.with(&after).bytes.iter().zip(buffers) {
            let got = common::device::contents(device.plain(), buffer);
            common::compare::same_bytes(want, &got).expect("every byte is the host's");
        }
    }
}
