//! Which operands and parameters does a set reject?

use penalty::gpu::{Operand, Operands, ParameterSet};
use penalty::{Adam, Dtype, Error, Momentum, Parameter, Penalty, Sgd, wgpu};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::buffers::{prepare, record};
use crate::common::device::{TIMEOUT, USAGES, buffer, encoder, own, submit};
use crate::common::tensors::{Call, EXACT};

pub(crate) const ON_DEVICES: &[DeviceTest] = named![what_breaks_a_rule_is_rejected,];

fn what_breaks_a_rule_is_rejected(device: &Device) {
    let gpu = device.plain();
    let held = buffer(gpu, &[0; 4096], USAGES);
    let other = buffer(gpu, &[0; 4096], USAGES);
    let unusable = buffer(gpu, &[0; 4096], wgpu::BufferUsages::COPY_DST);
    let foreign_gpu = own(device);
    let foreign = buffer(&foreign_gpu, &[0; 4096], USAGES);
    let destroyed = buffer(gpu, &[0; 4096], USAGES);
    destroyed.destroy();
    let at = |buffer, offset| Operand { buffer, offset, len: 64, dtype: Dtype::F32 };
    let parameters = || {
        let l1 = Penalty::l1(0.1).expect("the λ is valid");
        vec![Parameter::new("a", l1.clone()), Parameter::new("b", l1)]
    };
    let reject = |weights: [Operand<'_>; 2], gradients: &[Operand<'_>], text: &str| {
        let operands = Operands { weights: &weights, gradients, ..Operands::default() };
        let error = ParameterSet::new(gpu, parameters(), &operands, 2).map(drop).expect_err(text).to_string();
        assert!(error.contains(text), "expected {text:?} in {error:?}");
        assert!(!error.contains('\n'), "{error}");
    };
    let good = [at(&held, 0), at(&held, 256)];
    reject([at(&held, 0), at(&held, 0)], &[], "the weights of \"a\" and the weights of \"b\" overlap");
    reject([at(&held, 0), at(&held, 252)], &[], "overlap: each must have memory of its own");
    reject(good, &[at(&held, 512), at(&held, 256)], "the weights of \"b\" and the gradient of \"b\" overlap");
    reject([at(&held, 2), at(&held, 512)], &[], "\"a\": the weights: its offset must be a multiple of 4");
    reject([at(&held, 0), at(&held, 4000)], &[], "\"b\": the weights: its range must end inside its buffer");
    reject(
        [at(&held, 0), at(&unusable, 0)],
        &[],
        "\"b\": the weights: its buffer must have the usage STORAGE, found COPY_DST",
    );
    reject([at(&held, 0), at(&foreign, 0)], &[], "\"b\": the device failed");
    reject([at(&held, 0), at(&destroyed, 0)], &[], "\"b\": the device failed");
    reject(good, &[at(&other, 0)], "a set needs the gradient for each of the 2 tensors, found 1");
    let gradients = |second| [at(&other, 0), second];
    let short = Operand { len: 63, ..at(&other, 256) };
    reject(good, &gradients(short), "\"b\": the gradient must have 64 elements, found 63");
    let half = Operand { dtype: Dtype::F16, ..at(&other, 256) };
    reject(good, &gradients(half), "\"b\": the gradient must hold F32, found F16");
    reject([at(&held, 0), Operand { len: 1 << 61, ..at(&held, 256) }], &[], "\"b\": the weights: its range must end");

    let operands = Operands { weights: &good, ..Operands::default() };
    let none = ParameterSet::new(gpu, parameters(), &operands, 0).map(drop);
    assert!(matches!(none, Err(Error::Parameter { name: "slots", .. })), "{none:?}");
    let mut set = ParameterSet::new(gpu, parameters(), &operands, 2).expect("the operands are valid");
    let mut encoder = encoder(gpu);
    let bad = [
        record(&mut set, &mut encoder, Call::GradientAdd),
        record(&mut set, &mut encoder, EXACT[5]),
        record(&mut set, &mut encoder, Call::AdamAndEvaluate(Adam::default())),
    ];
    for (result, call) in bad.into_iter().zip([Call::GradientAdd, EXACT[5], Call::AdamAndEvaluate(Adam::default())]) {
        let error = result.map(drop).expect_err("there are no gradients");
        assert!(matches!(error, Error::Missing { operand: "the gradient", .. }), "{error}");
        assert_eq!(prepare(&mut set, call), Err(error));
    }
    let output = Operand { len: 12, ..at(&other, 0) };
    set.prepare_prox_in_place().expect("the set has all operands");
    let rejected = set.prepare_resolve(&output).expect_err("no prepared call reports").to_string();
    assert_eq!(rejected, "the output: a call that reports must be prepared before it, found none");
    set.prepare_evaluate().expect("the set has all operands");
    let rejected = set.prepare_resolve(&at(&other, 0));
    assert!(matches!(rejected, Err(Error::Length { operand: "the output", .. })), "{rejected:?}");
    set.prepare_resolve(&output).expect("the output is valid");
    let numbers = [
        Call::Prox(-1.0),
        Call::Prox(f64::NAN),
        Call::SgdAndEvaluate(Sgd { step: f64::INFINITY, momentum: Momentum::None }),
        Call::SgdAndEvaluate(Sgd { step: 0.1, momentum: Momentum::heavy_ball(1.0) }),
        Call::AdamAndEvaluate(Adam { beta1: 1.0, ..Adam::default() }),
        Call::AdamAndEvaluate(Adam { epsilon: 0.0, ..Adam::default() }),
        Call::AdamAndEvaluate(Adam { iteration: 0, ..Adam::default() }),
        Call::AdamAndEvaluate(Adam { decay: 1e9, ..Adam::default() }),
    ];
    for call in numbers {
        let error = record(&mut set, &mut encoder, call).map(drop).expect_err("the number is out of range");
        assert!(matches!(error, Error::Parameter { .. }), "{call:?}: {error}");
    }
    // A rejected `rebind` leaves the set's operands as they were.
    let twice = [at(&held, 0), at(&held, 0)];
    assert!(set.rebind(&Operands { weights: &twice, ..Operands::default() }).is_err());
    let pending = set.record_evaluate(&mut encoder).expect("the set is as it was");
    submit(gpu, encoder);
    assert_eq!(pending.wait(TIMEOUT).expect("it was submitted").total.len, 128);
}
