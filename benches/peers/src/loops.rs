//! The loops that one would write with the standard library, on one thread, and with rayon.

use std::rc::Rc;

use rayon::prelude::*;

use crate::contender::{
    ADAM_STEP, BETA1, BETA2, Contender, EPSILON, Host, Input, L1, L2, Outcome, SHRINK, STEP, TENSORS, THRESHOLD,
};

type Run = Box<dyn FnMut(&mut Host) -> Outcome>;

pub fn contenders(operation: &str, input: &Rc<Input>) -> Vec<Contender> {
    let contender = |name, run| Contender::on_host(name, operation, input, run);
    let on_one = one_thread(operation, input).map(|run| contender("iterator", run));
    let with_rayon = rayon(operation).map(|run| contender("rayon", run));
    on_one.into_iter().chain(with_rayon).collect()
}

fn done(run: impl Fn(&mut Host) + 'static) -> Option<Run> {
    Some(Box::new(move |host| {
        run(host);
        Ok(())
    }))
}

fn soft(v: f32) -> f32 {
    v - v.clamp(-THRESHOLD, THRESHOLD)
}

fn step(theta: f32, gradient: f32) -> f32 {
    soft(theta - STEP as f32 * gradient) * SHRINK
}

/// The penalty's gradient.
fn slope(theta: f32) -> f32 {
    let sign = if theta == 0.0 { 0.0 } else { theta.signum() };
    L1 as f32 * sign + (2.0 * L2) as f32 * theta
}

/// The first iteration: its corrections are 1 − β.
fn adam(theta: &mut f32, g: f32, m: &mut f32, v: &mut f32) {
    *m = BETA1 * *m + (1.0 - BETA1) * g;
    *v = BETA2 * *v + (1.0 - BETA2) * g * g;
    let moved = *theta - ADAM_STEP as f32 * (*m / (1.0 - BETA1)) / ((*v / (1.0 - BETA2)).sqrt() + EPSILON);
    let threshold = (ADAM_STEP * L1) as f32;
    *theta = moved - moved.clamp(-threshold, threshold);
}

fn sum(theta: &[f32]) -> f64 {
    theta.iter().map(|x| f64::from(x.abs())).sum()
}

fn one_thread(operation: &str, input: &Input) -> Option<Run> {
    let (radius, kept) = (input.radius(), input.kept());
    match operation {
        "value" => done(|host| host.scalar = sum(&host.theta)),
        "value_and_gradient" => done(|host| {
            let value = |sum: f64, (g, &x): (&mut f32, &f32)| {
                *g = slope(x);
                sum + L1 * f64::from(x.abs()) + L2 * f64::from(x) * f64::from(x)
            };
            host.scalar = host.gradient.iter_mut().zip(&host.theta).fold(0.0, value);
        }),
        "soft_threshold" => done(|host| host.theta.iter_mut().for_each(|x| *x = soft(*x))),
        "prox_step" => done(|host| host.theta.iter_mut().zip(&host.gradient).for_each(|(x, &g)| *x = step(*x, g))),
        "adam_step" => done(|host| {
            let states = host.first.iter_mut().zip(&mut host.second);
            let all = host.theta.iter_mut().zip(&host.gradient).zip(states);
            all.for_each(|((x, &g), (m, v))| adam(x, g, m, v));
        }),
        "thousand_tensors" => done(|host| {
            let tensors = host.theta.chunks(host.theta.len() / TENSORS);
            let norms: Vec<f64> = tensors.map(sum).collect();
            host.scalar = norms.iter().sum();
        }),
        // Sorts, as Duchi et al. 2008 do.
        "l1_ball" => done(move |host| {
            let mut sorted: Vec<f32> = host.theta.iter().map(|x| x.abs()).collect();
            sorted.sort_unstable_by(|a, b| b.total_cmp(a));
            let (mut sum, mut threshold) = (0.0, 0.0);
            for (i, &x) in sorted.iter().enumerate() {
                sum += f64::from(x);
                let candidate = (sum - radius) / (i + 1) as f64;
                if candidate >= f64::from(x) {
                    break;
                }
                threshold = candidate;
            }
            let threshold = threshold as f32;
            host.theta.iter_mut().for_each(|x| *x -= x.clamp(-threshold, threshold));
        }),
        "two_of_four" => done(|host| {
            for group in host.theta.chunks_exact_mut(4) {
                let mut order = [0, 1, 2, 3];
                order.sort_by(|&a: &usize, &b| group[b].abs().total_cmp(&group[a].abs()));
                group[order[2]] = 0.0;
                group[order[3]] = 0.0;
            }
        }),
        "top_k" => done(move |host| {
            let mut sizes: Vec<f32> = host.theta.iter().map(|x| x.abs()).collect();
            let least = *sizes.select_nth_unstable_by(kept - 1, |a, b| b.total_cmp(a)).1;
            // No two of the weights are equal in magnitude often enough to matter.
            host.theta.iter_mut().filter(|x| x.abs() < least).for_each(|x| *x = 0.0);
        }),
        _ => None,
    }
}

fn rayon(operation: &str) -> Option<Run> {
    match operation {
        "value" => done(|host| host.scalar = host.theta.par_chunks(1 << 16).map(sum).sum()),
        "value_and_gradient" => done(|host| {
            let chunks = host.gradient.par_chunks_mut(1 << 16).zip(host.theta.par_chunks(1 << 16));
            host.scalar = chunks
                .map(|(gradient, theta)| {
                    gradient.iter_mut().zip(theta).for_each(|(g, &x)| *g = slope(x));
                    theta.iter().map(|&x| L1 * f64::from(x.abs()) + L2 * f64::from(x) * f64::from(x)).sum::<f64>()
                })
                .sum();
        }),
        "soft_threshold" => done(|host| host.theta.par_iter_mut().for_each(|x| *x = soft(*x))),
        "prox_step" => done(|host| host.theta.par_iter_mut().zip(&host.gradient).for_each(|(x, &g)| *x = step(*x, g))),
        "adam_step" => done(|host| {
            let states = host.first.par_iter_mut().zip(&mut host.second);
            let all = host.theta.par_iter_mut().zip(&host.gradient).zip(states);
            all.for_each(|((x, &g), (m, v))| adam(x, g, m, v));
        }),
        "thousand_tensors" => done(|host| {
            let norms: Vec<f64> = host.theta.par_chunks(host.theta.len() / TENSORS).map(sum).collect();
            host.scalar = norms.iter().sum();
        }),
        _ => None,
    }
}
