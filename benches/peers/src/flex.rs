//! Burn's tensors on Flex, its backend for CPUs.

use std::rc::Rc;

use burn::tensor::{Device, Tensor, TensorData};

use crate::contender::{Answer, Contender, Input, L1, L2, Outcome, SHRINK, STEP, TENSORS, THRESHOLD, summary};

type T = Tensor<1>;

struct Tensors {
    theta: T,
    gradient: T,
    scalar: f64,
    result: Option<T>,
}

fn soft(x: T) -> T {
    x.clone() - x.clamp(-THRESHOLD, THRESHOLD)
}

fn scalar(x: T) -> f64 {
    x.into_scalar::<f32>().into()
}

pub fn contenders(operation: &str, input: &Rc<Input>) -> Vec<Contender> {
    let run: fn(&mut Tensors) = match operation {
        "value" => |t| t.scalar = scalar(t.theta.clone().abs().sum()),
        "value_and_gradient" => |t| {
            let theta = || t.theta.clone();
            t.scalar = L1 * scalar(theta().abs().sum()) + L2 * scalar(theta().square().sum());
            t.result = Some(theta().sign() * L1 + theta() * (2.0 * L2));
        },
        "soft_threshold" => |t| t.result = Some(soft(t.theta.clone())),
        "prox_step" => |t| t.result = Some(soft(t.theta.clone() - t.gradient.clone() * STEP) * SHRINK),
        "thousand_tensors" => |t| {
            let len = t.theta.dims()[0] / TENSORS;
            let norms = (0..TENSORS).map(|i| scalar(t.theta.clone().slice(i * len..(i + 1) * len).abs().sum()));
            t.scalar = norms.sum();
        },
        _ => return Vec::new(),
    };
    let device = Device::flex();
    let tensor = |values: &[f32]| T::from_data(TensorData::new(values.to_vec(), [values.len()]), &device);
    let state = Tensors { theta: tensor(&input.theta), gradient: tensor(&input.gradient), scalar: 0.0, result: None };
    let give = |t: &Tensors| -> Answer {
        match &t.result {
            Some(result) => summary(t.scalar, &result.to_data().try_to_vec::<f32>().unwrap_or_default()),
            None => [t.scalar, 0.0, 0.0],
        }
    };
    let run = move |t: &mut Tensors| -> Outcome {
        run(t);
        Ok(())
    };
    vec![Contender::new("burn Flex", state, |t| t.result = None, run, give)]
}
