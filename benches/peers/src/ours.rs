//! penalty's calls. Each also gives or counts statistics.

use std::rc::Rc;

use penalty::{Adam, Backend, Cpu, HostSet, Metric, Momentum, Parameter, Penalty, Result, Sgd, Slice};

use crate::contender::{ADAM_STEP, Contender, Host, Input, L1, L2, Outcome, STEP, TENSORS};

pub fn contenders(operation: &str, input: &Rc<Input>, cpu: &Cpu) -> Result<Vec<Contender>> {
    let backend = Backend::Cpu(cpu.clone());
    let (l1, elastic_net) = (Penalty::l1(L1)?, Penalty::keras(L1, L2)?);
    let set = |penalty: &Penalty, count: usize| {
        HostSet::new(cpu.clone(), (0..count).map(|i| Parameter::new(i.to_string(), penalty.clone())).collect())
    };
    let prox = |penalty: Penalty| -> Box<dyn FnMut(&mut Host) -> Outcome> {
        let backend = backend.clone();
        Box::new(move |host| Ok(backend.prox_in_place(&penalty, &mut host.theta, STEP)?))
    };
    let run: Box<dyn FnMut(&mut Host) -> Outcome> = match operation {
        "value" => Box::new(move |host| {
            host.scalar = backend.evaluate(&l1, &host.theta)?.l1;
            Ok(())
        }),
        "value_and_gradient" => Box::new(move |host| {
            let report = backend.evaluate_and_gradient_into(&elastic_net, &host.theta, &mut host.gradient)?;
            host.scalar = report.value;
            Ok(())
        }),
        "soft_threshold" => prox(l1),
        "prox_step" => {
            let (set, sgd) = (set(&elastic_net, 1), Sgd { step: STEP, momentum: Momentum::None });
            Box::new(move |host| {
                set.sgd(&mut [host.theta[..].as_mut().into()], &[host.gradient[..].into()], &mut [], &sgd)?;
                Ok(())
            })
        }
        "adam_step" => {
            let set = set(&l1, 1);
            let adam = Adam { step: ADAM_STEP, metric: Metric::Plain, ..Adam::default() };
            Box::new(move |host| {
                set.adam(
                    &mut [host.theta[..].as_mut().into()],
                    &[host.gradient[..].into()],
                    &mut [host.first[..].as_mut().into()],
                    &mut [host.second[..].as_mut().into()],
                    &adam,
                )?;
                Ok(())
            })
        }
        "thousand_tensors" => {
            let set = set(&l1, TENSORS);
            Box::new(move |host| {
                let tensors: Vec<Slice<'_>> = host.theta.chunks(host.theta.len() / TENSORS).map(Slice::from).collect();
                let reports = set.evaluate(&tensors)?;
                host.scalar = reports.tensors.iter().map(|report| report.l1).sum();
                Ok(())
            })
        }
        "l1_ball" => prox(Penalty::l1_ball(input.radius())?),
        "two_of_four" => prox(Penalty::n_of_m(2, 4)?),
        "top_k" => prox(Penalty::top_k(input.kept() as u64)?),
        _ => return Ok(Vec::new()),
    };
    Ok(vec![Contender::on_host("penalty", operation, input, run)])
}
