//! Which custom penalties does a device take? It takes only checked ones whose halves agree.

use penalty::gpu::{Operand, Operands, ParameterSet, Poller};
use penalty::{Adam, Backend, Dtype, Error, Gpu, Metric, Parameter, Penalty, Result};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::cases::noise;
use crate::common::custom::{
    IN_GRADIENT, IN_METRIC, IN_PROX, IN_SIGNATURE, IN_SYNTAX, IN_TERM, L1, Lawless, NO_PROX, RIGHT, TAKEN_NAME,
    UNCLOSED, at_least, inner, l1_with, pinball,
};
use crate::common::device::{TIMEOUT, USAGES, buffer, encoder, own, submit};
use crate::common::rejected::a_constraint_has_no_gradient;

pub(crate) const ON_DEVICES: &[DeviceTest] = named![
    a_constraint_has_no_gradient_on_a_device,
    what_was_not_checked_is_not_recorded,
    halves_that_disagree_are_rejected,
    wgsl_that_is_none_is_rejected,
    types_of_one_name_are_two,
    a_type_is_checked_once_and_its_refusal_kept,
];

fn a_constraint_has_no_gradient_on_a_device(device: &Device) {
    a_constraint_has_no_gradient(&device.backend());
    let gpu = device.plain();
    let penalty = at_least(-0.5);
    gpu.check(&penalty).expect("its halves agree");
    let page = buffer(gpu, &[0; 64], USAGES);
    let [theta, g] = [0, 16].map(|offset| Operand { buffer: &page, offset, len: 4, dtype: Dtype::F32 });
    let mut encoder = encoder(gpu);
    let rejected = Err(Error::NoGradient { penalty: "at_least" });
    assert_eq!(gpu.record_gradient_into(&mut encoder, &penalty, &theta, &g), rejected);
    assert_eq!(gpu.record_gradient_add(&mut encoder, &penalty, &theta, &g), rejected);
    let mut set = small_set(gpu, &penalty).expect("the operands are valid");
    assert_eq!(set.record_gradient_add(&mut encoder).map_err(inner), rejected);
    assert_eq!(set.record_prox_in_place(&mut encoder, 1.0), Ok(()));
    submit(gpu, encoder);
}

/// A set of one tensor of four weights, in the first bytes of a page.
fn small_set(gpu: &Gpu, penalty: &Penalty) -> Result<ParameterSet> {
    let page = buffer(gpu, &[0; 256], USAGES);
    let at = |offset| [Operand { buffer: &page, offset, len: 4, dtype: Dtype::F32 }];
    let (weights, gradients, first, second) = (at(0), at(64), at(128), at(192));
    let operands =
        Operands { weights: &weights, gradients: &gradients, first: &first, second: &second, ..Operands::default() };
    ParameterSet::new(gpu, vec![Parameter::new("w", penalty.clone())], &operands, 1)
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
    assert_eq!(gpu.record_prox_in_place(&mut encoder, &penalty, &theta, 0.5), Err(unchecked.clone()));
    assert_eq!(gpu.record_gradient_into(&mut encoder, &penalty, &theta, &g), Err(unchecked.clone()));
    assert_eq!(gpu.record_gradient_add(&mut encoder, &penalty, &theta, &g), Err(unchecked.clone()));
    assert_eq!(gpu.record_evaluate(&mut encoder, &penalty, &theta).map(drop), Err(unchecked.clone()));
    assert_eq!(small_set(gpu, &penalty).map(drop).map_err(inner), Err(unchecked.clone()));
    // The set's penalty becomes one that was not checked.
    let l1 = Penalty::l1(0.1).expect("its parameters are valid");
    let mut set = small_set(gpu, &l1).expect("the operands are valid");
    set.prepare_prox_in_place().expect("the set is valid");
    set.penalties_mut().for_each(|(_, p)| *p = penalty.clone());
    assert_eq!(set.record_prox_in_place(&mut encoder, 0.5).map_err(inner), Err(unchecked.clone()));
    assert_eq!(set.prepare_evaluate().map_err(inner), Err(unchecked));
    // Calls on host slices run the check themselves. Other parameters of a checked type need no check.
    let weights = [1.0f32, -1.0, 0.0, 2.0];
    assert_eq!(Backend::Gpu(gpu.clone()).prox(&penalty, &weights, 0.5), Backend::cpu().prox(&penalty, &weights, 0.5));
    set.penalties_mut().for_each(|(_, p)| *p = pinball(0.3, 0.5));
    assert_eq!(set.record_prox_in_place(&mut encoder, 0.5), Ok(()));
    assert_eq!(gpu.record_gradient_into(&mut encoder, &penalty, &theta, &g), Ok(()));
    // Pinball has no prox in Adam's metric, so no kernel that needs one is compiled.
    let rejected = Error::NoMetricProx { penalty: "pinball" };
    assert_eq!(set.prepare_adam_and_evaluate(&Adam::default()).map_err(inner), Err(rejected));
    assert_eq!(set.prepare_adam_and_evaluate(&Adam { metric: Metric::Plain, ..Adam::default() }), Ok(()));
    submit(gpu, encoder);
}

fn halves_that_disagree_are_rejected(device: &Device) {
    let gpu = device.plain();
    let rejected = |penalty: &Penalty| gpu.check(penalty).expect_err("its halves disagree");
    // The number is at the scale 2^99, with the significand between the least and the greatest.
    let term = "l1_again: the term at 1.06584144e30 must be 1.06584144e30 (0x71573eb6) as in Rust, found 1e30 (0x7149f2ca) in WGSL";
    assert_eq!(rejected(&l1_with::<IN_TERM>()).to_string(), term);
    let gradient = rejected(&l1_with::<IN_GRADIENT>());
    let expected = "l1_again: the gradient at 0 must be 0 (0x00000000) as in Rust, found 0.5 (0x3f000000) in WGSL";
    assert_eq!(gradient.to_string(), expected);
    let prox = rejected(&l1_with::<IN_PROX>()).to_string();
    assert!(prox.starts_with("l1_again: the prox with the step 0 at ") && prox.ends_with(" in WGSL"), "{prox}");
    let metric = rejected(&l1_with::<IN_METRIC>()).to_string();
    assert!(metric.starts_with("l1_again: the prox in Adam's metric with the step 0.001 at "), "{metric}");
    // A rejected penalty is not recorded, and does not run on slices.
    let penalty = l1_with::<IN_GRADIENT>();
    let page = buffer(gpu, &[0; 64], USAGES);
    let theta = Operand { buffer: &page, offset: 0, len: 4, dtype: Dtype::F32 };
    assert_eq!(gpu.record_prox_in_place(&mut encoder(gpu), &penalty, &theta, 0.5), Err(gradient.clone()));
    assert_eq!(Backend::Gpu(gpu.clone()).prox(&penalty, &[1.0f32], 0.5), Err(gradient.clone()));
    assert_eq!(small_set(gpu, &penalty).map(drop).map_err(inner), Err(gradient));
    // Functions that break a rule.
    fn lawless<const KIND: usize>() -> Penalty {
        Penalty::custom::<Lawless<KIND>>([1.0, 0.0]).expect("its parameters are valid")
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
        assert_eq!(rejected(&penalty).to_string(), text);
    }
}

fn wgsl_that_is_none_is_rejected(device: &Device) {
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

/// A correct penalty and a wrong one of the same name are told apart.
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
    let poller = Poller::spawn(gpu, TIMEOUT).expect("the device is alive");
    assert_eq!(pollster::block_on(gpu.check_async(&right)), Ok(()));
    drop(poller);
    let rejected = gpu.check(&wrong);
    assert!(rejected.is_err());
    // Neither check uses the device again.
    gpu.device().destroy();
    assert_eq!(gpu.check(&right), Ok(()));
    assert_eq!(gpu.check(&wrong), rejected);
    let other = Penalty::custom::<L1<RIGHT>>([0.25, 0.0]).expect("its parameters are valid");
    assert!(matches!(gpu.check(&other), Err(Error::Device(_) | Error::Timeout(_) | Error::NotSubmitted { .. })));
    // A failure of the device does not count as a rejection.
    assert_eq!(gpu.check(&right), Ok(()));
}
