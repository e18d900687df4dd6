//! ndarray.

use std::rc::Rc;

use ndarray::{ArrayView1, ArrayViewMut1, Zip};

use crate::contender::{Contender, Host, Input, L1, L2, Outcome, SHRINK, STEP, TENSORS, THRESHOLD};

pub fn contenders(operation: &str, input: &Rc<Input>) -> Vec<Contender> {
    let norm = |theta: &[f32]| ArrayView1::from(theta).fold(0.0, |sum, x| sum + f64::from(x.abs()));
    let run: Box<dyn FnMut(&mut Host) -> Outcome> = match operation {
        "value" => Box::new(move |host| {
            host.scalar = norm(&host.theta);
            Ok(())
        }),
        "value_and_gradient" => Box::new(move |host| {
            let theta = ArrayView1::from(&host.theta[..]);
            let squares = theta.fold(0.0, |sum, &x| sum + f64::from(x) * f64::from(x));
            host.scalar = L1 * norm(&host.theta) + L2 * squares;
            let slope = |g: &mut f32, &x: &f32| *g = L1 as f32 * x.signum() + (2.0 * L2) as f32 * x;
            Zip::from(ArrayViewMut1::from(&mut host.gradient[..])).and(theta).for_each(slope);
            Ok(())
        }),
        "soft_threshold" => Box::new(|host| {
            ArrayViewMut1::from(&mut host.theta[..]).mapv_inplace(|x| x - x.clamp(-THRESHOLD, THRESHOLD));
            Ok(())
        }),
        "prox_step" => Box::new(|host| {
            let gradient = ArrayView1::from(&host.gradient[..]);
            Zip::from(ArrayViewMut1::from(&mut host.theta[..])).and(gradient).for_each(|x, &g| {
                let moved = *x - STEP as f32 * g;
                *x = (moved - moved.clamp(-THRESHOLD, THRESHOLD)) * SHRINK;
            });
            Ok(())
        }),
        "thousand_tensors" => Box::new(move |host| {
            let norms: Vec<f64> = host.theta.chunks(host.theta.len() / TENSORS).map(norm).collect();
            host.scalar = norms.iter().sum();
            Ok(())
        }),
        _ => return Vec::new(),
    };
    vec![Contender::on_host("ndarray", operation, input, run)]
}
