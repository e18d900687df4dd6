//! faer, which has norms.

use std::rc::Rc;

use faer::ColRef;

use crate::contender::{Contender, Host, Input, Outcome, TENSORS};

pub fn contenders(operation: &str, input: &Rc<Input>) -> Vec<Contender> {
    let run: Box<dyn FnMut(&mut Host) -> Outcome> = match operation {
        "value" => Box::new(|host| {
            host.scalar = ColRef::from_slice(&host.theta).norm_l1().into();
            Ok(())
        }),
        "thousand_tensors" => Box::new(|host| {
            let tensors = host.theta.chunks(host.theta.len() / TENSORS);
            let norms: Vec<f32> = tensors.map(|tensor| ColRef::from_slice(tensor).norm_l1()).collect();
            host.scalar = norms.iter().map(|&norm| f64::from(norm)).sum();
            Ok(())
        }),
        _ => return Vec::new(),
    };
    vec![Contender::on_host("faer norm_l1", operation, input, run)]
}
