//! The steps of a module's tensors at once, and the states that they keep.

use std::collections::HashMap;
use std::sync::Arc;

use burn_core::module::ParamId;
use burn_core::store::RecordError;
use burn_core::tensor::{Device, Tensor};
use burn_optim::LearningRate;
use penalty::Penalty;

use super::record::Entry;
use crate::Error;
use crate::memory::Memory;
use crate::optim::place::Assignment;
use crate::optim::state::Stored;
use crate::optim::tensor::Proximal;
use crate::pending::Pending;
use crate::runner::{self, Step, Stepped, Stepper, Stepping};
use crate::walk::{FIRST, Found, SECOND};

/// What takes the steps of a module's tensors, and their states.
#[derive(Debug)]
pub(super) struct Together<R: Stepper> {
    /// What ran the last step: a runner for each of its batches.
    runners: Vec<(Vec<usize>, R)>,
    states: HashMap<ParamId, Kept<R::Memory>>,
}

/// The states of a module's tensors, wherever they are.
pub(super) trait States {
    /// Forgets what ran the last step; for other rules or another module.
    fn forget_runners(&mut self);

    /// The states as records store them, in the order of their ids.
    fn entries(&self) -> Result<Vec<Entry>, RecordError>;

    /// Replaces the states by those of a record.
    fn load(&mut self, entries: Vec<Entry>, device: &Device) -> Result<(), Error>;
}

/// A parameter's state.
#[derive(Debug)]
struct Kept<K> {
    steps: u64,
    /// The velocity or the first moment, and the second one, as vectors.
    moments: [Option<K>; 2],
    path: String,
    shape: Vec<usize>,
    device: Device,
}

/// A tensor of a step.
pub(super) struct Member<'a> {
    /// Its index in the module.
    pub(super) at: usize,
    pub(super) found: &'a Found,
    pub(super) learning_rate: LearningRate,
}

/// The tensors that take the same step, with their memory.
struct Batch<K> {
    step: Step,
    /// The tensors' indices in the module, and among those of the call.
    at: Vec<usize>,
    members: Vec<usize>,
    penalties: Vec<Penalty>,
    /// Which tensors are to report.
    due: Vec<bool>,
    weights: Vec<K>,
    gradients: Vec<K>,
    moments: [Vec<K>; 2],
}

impl<K> Batch<K> {
    fn of(step: Step) -> Batch<K> {
        Batch {
            step,
            at: Vec::new(),
            members: Vec::new(),
            penalties: Vec::new(),
            due: Vec::new(),
            weights: Vec::new(),
            gradients: Vec::new(),
            moments: [Vec::new(), Vec::new()],
        }
    }
}

impl<R: Stepper> Default for Together<R> {
    fn default() -> Together<R> {
        Together { runners: Vec::new(), states: HashMap::new() }
    }
}

impl<R: Stepper> Together<R> {
    /// Takes a step of these tensors in place, each with its gradient. After an error, weights and states have their old values.
    pub(super) fn step(
        &mut self,
        new: impl Fn() -> R,
        (numbers, assignment): (Step, &Assignment),
        members: &[Member<'_>],
        weights: Vec<R::Memory>,
        gradients: Vec<R::Memory>,
    ) -> (Vec<R::Memory>, Result<(), Error>) {
        let mut batches = match self.batches(numbers, assignment, members) {
            Ok(batches) => batches,
            Err(error) => return (weights, Err(error)),
        };
        let mut weights: Vec<Option<R::Memory>> = weights.into_iter().map(Some).collect();
        let mut gradients: Vec<Option<R::Memory>> = gradients.into_iter().map(Some).collect();
        for batch in &mut batches {
            for &member in &batch.members {
                batch.weights.extend(weights[member].take());
                batch.gradients.extend(gradients[member].take());
            }
        }
        let taken = self.run(new, assignment, members, &mut batches);
        for batch in batches {
            for (member, memory) in batch.members.into_iter().zip(batch.weights) {
                weights[member] = Some(memory);
            }
        }
        (weights.into_iter().flatten().collect(), taken)
    }

    /// The tensors in batches of the same step, still without weights, gradients and states.
    fn batches(
        &mut self,
        numbers: Step,
        assignment: &Assignment,
        members: &[Member<'_>],
    ) -> Result<Vec<Batch<R::Memory>>, Error> {
        let mut batches: Vec<Batch<R::Memory>> = Vec::new();
        for (index, &Member { at, found, learning_rate }) in members.iter().enumerate() {
            let kept = self.states.entry(found.id).or_insert_with(|| Kept {
                steps: 0,
                moments: [None, None],
                path: found.path.clone(),
                shape: found.shape.clone(),
                device: found.device.clone(),
            });
            kept.path.clone_from(&found.path);
            kept.shape.clone_from(&found.shape);
            let step = numbers.at(learning_rate, kept.steps);
            for ((used, moment), operand) in step.states().into_iter().zip(&mut kept.moments).zip([FIRST, SECOND]) {
                if used && moment.is_none() {
                    let zeros = Tensor::<1>::zeros([found.len() as usize], (&found.device, found.dtype));
                    *moment = Some(open((operand, &found.path), zeros)?);
                }
            }
            let proximal = of(assignment, at);
            let penalty = proximal.penalty_at(kept.steps)?.into_owned();
            let batch = match batches.iter_mut().find(|batch| batch.step == step) {
                Some(batch) => batch,
                None => {
                    batches.push(Batch::of(step));
                    let last = batches.len() - 1;
                    &mut batches[last]
                }
            };
            batch.at.push(at);
            batch.members.push(index);
            batch.penalties.push(penalty);
            batch.due.push(proximal.cell.reports(kept.steps));
        }
        Ok(batches)
    }

    /// Runs the batches with the runners of the last step, or with new ones for other tensors.
    fn run(
        &mut self,
        new: impl Fn() -> R,
        assignment: &Assignment,
        members: &[Member<'_>],
        batches: &mut [Batch<R::Memory>],
    ) -> Result<(), Error> {
        let mut last = std::mem::take(&mut self.runners);
        for batch in &*batches {
            let kept = last.iter().position(|(at, _)| *at == batch.at);
            let runner = match kept {
                Some(kept) => last.swap_remove(kept),
                None => {
                    let mut runner = new();
                    let tensors = batch.members.iter().map(|&member| members[member].found.shaped());
                    let element_weights = batch.at.iter().map(|&at| of(assignment, at).element_weights.clone());
                    runner::prepare(&mut runner, tensors.collect::<Result<_, Error>>()?, element_weights.collect())?;
                    (batch.at.clone(), runner)
                }
            };
            self.runners.push(runner);
        }
        for batch in &mut *batches {
            for &member in &batch.members {
                let Some(kept) = self.states.get_mut(&members[member].found.id) else { continue };
                for ((used, from), to) in batch.step.states().into_iter().zip(&mut kept.moments).zip(&mut batch.moments)
                {
                    to.extend(from.take_if(|_| used));
                }
            }
        }
        let mut steps = Vec::with_capacity(batches.len());
        for ((_, runner), batch) in self.runners.iter_mut().zip(&mut *batches) {
            let Batch { weights, gradients, moments: [first, second], .. } = batch;
            let memory = Stepped { weights, gradients, first, second };
            let report = batch.due.contains(&true);
            steps.push((runner, Stepping { penalties: &batch.penalties, memory, step: batch.step, report }));
        }
        let taken = R::steps(steps);
        for batch in &mut *batches {
            let [mut first, mut second] = std::mem::take(&mut batch.moments).map(Vec::into_iter);
            for &member in &batch.members {
                let Some(kept) = self.states.get_mut(&members[member].found.id) else { continue };
                kept.steps += u64::from(taken.is_ok());
                for (to, from) in kept.moments.iter_mut().zip([first.next(), second.next()]) {
                    *to = from.or_else(|| to.take());
                }
            }
        }
        for (batch, reported) in batches.iter().zip(taken?) {
            let Some(reported) = reported else { continue };
            let names = batch.members.iter().map(|&member| members[member].found.path.clone()).collect();
            let pending = Arc::new(Pending::new(names, reported));
            for (index, (&at, _)) in batch.at.iter().zip(&batch.due).enumerate().filter(|(_, (_, due))| **due) {
                of(assignment, at).cell.set(Ok((pending.clone(), index)));
            }
        }
        Ok(())
    }
}

impl<R: Stepper> States for Together<R> {
    fn forget_runners(&mut self) {
        self.runners.clear();
    }

    fn entries(&self) -> Result<Vec<Entry>, RecordError> {
        let mut entries = Vec::with_capacity(self.states.len());
        for (id, kept) in &self.states {
            let mut stored = [None, None];
            for (moment, data) in kept.moments.iter().zip(&mut stored) {
                let read = moment.clone().map(|memory| memory.close::<1>(&kept.device).try_to_data()).transpose();
                *data = read.map_err(|error| RecordError::Io(error.to_string()))?;
            }
            let [first, second] = stored;
            let stored = Stored { steps: kept.steps, first, second };
            entries.push(Entry { id: id.val(), path: kept.path.clone(), shape: kept.shape.clone(), stored });
        }
        entries.sort_by_key(|entry| entry.id);
        Ok(entries)
    }

    fn load(&mut self, entries: Vec<Entry>, device: &Device) -> Result<(), Error> {
        let kept = |Entry { id, path, shape, stored }| {
            let mut moments = [None, None];
            for ((data, operand), moment) in
                [stored.first, stored.second].into_iter().zip([FIRST, SECOND]).zip(&mut moments)
            {
                let Some(data) = data else { continue };
                let dtype = data.dtype();
                *moment = Some(open((operand, &path), Tensor::<1>::from_data(data, (device, dtype)))?);
            }
            Ok((ParamId::from(id), Kept { steps: stored.steps, moments, path, shape, device: device.clone() }))
        };
        self.states = entries.into_iter().map(kept).collect::<Result<_, Error>>()?;
        Ok(())
    }
}

/// What the rules say about the parameter with this index.
fn of(assignment: &Assignment, at: usize) -> &Proximal {
    assignment.parameters[at].as_ref().unwrap_or(&assignment.others)
}

fn open<K: Memory>((operand, path): (&'static str, &str), state: Tensor<1>) -> Result<K, Error> {
    let shut = |shut: Box<(_, String)>| Error::Storage { operand, parameter: path.into(), problem: shut.1 };
    K::open(state).map(Memory::readable).map_err(shut)
}
