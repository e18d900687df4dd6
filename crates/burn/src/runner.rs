//! A call's way through a module: it takes the tensors out, runs the penalties on them and puts them back.

use burn_core::module::Module;
use burn_core::tensor::Tensor;
use burn_optim::GradientsParams;
use penalty::{Adam, Budget, Momentum, Penalty, Sgd};

use crate::memory::{Copies, Memory};
use crate::pending::State;
use crate::walk::{self, ELEMENT_WEIGHTS, Members, Shaped};
use crate::{Error, Rejected};

/// An optimizer's step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Step {
    Sgd(Sgd),
    Adam(Adam),
}

impl Step {
    /// A tensor's step with this learning rate, after so many others.
    pub(crate) fn at(self, learning_rate: f64, steps: u64) -> Step {
        match self {
            Step::Sgd(Sgd { momentum, .. }) => {
                let momentum = if steps == 0 { undampened(momentum) } else { momentum };
                Step::Sgd(Sgd { step: learning_rate, momentum })
            }
            Step::Adam(adam) => Step::Adam(Adam { step: learning_rate, iteration: steps + 1, ..adam }),
        }
    }

    /// Whether it has a first state, and whether it has a second one.
    pub(crate) fn states(&self) -> [bool; 2] {
        match self {
            Step::Sgd(sgd) => [sgd.momentum != Momentum::None, false],
            Step::Adam(_) => [true, true],
        }
    }
}

/// The momentum of the first step, which takes the whole gradient as its velocity.
fn undampened(momentum: Momentum) -> Momentum {
    match momentum {
        Momentum::None => Momentum::None,
        Momentum::HeavyBall { momentum, .. } => Momentum::HeavyBall { momentum, dampening: 0.0 },
        Momentum::Nesterov { momentum, .. } => Momentum::Nesterov { momentum, dampening: 0.0 },
    }
}

/// A step of a runner's tensors.
pub(crate) struct Stepping<'a, M> {
    pub(crate) penalties: &'a [Penalty],
    pub(crate) memory: Stepped<'a, M>,
    pub(crate) step: Step,
    /// Whether to report the weights that the step leaves, from the same read.
    pub(crate) report: bool,
}

/// The memory that a step reads and writes: in each list one entry per parameter. A list that the step does not use is empty.
pub(crate) struct Stepped<'a, M> {
    pub(crate) weights: &'a mut [M],
    pub(crate) gradients: &'a [M],
    /// The velocities, or Adam's first moments.
    pub(crate) first: &'a mut [M],
    /// Adam's second moments.
    pub(crate) second: &'a mut [M],
}

/// Sets a runner's tensors. Element weights that do not open are an error.
pub(crate) fn prepare<R: Stepper>(
    runner: &mut R,
    tensors: Vec<Shaped>,
    element_weights: Vec<Option<Tensor<1>>>,
) -> Result<(), Error> {
    let open = |(weights, tensor): (Option<Tensor<1>>, &Shaped)| {
        let opened = weights.map(|weights| R::Memory::open(weights).map(Memory::readable)).transpose();
        opened.map_err(|shut| tensor.shut(ELEMENT_WEIGHTS, shut.1))
    };
    let element_weights = element_weights.into_iter().zip(&tensors).map(open).collect::<Result<_, Error>>()?;
    runner.prepare(tensors, element_weights);
    Ok(())
}

/// Takes steps on one kind of memory.
pub(crate) trait Stepper {
    type Memory: Memory;

    /// Sets the tensors of the calls that follow, and the element weights of those whose penalties are weighted.
    fn prepare(&mut self, tensors: Vec<Shaped>, element_weights: Vec<Option<Self::Memory>>);

    /// Takes the steps of several of them, with a report for each that asks for it. After an error, none of them has changed anything.
    fn steps(steps: Vec<(&mut Self, Stepping<'_, Self::Memory>)>) -> Result<Vec<Option<State>>, Error>;
}

/// Runs penalties on one kind of memory.
pub(crate) trait Runner: Stepper {
    fn evaluate(&mut self, penalties: &[Penalty], weights: &[Self::Memory]) -> Result<State, Error>;

    fn add_gradients(
        &mut self,
        penalties: &[Penalty],
        weights: &[Self::Memory],
        gradients: &mut [Self::Memory],
    ) -> Result<State, Error>;

    fn prox(&mut self, penalties: &[Penalty], weights: &mut [Self::Memory], step: f64) -> Result<State, Error>;

    fn prune(&mut self, penalties: &[Penalty], weights: &mut [Self::Memory], budget: &Budget) -> Result<State, Error>;
}

pub(crate) fn evaluate<R: Runner, M: Module>(
    runner: &mut R,
    penalties: &[Penalty],
    members: &Members<'_>,
    module: &M,
) -> Result<State, Error> {
    let weights: Vec<R::Memory> = walk::read_weights(module, members)?;
    runner.evaluate(penalties, &weights)
}

pub(crate) fn add_gradients<R: Runner, M: Module>(
    runner: &mut R,
    penalties: &[Penalty],
    members: &Members<'_>,
    (module, gradients): (&M, &mut GradientsParams),
    copies: &mut Copies,
) -> Result<State, Error> {
    let weights: Vec<R::Memory> = walk::read_weights(module, members)?;
    let mut taken = walk::take_gradients(module, members, gradients, copies)?;
    let state = runner.add_gradients(penalties, &weights, &mut taken.memory);
    walk::put_gradients(module, members, gradients, taken);
    state
}

/// Takes the weights out of the module, changes them in place and puts them back. After an error, they have their old values.
pub(crate) fn change<R: Runner, M: Module>(
    runner: &mut R,
    members: &Members<'_>,
    module: M,
    copies: &mut Copies,
    change: impl FnOnce(&mut R, &mut [R::Memory]) -> Result<State, Error>,
) -> Result<(M, State), Rejected<M>> {
    let (module, taken) = walk::take_weights::<R::Memory, M>(module, members, copies);
    let mut weights = match taken {
        Ok(weights) => weights,
        Err(error) => return Err(Rejected { module, error }),
    };
    let state = change(runner, &mut weights);
    let module = walk::put_weights(module, members, weights, state.is_ok());
    match state {
        Ok(state) => Ok((module, state)),
        Err(error) => Err(Rejected { module, error }),
    }
}
