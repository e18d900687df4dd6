//! Runs the operations on host memory, on the CPU.

use std::hint::black_box;
use std::marker::PhantomData;
use std::time::Instant;

use bytemuck::{cast_slice, cast_slice_mut};
use penalty::{Backend, Cpu, HostSet, Parameter, Penalty, Report, Reports, Slice, SliceMut};
use penalty_bandwidth::cpu as machine;
use rayon::prelude::*;

use super::case::{Case, Machine, Measure, Operation};
use super::formula::{self, CHECKED_STEP, GRADIENT, Number, THETA, TIMED_STEP};
use super::measure::{Contest, Seconds, Who};
use crate::error::{Error, Result};
use crate::memory;

/// The error of a sum that the contract promises.
const SUM_ERROR: f64 = 9.0e-7;
/// The most runs at once; more of them would shrink weights to zero.
const MOST_RUNS: usize = 10_000;

/// The arrays of a case, before its first step, and the calls on them.
pub(super) struct Host<E> {
    case: Case,
    backend: Backend,
    penalty: Penalty,
    set: HostSet<'static>,
    /// θ, g and the optimizer's states, as whole words; empty if the operation does not take them.
    arrays: [Vec<f32>; 4],
    number: PhantomData<E>,
}

impl<E: Number> Host<E> {
    pub(super) fn new(cpu: &Cpu, case: &Case) -> Result<Host<E>> {
        let penalty = formula::penalty()?;
        let parameter = |i: usize| Parameter::new(i.to_string(), penalty.clone());
        let set = HostSet::new(cpu.clone(), (0..case.shape.tensors).map(parameter).collect());
        let words = case.array_bytes().div_ceil(4) as usize;
        memory::check(4 * (words * case.operation.arrays()) as u64)?;
        let mut arrays = [const { Vec::new() }; 4];
        for (at, array) in arrays.iter_mut().enumerate().take(case.operation.arrays()) {
            *array = vec![0f32; words];
            let elements = &mut cast_slice_mut::<f32, E>(array)[..case.shape.total()];
            let set = |(i, x): (usize, &mut E)| *x = E::rounded(formula::element(at, i, case.zeros));
            elements.par_iter_mut().enumerate().for_each(set);
        }
        Ok(Host { case: *case, backend: Backend::Cpu(cpu.clone()), penalty, set, arrays, number: PhantomData })
    }

    /// The arrays that the operation takes, in whole words.
    pub(super) fn arrays(&self) -> &[Vec<f32>] {
        &self.arrays[..self.case.operation.arrays()]
    }

    /// One step, by the call that a user would choose. It gives a report if the call does.
    fn step(&mut self, step: f64) -> Result<Option<Report>> {
        let Host { backend, penalty, arrays: [theta, gradient, ..], case, .. } = self;
        let total = case.shape.total();
        let theta = &mut cast_slice_mut::<f32, E>(theta)[..];
        let gradient = &mut cast_slice_mut::<f32, E>(gradient)[..];
        if case.shape.is_single() {
            let theta = &mut theta[..total];
            match case.operation {
                Operation::Evaluate => return Ok(Some(backend.evaluate(&*penalty, &*theta)?)),
                Operation::Gradient => backend.gradient_into(&*penalty, &*theta, &mut gradient[..total])?,
                Operation::AddGradient => backend.gradient_add(&*penalty, &*theta, &mut gradient[..total])?,
                Operation::Prox => backend.prox_in_place(&*penalty, theta, step)?,
                // Only sets take these.
                Operation::Sgd | Operation::Adam(_) => return Ok(self.step_of_set(step)?.map(|reports| reports.total)),
            }
            return Ok(None);
        }
        Ok(self.step_of_set(step)?.map(|reports| reports.total))
    }

    /// One step of all tensors as a set.
    pub(super) fn step_of_set(&mut self, step: f64) -> Result<Option<Reports>> {
        let Host { set, arrays: [theta, gradient, first, second], case, .. } = self;
        let (total, len) = (case.shape.total(), case.shape.weights);
        let read = |array| read::<E>(array, total, len);
        let write = |array| write::<E>(array, total, len);
        Ok(match case.operation {
            Operation::Evaluate => Some(set.evaluate(&read(theta))?),
            Operation::Gradient => {
                set.gradient_into(&read(theta), &mut write(gradient))?;
                None
            }
            Operation::AddGradient => {
                set.gradient_add(&read(theta), &mut write(gradient))?;
                None
            }
            Operation::Prox => {
                set.prox_in_place(&mut write(theta), step)?;
                None
            }
            Operation::Sgd => {
                let sgd = formula::sgd(step);
                Some(set.sgd_and_evaluate(&mut write(theta), &read(gradient), &mut write(first), &sgd)?)
            }
            Operation::Adam(metric) => {
                let adam = formula::adam(step, metric);
                Some(set.adam_and_evaluate(
                    &mut write(theta),
                    &read(gradient),
                    &mut write(first),
                    &mut write(second),
                    &adam,
                )?)
            }
        })
    }

    fn machine(&mut self) {
        let [theta, gradient, first, second] = &mut self.arrays;
        match self.case.operation.machine() {
            Machine::Read => _ = black_box(machine::read(theta)),
            Machine::Copy => machine::copy(theta, gradient),
            // Nothing changes but signs.
            Machine::Scale => machine::scale(theta, black_box(-1.0)),
            Machine::Update(1) => machine::update(gradient, [theta]),
            Machine::Update(2) => machine::update(gradient, [theta, first]),
            Machine::Update(_) => machine::update(gradient, [theta, first, second]),
        }
    }

    /// Compares one step with the plainest formulas.
    pub(super) fn check(&mut self) -> Result<()> {
        let report = self.step(CHECKED_STEP)?;
        self.compare(report)
    }

    /// Compares what the arrays hold after the step, and its report.
    fn compare(&self, report: Option<Report>) -> Result<()> {
        let Case { operation, shape, zeros, .. } = self.case;
        let formula = formula::expected(operation, CHECKED_STEP);
        let before = |array, at| E::rounded(formula::element(array, at, zeros)).exact();
        let found: Vec<&[E]> = self.arrays().iter().map(|array| cast_slice(array)).collect();
        let wrong = (0..shape.total()).into_par_iter().find_map_any(|at| {
            let (theta, g) = (before(THETA, at), before(GRADIENT, at));
            found.iter().zip(formula(theta, g)).enumerate().find_map(|(array, (found, expected))| {
                // A prox subtracts.
                let scale = if array == THETA { expected.abs().max(theta.abs()) } else { expected.abs() };
                let found = found[at].exact();
                ((found - expected).abs() > E::ERROR * scale).then_some((array, at, expected, found))
            })
        });
        if let Some((array, at, expected, found)) = wrong {
            let array = ["θ", "g", "the first state", "the second state"][array];
            return Err(self.wrong(format!("{array}[{at}] = {expected}"), found.to_string()));
        }
        let theta = &cast_slice::<f32, E>(&self.arrays[THETA])[..shape.total()];
        let l1: f64 = theta.par_chunks(1 << 16).map(|part| part.iter().map(|x| x.exact().abs()).sum::<f64>()).sum();
        match report {
            Some(report) if (report.l1 - l1).abs() > SUM_ERROR * l1 => {
                Err(self.wrong(format!("Σ|θ| = {l1}"), report.l1.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// The error of a wrong answer, whose time would mean nothing.
    pub(super) fn wrong(&self, expected: String, found: String) -> Error {
        Error::Wrong { case: self.case.to_string(), expected, found }
    }
}

impl<E: Number> Contest for Host<E> {
    fn most(&self) -> usize {
        MOST_RUNS
    }

    fn run(&mut self, who: Who, _: Measure, times: usize) -> Result<Seconds> {
        let started = Instant::now();
        for _ in 0..times {
            match who {
                Who::Ours => _ = black_box(self.step(TIMED_STEP)?),
                Who::Machine => self.machine(),
            }
        }
        Ok(Seconds { host: started.elapsed().as_secs_f64() / times as f64, device: None, dispatch: None })
    }
}

/// The tensors in an array.
fn read<E: Number>(array: &[f32], total: usize, len: usize) -> Vec<Slice<'_>> {
    cast_slice::<f32, E>(array)[..total].chunks(len).map(Slice::from).collect()
}

fn write<E: Number>(array: &mut [f32], total: usize, len: usize) -> Vec<SliceMut<'_>> {
    cast_slice_mut::<f32, E>(array)[..total].chunks_mut(len).map(SliceMut::from).collect()
}

#[cfg(test)]
mod tests {
    use penalty::half::{bf16, f16};

    use super::super::case::cases;
    use super::super::shape::Shape;
    use super::*;

    /// Plants an error in each array in turn, and one in the report.
    fn errors_are_found<E: Number>(case: &Case) -> Result<()> {
        let mut host = Host::<E>::new(&Cpu::new(), case)?;
        let report = host.step(CHECKED_STEP)?;
        host.compare(report)?;
        for array in 0..case.operation.arrays() {
            let last = case.shape.total() - 1;
            let element = &mut cast_slice_mut::<f32, E>(&mut host.arrays[array])[last];
            let right = *element;
            *element = E::rounded(1.02 * right.exact() as f32);
            assert!(matches!(host.compare(report), Err(Error::Wrong { .. })), "{case}, array {array}");
            cast_slice_mut::<f32, E>(&mut host.arrays[array])[last] = right;
        }
        if let Some(report) = report {
            let wrong = Report { l1: 1.00001 * report.l1, ..report };
            assert!(matches!(host.compare(Some(wrong)), Err(Error::Wrong { .. })), "{case}");
        }
        host.compare(report)
    }

    #[test]
    fn planted_errors_are_found_in_every_row() -> Result<()> {
        for case in cases(&[Shape::single(1001), Shape::set(3, 50)], false) {
            // The last weight must not be zero, or no factor changes it.
            let case = Case { zeros: false, ..case };
            match case.dtype {
                penalty::Dtype::F32 => errors_are_found::<f32>(&case)?,
                penalty::Dtype::F16 => errors_are_found::<f16>(&case)?,
                penalty::Dtype::BF16 => errors_are_found::<bf16>(&case)?,
            }
        }
        Ok(())
    }
}
