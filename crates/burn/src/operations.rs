//! Takes steps in Burn's tensor operations, on devices whose memory this crate does not reach.

mod compute;

use burn_core::tensor::{Device, Shape, Tensor};
use penalty::expression::Input;
use penalty::{Expression, Penalty};

use crate::Error;
use crate::array::Array;
use crate::host::Host;
use crate::memory::{Copies, Memory};
use crate::pending::State;
use crate::runner::{Runner, Step, Stepped, Stepper, Stepping};
use crate::walk::{self, ELEMENT_WEIGHTS, FIRST, SECOND, Shaped};

/// A tensor as a vector, and its shape.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    vector: Tensor<1>,
    shape: Shape,
}

impl Memory for Held {
    const IN_PLACE: bool = false;

    fn open<const D: usize>(tensor: Tensor<D>) -> Result<Held, Box<(Tensor<D>, String)>> {
        let shape = tensor.shape();
        let len = shape.num_elements();
        Ok(Held { vector: tensor.reshape([len]), shape })
    }

    fn readable(self) -> Held {
        self
    }

    fn writable(self, _: &mut Copies) -> Held {
        self
    }

    fn stand_in<const D: usize>(&self, device: &Device) -> Tensor<D> {
        Tensor::empty([0; D], (device, self.vector.dtype()))
    }

    fn close<const D: usize>(self, _: &Device) -> Tensor<D> {
        self.vector.reshape(self.shape)
    }
}

/// The tensors of the steps that follow.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    tensors: Vec<Shaped>,
    element_weights: Vec<Option<Held>>,
}

impl Stepper for Operations {
    type Memory = Held;

    fn prepare(&mut self, tensors: Vec<Shaped>, element_weights: Vec<Option<Held>>) {
        *self = Operations { tensors, element_weights };
    }

    fn steps(steps: Vec<(&mut Operations, Stepping<'_, Held>)>) -> Result<Vec<Option<State>>, Error> {
        // Everything is computed before anything is changed.
        let taken = steps.iter().map(|(operations, stepping)| operations.taken(stepping));
        let taken = taken.collect::<Result<Vec<_>, Error>>()?;
        let put = |((_, stepping), (results, state)): ((_, Stepping<'_, Held>), (Vec<Vec<Tensor<1>>>, _))| {
            let Stepped { weights, first, second, .. } = stepping.memory;
            for (at, results) in results.into_iter().enumerate() {
                let places = [weights.get_mut(at), first.get_mut(at), second.get_mut(at)];
                places.into_iter().flatten().zip(results).for_each(|(place, result)| place.vector = result);
            }
            state
        };
        Ok(steps.into_iter().zip(taken).map(put).collect())
    }
}

impl Operations {
    /// The weights and states after a step of each tensor, and the report if there is to be one.
    fn taken(&self, stepping: &Stepping<'_, Held>) -> Result<(Vec<Vec<Tensor<1>>>, Option<State>), Error> {
        let results =
            (0..self.tensors.len()).map(|at| self.results(at, stepping)).collect::<Result<Vec<_>, Error>>()?;
        let state = stepping.report.then(|| self.report(stepping.penalties, &results)).transpose()?;
        Ok((results, state))
    }

    /// A tensor's weights and states after its step.
    fn results(&self, at: usize, stepping: &Stepping<'_, Held>) -> Result<Vec<Tensor<1>>, Error> {
        let (tensor, penalty, memory) = (&self.tensors[at], &stepping.penalties[at], &stepping.memory);
        let expression = match &stepping.step {
            Step::Sgd(sgd) => Expression::sgd(sgd, penalty, tensor.dtype),
            Step::Adam(adam) => Expression::adam(adam, penalty, tensor.dtype),
        };
        let expression = match expression {
            Ok(expression) if penalty.is_weighted() == self.element_weights[at].is_some() => expression,
            // The host has the formulas of groups and custom penalties, and rejects what is missing.
            Ok(_) | Err(penalty::Error::NoExpression { .. }) => return self.results_of_host(at, stepping),
            Err(error) => return Err(error.into()),
        };
        let weights = &memory.weights[at].vector;
        let input = |input| match input {
            Input::Weight => Some(&memory.weights[at]),
            Input::Gradient => Some(&memory.gradients[at]),
            Input::First => memory.first.get(at),
            Input::Second => memory.second.get(at),
            Input::ElementWeight => self.element_weights[at].as_ref(),
        };
        // A state begins as zeros.
        let input = |of| input(of).map_or_else(|| weights.zeros_like(), |held| held.vector.clone());
        let results = compute::results(&expression, input).into_iter();
        Ok(results.map(|result| result.cast(weights.dtype())).collect())
    }

    /// The same by way of copies in host memory.
    fn results_of_host(&self, at: usize, stepping: &Stepping<'_, Held>) -> Result<Vec<Tensor<1>>, Error> {
        let (tensor, memory) = (&self.tensors[at], &stepping.memory);
        let open = |operand, held: Option<&Held>| held.map(|held| tensor.open(operand, &held.vector)).transpose();
        let device = memory.weights[at].vector.device();
        let mut weights = open(walk::WEIGHTS, memory.weights.get(at))?;
        let gradient = open(walk::GRADIENT, memory.gradients.get(at))?;
        let [mut first, mut second] = [open(FIRST, memory.first.get(at))?, open(SECOND, memory.second.get(at))?];
        let mut host = Host::default();
        host.prepare(vec![tensor.clone()], vec![open(ELEMENT_WEIGHTS, self.element_weights[at].as_ref())?]);
        let copied = Stepping {
            penalties: std::slice::from_ref(&stepping.penalties[at]),
            memory: Stepped {
                weights: weights.as_mut_slice(),
                gradients: gradient.as_slice(),
                first: first.as_mut_slice(),
                second: second.as_mut_slice(),
            },
            step: stepping.step,
            report: false,
        };
        Host::steps(vec![(&mut host, copied)])?;
        Ok([weights, first, second].into_iter().flatten().map(|array| array.close(&device)).collect())
    }

    /// The report of the new weights, from copies of them in host memory.
    fn report(&self, penalties: &[Penalty], results: &[Vec<Tensor<1>>]) -> Result<State, Error> {
        let of = |operand| move |(tensor, vector): (&Shaped, &Tensor<1>)| tensor.open(operand, vector);
        let weights = self.tensors.iter().zip(results.iter().filter_map(|results| results.first()));
        let weights = weights.map(of(walk::WEIGHTS)).collect::<Result<Vec<Array>, Error>>()?;
        let element_weights = self
            .tensors
            .iter()
            .zip(&self.element_weights)
            .map(|(tensor, held)| held.as_ref().map(|held| tensor.open(ELEMENT_WEIGHTS, &held.vector)).transpose());
        let mut host = Host::default();
        host.prepare(self.tensors.clone(), element_weights.collect::<Result<_, Error>>()?);
        host.evaluate(penalties, &weights)
    }
}

impl Shaped {
    /// A copy of this tensor in host memory.
    fn open(&self, operand: &'static str, vector: &Tensor<1>) -> Result<Array, Error> {
        Array::open(vector.clone()).map_err(|shut| self.shut(operand, shut.1))
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn_core::tensor::{DType, TensorData};
    use penalty::half::f16;
    use penalty::{Adam, Dtype, Groups, Metric, Momentum, Sgd};

    use super::*;
    use crate::runner;

    const WEIGHTS: [f32; 8] = [1.0, 0.4, -2.0, 0.0, -0.7, 3.0, 0.05, -0.12];
    const GRADIENT: [f32; 8] = [0.3, -0.2, 0.1, 0.0, 0.9, -1.0, 0.02, 0.2];
    const STATE: [f32; 8] = [0.1, 0.2, 0.05, 0.0, 0.4, 1.5, 0.01, 0.3];

    fn penalties() -> Vec<Penalty> {
        let made = [
            Ok(Penalty::none()),
            Penalty::l1(0.5),
            Penalty::l2_squared(0.5),
            Penalty::elastic_net(0.5, 0.6),
            Penalty::huber(0.5, 0.3),
            Penalty::log_sum(0.3, 1.5),
            Penalty::log_sum(2.0, 0.1),
            Penalty::mcp(0.3, 3.0),
            Penalty::mcp(0.3, 0.1),
            Penalty::scad(0.3, 3.7),
            Penalty::l_half(0.2),
            Penalty::l0(0.05),
            Penalty::nonnegative_l1(0.25),
            Penalty::interval(-0.5, 1.5),
            Penalty::weighted_elastic_net(0.5, 0.6),
            Ok(Penalty::mask()),
            Penalty::sum([Penalty::l1(0.2), Penalty::interval(-0.5, 1.0)].map(|term| term.expect("it is valid"))),
            Penalty::group_lasso(0.4, Groups::runs(4).expect("it is a length")),
            Penalty::n_of_m(2, 4),
        ];
        made.into_iter().map(|penalty| penalty.expect("it is valid")).collect()
    }

    fn steps() -> Vec<Step> {
        let momenta = [Momentum::None, Momentum::heavy_ball(0.5), Momentum::nesterov(0.5)];
        let sgd = momenta.into_iter().map(|momentum| Step::Sgd(Sgd { step: 0.3, momentum }));
        let adam = [Metric::Adam, Metric::Plain]
            .into_iter()
            .map(|metric| Step::Adam(Adam { step: 0.1, iteration: 3, decay: 0.1, metric, ..Adam::default() }));
        sgd.chain(adam).collect()
    }

    /// The weights and states after a step, and R(θ).
    fn stepped<S: Stepper>(
        mut stepper: S,
        dtype: DType,
        penalty: &Penalty,
        step: Step,
    ) -> Result<Vec<Vec<f32>>, Error> {
        let device = Device::flex();
        let tensor =
            |values: [f32; 8]| Tensor::<2>::from_data(TensorData::new(values.to_vec(), [2, 4]), &device).cast(dtype);
        let open = |values| S::Memory::open(tensor(values)).map_err(|_| ()).expect("Flex opens").writable(&mut 0);
        let shaped =
            Shaped { path: "w".into(), len: 8, dtype: if dtype == DType::F32 { Dtype::F32 } else { Dtype::F16 } };
        let element_weights = penalty.is_weighted().then(|| tensor(STATE).reshape([8]));
        runner::prepare(&mut stepper, vec![shaped], vec![element_weights])?;
        let (mut weights, gradients) = ([open(WEIGHTS)], [open(GRADIENT)]);
        let [mut first, mut second] = step.states().map(|used| Vec::from_iter(used.then(|| open(STATE))));
        let memory = Stepped { weights: &mut weights, gradients: &gradients, first: &mut first, second: &mut second };
        let stepping = Stepping { penalties: std::slice::from_ref(penalty), memory, step, report: true };
        let mut reported = S::steps(vec![(&mut stepper, stepping)])?;
        let Some(State::Ready(reports)) = reported.remove(0) else { panic!("the host has its report at once") };
        let closed = weights.into_iter().chain(first).chain(second).map(|memory| memory.close::<2>(&device));
        let mut values: Vec<Vec<f32>> = closed
            .map(|tensor| {
                assert_eq!(tensor.dtype(), dtype);
                tensor.cast(DType::F32).into_data().try_into_vec().expect("it is a float")
            })
            .collect();
        values.push(vec![reports.total.value as f32, reports.total.nonzero as f32]);
        Ok(values)
    }

    /// Each step of each penalty gives what the library's loops give, within rounding.
    #[test]
    fn operations_take_the_steps_of_the_loops() {
        for (dtype, unit) in [(DType::F32, f32::EPSILON), (DType::F16, f16::EPSILON.to_f32())] {
            for (penalty, step) in
                penalties().iter().flat_map(|penalty| steps().into_iter().map(move |step| (penalty, step)))
            {
                let about = format!("{penalty}, {step:?}, {dtype:?}");
                let expected = stepped(Host::default(), dtype, penalty, step);
                let found = stepped(Operations::default(), dtype, penalty, step);
                match (expected, found) {
                    (Ok(expected), Ok(found)) => {
                        assert_eq!(expected.len(), found.len(), "{about}");
                        for (expected, found) in expected.into_iter().zip(found) {
                            let near = |(a, b): (&f32, &f32)| {
                                (a - b).abs() <= 16.0 * unit * a.abs().max(1.0) && (*a == 0.0) == (*b == 0.0)
                            };
                            let all = expected.iter().zip(&found).all(near);
                            assert!(
                                all && expected.len() == found.len(),
                                "{about}: expected {expected:?}, found {found:?}"
                            );
                        }
                    }
                    (Err(expected), Err(found)) => assert_eq!(expected.to_string(), found.to_string(), "{about}"),
                    (expected, found) => panic!("{about}: expected {expected:?}, found {found:?}"),
                }
            }
        }
    }

    /// Numbers out of range are errors, and nothing has changed then.
    #[test]
    fn errors_are_those_of_the_loops() {
        let step = Step::Sgd(Sgd { step: f64::NAN, momentum: Momentum::None });
        let l1 = Penalty::l1(0.5).expect("it is valid");
        let expected = stepped(Host::default(), DType::F32, &l1, step).expect_err("it is no number").to_string();
        let found = stepped(Operations::default(), DType::F32, &l1, step).expect_err("it is no number").to_string();
        assert_eq!(found, expected);
    }
}
