//! Times the operations on host slices against the processor's reads, copies and in-place scaling.

use std::cell::RefCell;
use std::hint::black_box;
use std::time::Instant;

use penalty::{Backend, Penalty};
use penalty_bandwidth::cpu;

use super::{Kernel, Pair, Row, STEP, Times, measure, weights};
use crate::error::{Error, Result};

/// The bound on a sum's error that the contract promises.
const TOLERANCE: f64 = 9.0e-7;

pub(super) fn rows(backend: &Backend, penalty: &Penalty, len: usize) -> Result<Vec<Row>> {
    let theta = weights(len);
    let mut output = vec![0f32; len];
    check(backend, penalty, &theta, &mut output)?;
    let mut moving = theta.clone();
    // Two kernels write to each of these, in turn.
    let (output, moving) = (RefCell::new(&mut output[..]), RefCell::new(&mut moving[..]));
    let bytes = size_of_val(&theta[..]);
    let pairs = vec![
        Pair {
            operation: "evaluate",
            ours: kernel(bytes, || {
                black_box(backend.evaluate(penalty, &theta)?);
                Ok(())
            }),
            machine: kernel(bytes, || {
                black_box(cpu::read(&theta));
                Ok(())
            }),
        },
        Pair {
            operation: "gradient",
            ours: kernel(2 * bytes, || backend.gradient_into(penalty, &theta, &mut output.borrow_mut())),
            machine: kernel(2 * bytes, || {
                cpu::copy(&theta, &mut output.borrow_mut());
                Ok(())
            }),
        },
        Pair {
            operation: "prox",
            ours: kernel(2 * bytes, || backend.prox_in_place(penalty, &mut moving.borrow_mut(), STEP)),
            machine: kernel(2 * bytes, || {
                cpu::scale(&mut moving.borrow_mut(), -1.0);
                Ok(())
            }),
        },
    ];
    measure(len, pairs)
}

fn kernel<'a>(moved: usize, mut once: impl FnMut() -> penalty::Result<()> + 'a) -> Kernel<'a> {
    let run = Box::new(move |repeats| {
        let started = Instant::now();
        for _ in 0..repeats {
            once()?;
        }
        Ok(Times { wall: started.elapsed().as_secs_f64() / repeats as f64, device: None })
    });
    Kernel { moved, run }
}

/// Compares each operation with the plainest code for its formula.
fn check(backend: &Backend, penalty: &Penalty, theta: &[f32], output: &mut [f32]) -> Result<()> {
    let (l1, l2) = (penalty.l1_factor(), penalty.l2_squared_factor());
    let wrong = |operation, expected: f64, found: f64| {
        let (expected, found) = (expected.to_string(), found.to_string());
        Err(Error::Wrong { operation, len: theta.len(), expected, found })
    };
    let value: f64 = theta.iter().map(|&x| f64::from(x)).map(|x| l1 * x.abs() + l2 * x * x).sum();
    let found = backend.evaluate(penalty, theta)?.value;
    if (found / value - 1.0).abs() > TOLERANCE {
        return wrong("evaluate", value, found);
    }
    let close =
        |found: f32, expected: f64| (f64::from(found) - expected).abs() <= 2.0 * 2f64.powi(-24) * expected.abs();
    backend.gradient_into(penalty, theta, output)?;
    for (&x, &found) in theta.iter().zip(&*output) {
        let expected = l1 * f64::from(x.signum()) + 2.0 * l2 * f64::from(x);
        if !close(found, expected) {
            return wrong("gradient", expected, found.into());
        }
    }
    output.copy_from_slice(theta);
    backend.prox_in_place(penalty, output, STEP)?;
    for (&x, &found) in theta.iter().zip(&*output) {
        let (x, t) = (f64::from(x), STEP * l1);
        let expected = (x - x.clamp(-t, t)) / (1.0 + 2.0 * STEP * l2);
        if !close(found, expected) {
            return wrong("prox", expected, found.into());
        }
    }
    Ok(())
}
