//! candle's tensors on the CPU. They do not change in place.

use std::rc::Rc;

use candle_core::{Device, Result, Tensor};

use crate::contender::{Answer, Contender, Input, L1, L2, Outcome, SHRINK, STEP, TENSORS, THRESHOLD, summary};

struct Tensors {
    theta: Tensor,
    gradient: Tensor,
    scalar: f64,
    result: Option<Tensor>,
}

fn soft(x: &Tensor) -> Result<Tensor> {
    x - x.clamp(-THRESHOLD, THRESHOLD)?
}

fn norm(x: &Tensor) -> Result<f64> {
    Ok(f64::from(x.abs()?.sum_all()?.to_scalar::<f32>()?))
}

pub fn contenders(operation: &str, input: &Rc<Input>) -> Result<Vec<Contender>> {
    let run: fn(&mut Tensors) -> Result<()> = match operation {
        "value" => |t| {
            t.scalar = norm(&t.theta)?;
            Ok(())
        },
        "value_and_gradient" => |t| {
            t.scalar = L1 * norm(&t.theta)? + L2 * f64::from(t.theta.sqr()?.sum_all()?.to_scalar::<f32>()?);
            t.result = Some(((t.theta.sign()? * L1)? + (&t.theta * (2.0 * L2))?)?);
            Ok(())
        },
        "soft_threshold" => |t| {
            t.result = Some(soft(&t.theta)?);
            Ok(())
        },
        "prox_step" => |t| {
            let moved = (&t.theta - (&t.gradient * STEP)?)?;
            t.result = Some((soft(&moved)? * f64::from(SHRINK))?);
            Ok(())
        },
        "thousand_tensors" => |t| {
            t.scalar = (0..TENSORS).map(|i| norm(&t.theta.get(i)?)).sum::<Result<f64>>()?;
            Ok(())
        },
        _ => return Ok(Vec::new()),
    };
    let len = input.theta.len();
    let shape = if operation == "thousand_tensors" { vec![TENSORS, len / TENSORS] } else { vec![len] };
    let tensor = |values: &[f32]| Tensor::from_slice(values, shape.clone(), &Device::Cpu);
    let state = Tensors { theta: tensor(&input.theta)?, gradient: tensor(&input.gradient)?, scalar: 0.0, result: None };
    let give = |t: &Tensors| -> Answer {
        match t.result.as_ref().map(|result| result.to_vec1::<f32>()) {
            Some(Ok(result)) => summary(t.scalar, &result),
            // The driver rejects this answer.
            Some(Err(_)) => [f64::NAN; 3],
            None => [t.scalar, 0.0, 0.0],
        }
    };
    let run = move |t: &mut Tensors| -> Outcome { Ok(run(t)?) };
    Ok(vec![Contender::new("candle", state, |t| t.result = None, run, give)])
}
