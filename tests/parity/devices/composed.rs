//! Does a device take the proxes of sums of penalties as the CPU does?

use penalty::{Adam, Backend, Cpu, Dtype, Groups, Metric, Momentum, Penalty, Sgd};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::buffers::{Layout, equal, record, set};
use crate::common::cases::noise;
use crate::common::compare::same_bytes;
use crate::common::composed::sum;
use crate::common::device::{TIMEOUT, contents, encoder, submit};
use crate::common::tensors::{Call, Tensors, reports_equal};

pub(crate) const ON_DEVICES: &[DeviceTest] =
    named![steps_under_sums_equal_the_host, a_set_takes_and_leaves_sums, slices_under_a_sum_equal_the_host];

const LENS: [usize; 7] = [4, 8192, 20, 300, 4100, 64, 1000];

fn sums() -> [Penalty; 3] {
    let l1 = || Penalty::l1(0.03).unwrap();
    let ridge = || Penalty::l2_squared(0.2).unwrap();
    let norm = Penalty::l2_norm(0.3).unwrap().over(Groups::rows(4).unwrap()).unwrap();
    [sum(&[l1(), Penalty::interval(-0.5, 0.5).unwrap()]), sum(&[l1(), ridge(), norm]), sum(&[ridge(), Penalty::mask()])]
}

fn momentum() -> Sgd {
    Sgd { step: 0.1, momentum: Momentum::HeavyBall { momentum: 0.9, dampening: 0.1 } }
}

/// Sums beside penalties of one formula, in one set.
fn steps_under_sums_equal_the_host(device: &Device) {
    let [interval, norm, mask] = sums();
    let plain = || [Penalty::l1(0.03).unwrap(), Penalty::none()];
    let tensors = |dtype, sums: &[Penalty]| Tensors::with(&LENS, |_| dtype, &[sums, &plain()].concat());
    let all = tensors(Dtype::F32, &[interval.clone(), norm, mask.clone()]);
    equal(device.plain(), &all, Layout::Page, Call::SgdAndEvaluate(momentum()));
    equal(device.plain(), &all, Layout::Scattered(3), Call::Prox(0.5));
    equal(device.plain(), &all, Layout::Page, Call::Evaluate);
    let halves = tensors(Dtype::BF16, std::slice::from_ref(&interval));
    equal(device.plain(), &halves, Layout::Page, Call::ProxAndEvaluate(0.5));
    let adam = Adam { step: 0.02, metric: Metric::Adam, ..Adam::default() };
    equal(device.plain(), &tensors(Dtype::F32, &[interval, mask]), Layout::Page, Call::Adam(adam));
}

/// One set, whose penalties become sums, change and become plain again, and whose buffers change.
fn a_set_takes_and_leaves_sums(device: &Device) {
    let gpu = device.plain();
    let [interval, norm, _] = sums();
    let l1 = Penalty::l1(0.03).unwrap();
    let mut tensors = Tensors::with(&LENS, |_| Dtype::F32, std::slice::from_ref(&l1));
    let images = tensors.lay_out(Layout::Page);
    let buffers = images.upload(gpu);
    let mut set = set(gpu, &tensors, &images, &buffers, 4);
    set.prepare_sgd(&momentum()).unwrap();
    for (k, penalty) in
        [l1.clone(), interval.clone(), interval.scaled(0.5).unwrap(), norm, l1, interval].iter().enumerate()
    {
        let of = |at: usize| if at.is_multiple_of(2) { penalty.clone() } else { Penalty::none() };
        set.penalties_mut().enumerate().for_each(|(at, (_, p))| *p = of(at));
        tensors.parameters.iter_mut().enumerate().for_each(|(at, p)| p.penalty = of(at));
        let call = if k == 1 { Call::SgdAndEvaluate(momentum()) } else { Call::Sgd(momentum()) };
        let mut encoder = encoder(gpu);
        let pending = record(&mut set, &mut encoder, call).expect("the call is valid");
        submit(gpu, encoder);
        let want = tensors.host(call).expect("the call is valid");
        if let (Some(want), Some(pending)) = (want, pending) {
            reports_equal(&want, &pending.wait(TIMEOUT).expect("it was submitted"), penalty);
        }
    }
    for (want, buffer) in images.with(&tensors).bytes.iter().zip(&buffers) {
        same_bytes(want, &contents(gpu, buffer)).unwrap_or_else(|error| panic!("{error}"));
    }
    // What is rejected records nothing.
    let mut encoder = encoder(gpu);
    let adam = Adam { step: 0.02, ..Adam::default() };
    set.penalties_mut().for_each(|(_, p)| *p = sums()[1].clone());
    let error = set.record_adam(&mut encoder, &adam).unwrap_err().to_string();
    assert!(error.contains("sum has no prox in closed form"), "{error}");
    set.record_prox_in_place(&mut encoder, f64::NAN).unwrap_err();
    submit(gpu, encoder);
    for (want, buffer) in images.with(&tensors).bytes.iter().zip(&buffers) {
        same_bytes(want, &contents(gpu, buffer)).unwrap_or_else(|error| panic!("{error}"));
    }
}

fn slices_under_a_sum_equal_the_host(device: &Device) {
    let [interval, norm, mask] = sums();
    let (theta, weights) = (noise(10_000, 1), noise(10_000, 2).iter().map(|x| x.max(0.0)).collect::<Vec<f32>>());
    let run = |backend: &Backend| {
        let mut of_interval = theta.clone();
        let report = backend.prox_and_evaluate_in_place(&interval, &mut of_interval, 0.5).unwrap();
        let mut of_norm = theta.clone();
        backend.prox_in_place(&norm, &mut of_norm, 0.5).unwrap();
        let masked = backend.prox(mask.with_element_weights(&weights).unwrap(), &theta, 0.5).unwrap();
        let bits =
            [of_interval, of_norm, masked].map(|theta| theta.into_iter().map(f32::to_bits).collect::<Vec<u32>>());
        (bits, report, backend.evaluate(&norm, &theta).unwrap())
    };
    assert_eq!(run(&Backend::Gpu(device.gpu().clone())), run(&Backend::Cpu(Cpu::new())));
}
