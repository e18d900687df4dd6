//! Runs penalties on Burn's buffers: pins them, submits Burn's work on them, then hands them to the kernels.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use burn_cubecl::cubecl::server::BufferBinding;
use burn_cubecl::cubecl::wgpu::WgpuResource;
use penalty::gpu::{Operand, Operands, ParameterSet, guarded};
use penalty::{Budget, Dtype, Gpu, Parameter, Penalty, wgpu};

use crate::Error;
use crate::buffer::{Buffer, Server};
use crate::error::cause;
use crate::pending::State;
use crate::runner::{Runner, Step, Stepped, Stepper, Stepping};
use crate::walk::{ELEMENT_WEIGHTS, FIRST, GRADIENT, SECOND, Shaped, WEIGHTS};

/// How many steps of an operation may be under way before the next one waits for the oldest.
const STEPS: usize = 16;

/// An open device, and the parameters of the last module on it.
#[derive(Debug)]
pub(crate) struct Device {
    gpu: Gpu,
    tensors: Vec<Shaped>,
    set: Option<ParameterSet>,
    /// The penalties that the set has.
    penalties: Vec<Penalty>,
    /// Those of the tensors with weighted penalties.
    element_weights: Vec<Option<Buffer>>,
}

/// The buffers of a call: in each list one per parameter, or none.
#[derive(Clone, Copy, Default)]
struct Buffers<'a> {
    weights: &'a [Buffer],
    gradients: &'a [Buffer],
    first: &'a [Buffer],
    second: &'a [Buffer],
}

/// A tensor's buffer range.
struct Pinned {
    resource: WgpuResource,
    len: u64,
    dtype: Dtype,
    /// Burn neither frees nor moves the range while this lives.
    _pin: BufferBinding,
}

impl Device {
    pub(crate) fn new(gpu: Gpu) -> Device {
        Device { gpu, tensors: Vec::new(), set: None, penalties: Vec::new(), element_weights: Vec::new() }
    }

    /// Submits an operation of this device's tensors.
    fn run<T>(
        &mut self,
        penalties: &[Penalty],
        buffers: Buffers<'_>,
        record: impl Fn(&mut ParameterSet, &mut wgpu::CommandEncoder) -> penalty::Result<T>,
    ) -> Result<T, Error> {
        let gpu = self.gpu.clone();
        checked(&gpu, penalties, || {
            let _pins = self.bind(penalties, buffers)?;
            submit(&gpu, |encoder| self.record(encoder, &record))
        })
    }

    /// Gives the set these tensors, after Burn's earlier work on them. They stay where they are while the result lives.
    fn bind(&mut self, penalties: &[Penalty], buffers: Buffers<'_>) -> Result<[Vec<Pinned>; 5], Error> {
        let weighted = self.element_weights.iter().zip(&self.tensors);
        let pins = pin([
            (WEIGHTS, buffers.weights.iter().zip(&self.tensors).collect()),
            (GRADIENT, buffers.gradients.iter().zip(&self.tensors).collect()),
            (FIRST, buffers.first.iter().zip(&self.tensors).collect()),
            (SECOND, buffers.second.iter().zip(&self.tensors).collect()),
            (ELEMENT_WEIGHTS, weighted.filter_map(|(buffer, of)| Some((buffer.as_ref()?, of))).collect()),
        ])?;
        let [weights, gradients, first, second, weighted] = &pins.each_ref().map(|pins| operands(pins));
        let mut weighted = weighted.iter().copied();
        let element_weights: &Vec<_> =
            &self.element_weights.iter().map(|buffer| buffer.as_ref().and_then(|_| weighted.next())).collect();
        let operands = Operands { weights, gradients, first, second, element_weights };
        let set = match &mut self.set {
            Some(set) => {
                set.rebind(&operands)?;
                set
            }
            None => {
                let parameter = |(tensor, penalty): (&Shaped, &Penalty)| Parameter::new(&tensor.path, penalty.clone());
                let parameters = self.tensors.iter().zip(penalties).map(parameter).collect();
                self.penalties = penalties.to_vec();
                self.set.insert(ParameterSet::new(&self.gpu, parameters, &operands, STEPS)?)
            }
        };
        // Only if a penalty has changed: after `penalties_mut`, the set sends its coefficients again.
        if self.penalties != penalties {
            for ((_, to), from) in set.penalties_mut().zip(penalties) {
                to.clone_from(from);
            }
            self.penalties = penalties.to_vec();
        }
        Ok(pins)
    }

    /// Records an operation on the tensors that the set was given.
    fn record<T>(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        record: &impl Fn(&mut ParameterSet, &mut wgpu::CommandEncoder) -> penalty::Result<T>,
    ) -> Result<T, Error> {
        let Some(set) = &mut self.set else {
            return Err(penalty::Error::Device("the set has no tensors".into()).into());
        };
        let began = Instant::now();
        loop {
            match record(set, encoder) {
                // Burn queues steps as fast as the host makes them. This loop limits how far the host runs ahead.
                Err(penalty::Error::RingFull { .. }) if began.elapsed() < Gpu::TIMEOUT => {
                    // `Poll`, not `Wait`: wgpu 30 panics if a wait times out while another thread, such as Burn's, polls.
                    let polled = self.gpu.device().poll(wgpu::PollType::Poll);
                    polled.map_err(|error| penalty::Error::Device(error.to_string()))?;
                    std::thread::sleep(Duration::from_micros(100));
                }
                Err(penalty::Error::RingFull { .. }) => return Err(Error::Busy(Gpu::TIMEOUT)),
                other => break Ok(other?),
            }
        }
    }
}

impl Stepper for Device {
    type Memory = Buffer;

    fn prepare(&mut self, tensors: Vec<Shaped>, element_weights: Vec<Option<Buffer>>) {
        (self.tensors, self.element_weights) = (tensors, element_weights);
        (self.set, self.penalties) = (None, Vec::new());
    }

    fn steps(mut steps: Vec<(&mut Device, Stepping<'_, Buffer>)>) -> Result<Vec<Option<State>>, Error> {
        let Some((first, _)) = steps.first() else { return Ok(Vec::new()) };
        let gpu = first.gpu.clone();
        let penalties: Vec<Penalty> = steps.iter().flat_map(|(_, stepping)| stepping.penalties).cloned().collect();
        checked(&gpu, &penalties, || {
            let mut pins = Vec::with_capacity(steps.len());
            for (device, Stepping { penalties, memory, .. }) in &mut steps {
                let Stepped { weights, gradients, first, second } = memory;
                pins.push(device.bind(penalties, Buffers { weights, gradients, first, second })?);
            }
            submit(&gpu, |encoder| {
                let record = |(device, stepping): &mut (&mut Device, Stepping<'_, Buffer>)| {
                    let (step, report) = (stepping.step, stepping.report);
                    device.record(encoder, &|set, encoder| match (&step, report) {
                        (Step::Sgd(sgd), true) => set.record_sgd_and_evaluate(encoder, sgd).map(Some),
                        (Step::Adam(adam), true) => set.record_adam_and_evaluate(encoder, adam).map(Some),
                        (Step::Sgd(sgd), false) => set.record_sgd(encoder, sgd).map(|()| None),
                        (Step::Adam(adam), false) => set.record_adam(encoder, adam).map(|()| None),
                    })
                };
                steps.iter_mut().map(record).map(|recorded| Ok(recorded?.map(State::Device))).collect()
            })
        })
    }
}

impl Runner for Device {
    fn evaluate(&mut self, penalties: &[Penalty], weights: &[Buffer]) -> Result<State, Error> {
        let buffers = Buffers { weights, ..Buffers::default() };
        self.run(penalties, buffers, |set, encoder| set.record_evaluate(encoder)).map(State::Device)
    }

    fn add_gradients(
        &mut self,
        penalties: &[Penalty],
        weights: &[Buffer],
        gradients: &mut [Buffer],
    ) -> Result<State, Error> {
        let buffers = Buffers { weights, gradients, ..Buffers::default() };
        let record = |set: &mut ParameterSet, encoder: &mut _| set.record_evaluate_and_gradient_add(encoder);
        self.run(penalties, buffers, record).map(State::Device)
    }

    fn prox(&mut self, penalties: &[Penalty], weights: &mut [Buffer], step: f64) -> Result<State, Error> {
        let buffers = Buffers { weights, ..Buffers::default() };
        let record = |set: &mut ParameterSet, encoder: &mut _| set.record_prox_and_evaluate_in_place(encoder, step);
        self.run(penalties, buffers, record).map(State::Device)
    }

    fn prune(&mut self, penalties: &[Penalty], weights: &mut [Buffer], budget: &Budget) -> Result<State, Error> {
        let buffers = Buffers { weights, ..Buffers::default() };
        self.run(penalties, buffers, |set, encoder| set.record_prune_in_place(encoder, budget)).map(State::Device)
    }
}

/// An operand's buffers, each with its tensor.
type Listed<'a> = (&'static str, Vec<(&'a Buffer, &'a Shaped)>);

/// Pins the operands' buffers and submits Burn's work on them.
fn pin(lists: [Listed<'_>; 5]) -> Result<[Vec<Pinned>; 5], Error> {
    let first = lists.iter().find_map(|(operand, tensors)| Some((*operand, *tensors.first()?)));
    let Some((operand, (Buffer(tensor), parameter))) = first else { return Ok(Default::default()) };
    // Burn's thread for the device makes these calls. From here, each of them would wait for that thread.
    let pinned = tensor.client.exclusive(|| pin_here(&lists));
    pinned.map_err(|error| parameter.shut(operand, error.to_string()))?
}

fn pin_here(lists: &[Listed<'_>; 5]) -> Result<[Vec<Pinned>; 5], Error> {
    let mut pins = <[Vec<Pinned>; 5]>::default();
    let mut streams = HashMap::new();
    for ((operand, tensors), pins) in lists.iter().zip(&mut pins) {
        for &(Buffer(tensor), parameter) in tensors {
            let pin = tensor.handle.clone().binding();
            let resource = tensor.client.get_resource::<Server>(tensor.handle.clone());
            let resource = resource.map_err(|error| parameter.shut(operand, error.to_string()))?.resource().clone();
            pins.push(Pinned { resource, len: parameter.len, dtype: parameter.dtype, _pin: pin });
            streams.entry(tensor.handle.stream).or_insert((*operand, tensor, parameter));
        }
    }
    // Getting a buffer encodes Burn's work on it, so this gets all buffers first. Then it flushes, which submits that
    // work: on the caller's stream, and on each stream that made them.
    for (stream, (operand, tensor, parameter)) in streams {
        let flushed = tensor.client.flush().and_then(|()| stream.executes(|| tensor.client.flush()));
        flushed.map_err(|error| Error::Storage {
            operand,
            parameter: parameter.path.clone(),
            problem: format!("Burn's own work on it failed: {error}"),
        })?;
    }
    Ok(pins)
}

/// Calls `submit`. If a custom penalty is unchecked, checks all penalties and calls it again.
fn checked<T>(gpu: &Gpu, penalties: &[Penalty], mut submit: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    match submit() {
        Err(Error::Penalty(error)) if matches!(cause(&error), penalty::Error::Unchecked { .. }) => {
            penalties.iter().try_for_each(|penalty| gpu.check(penalty))?;
            submit()
        }
        submitted => submitted,
    }
}

/// Submits what is recorded, before Burn's later work. After an error, it submits nothing.
fn submit<T>(gpu: &Gpu, record: impl FnOnce(&mut wgpu::CommandEncoder) -> Result<T, Error>) -> Result<T, Error> {
    // Guarded, because Burn's error handler would end the program.
    let mut encoder = guarded(gpu, || gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default()))?;
    let recorded = record(&mut encoder)?;
    guarded(gpu, || gpu.queue().submit([encoder.finish()]))?;
    Ok(recorded)
}

fn operands(pins: &[Pinned]) -> Vec<Operand<'_>> {
    pins.iter().map(operand).collect()
}

fn operand(pin: &Pinned) -> Operand<'_> {
    let Pinned { resource, len, dtype, .. } = pin;
    Operand { buffer: &resource.buffer, offset: resource.offset, len: *len, dtype: *dtype }
}
