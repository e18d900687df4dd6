//! Walks over a module's float parameters: to list them, to take their tensors out and to put them back.

use std::any::Any;
use std::collections::HashMap;

use burn_core::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn_core::tensor::{DType, Device, GradientCheckpointingStrategy, Tensor};
use burn_optim::grad_clipping::GradientClipping;
use burn_optim::{GradAdaptor, GradientsParams};
use penalty::Dtype;

use crate::Error;
use crate::memory::{Copies, Memory};

pub(crate) const WEIGHTS: &str = "the weights";
pub(crate) const GRADIENT: &str = "the gradient";
pub(crate) const FIRST: &str = "the first state";
pub(crate) const SECOND: &str = "the second state";
pub(crate) const ELEMENT_WEIGHTS: &str = "the element weights";

/// A float parameter, described by its first occurrence.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) path: String,
    pub(crate) id: ParamId,
    pub(crate) shape: Vec<usize>,
    pub(crate) dtype: DType,
    /// Its device, without autodiff.
    pub(crate) device: Device,
    /// Whether it requires a gradient. Always true without autodiff.
    pub(crate) trainable: bool,
    /// Whether it lies in a normalization layer.
    pub(crate) normalization: bool,
    /// How often it occurs.
    pub(crate) occurrences: usize,
}

impl Found {
    pub(crate) fn len(&self) -> u64 {
        self.shape.iter().map(|&n| n as u64).product()
    }

    /// Rejects a gradient whose shape or device differs from the parameter's, or whose type is another than this one.
    fn check_gradient<const D: usize>(&self, gradient: &Tensor<D>, dtype: DType) -> Result<(), Error> {
        let parameter = self.path.clone();
        let shape = gradient.shape().to_vec();
        if (gradient.dtype(), &shape) != (dtype, &self.shape) {
            let expected = format!("{dtype:?} {:?}", self.shape);
            return Err(Error::Gradient { parameter, expected, found: format!("{:?} {shape:?}", gradient.dtype()) });
        }
        if gradient.device() != self.device {
            let (expected, found) = (format!("{:?}", self.device), format!("{:?}", gradient.device().inner()));
            return Err(Error::Device { operand: GRADIENT, parameter, expected, found });
        }
        Ok(())
    }

    /// What the memory of its weights must hold.
    pub(crate) fn shaped(&self) -> Result<Shaped, Error> {
        let parameter = || self.path.clone();
        let dtype = dtype_of(self.dtype);
        let dtype = dtype.map_err(|found| Error::Type { operand: WEIGHTS, parameter: parameter(), found })?;
        Ok(Shaped { path: parameter(), len: self.len(), dtype })
    }

    /// Rejects a parameter on another device.
    #[cfg(feature = "wgpu")]
    pub(crate) fn check_device(&self, device: &Device) -> Result<(), Error> {
        if self.device == *device {
            return Ok(());
        }
        let (expected, found) = (format!("{device:?}"), format!("{:?}", self.device));
        Err(Error::Device { operand: WEIGHTS, parameter: self.path.clone(), expected, found })
    }
}

/// The library's type for Burn's, or Burn's if it has no kernels.
pub(crate) fn dtype_of(dtype: DType) -> Result<Dtype, DType> {
    match dtype {
        DType::F32 => Ok(Dtype::F32),
        DType::F16 => Ok(Dtype::F16),
        DType::BF16 => Ok(Dtype::BF16),
        other => Err(other),
    }
}

/// A penalized parameter, and what its memory must hold.
#[derive(Debug, Clone)]
pub(crate) struct Shaped {
    pub(crate) path: String,
    pub(crate) len: u64,
    pub(crate) dtype: Dtype,
}

impl Shaped {
    /// The error of an operand whose memory cannot be used.
    pub(crate) fn shut(&self, operand: &'static str, problem: String) -> Error {
        Error::Storage { operand, parameter: self.path.clone(), problem }
    }
}

/// The float parameters of a module, each once, in the module's order.
pub(crate) fn survey<M: Module>(module: &M) -> Vec<Found> {
    let mut survey = Survey::default();
    module.visit(&mut survey);
    survey.found
}

/// The float parameters of a module as vectors without autodiff, by path.
pub(crate) fn flat<M: Module>(module: &M) -> Vec<(String, Tensor<1>)> {
    struct Flat {
        path: Vec<String>,
        found: Vec<(String, Tensor<1>)>,
    }
    impl ModuleVisitor for Flat {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_string());
        }

        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let tensor = param.base().inner();
            let len = tensor.shape().num_elements();
            self.found.push((self.path.join("."), tensor.reshape([len])));
        }
    }
    let mut flat = Flat { path: Vec::new(), found: Vec::new() };
    module.visit(&mut flat);
    flat.found
}

#[derive(Default)]
struct Survey {
    path: Vec<String>,
    containers: Vec<String>,
    known: HashMap<ParamId, usize>,
    found: Vec<Found>,
}

impl ModuleVisitor for Survey {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push(name.to_string());
        self.containers.push(container.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
        self.containers.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(&at) = self.known.get(&param.id) {
            self.found[at].occurrences += 1;
            return;
        }
        self.known.insert(param.id, self.found.len());
        self.found.push(Found {
            path: self.path.join("."),
            id: param.id,
            shape: param.shape().to_vec(),
            dtype: param.dtype(),
            device: param.device().inner(),
            trainable: !param.is_autodiff() || param.is_require_grad(),
            normalization: self.containers.last().is_some_and(|kind| kind.ends_with("Norm")),
            occurrences: 1,
        });
    }
}

/// The parameters that take part in a call, by their id.
pub(crate) struct Members<'a> {
    found: &'a [Found],
    at: HashMap<ParamId, usize>,
}

impl<'a> Members<'a> {
    pub(crate) fn new(found: &'a [Found]) -> Members<'a> {
        Members { found, at: found.iter().enumerate().map(|(at, f)| (f.id, at)).collect() }
    }
}

/// Tensors that were taken, by the index of their parameter.
type Taken<K> = Vec<Option<K>>;

/// The error if this walk did not meet one of the parameters.
fn missing<K>(members: &Members<'_>, operand: &'static str, taken: &Taken<K>) -> Option<Error> {
    let (_, found) = taken.iter().zip(members.found).find(|(memory, _)| memory.is_none())?;
    Some(storage(operand, found, "no such parameter in a second walk".into()))
}

fn storage(operand: &'static str, found: &Found, problem: String) -> Error {
    Error::Storage { operand, parameter: found.path.clone(), problem }
}

/// Opens the weights for reading.
pub(crate) fn read_weights<K: Memory, M: Module>(module: &M, members: &Members<'_>) -> Result<Vec<K>, Error> {
    let mut read = Read { members, taken: none(members), error: None };
    module.visit(&mut read);
    match read.error.or_else(|| missing(members, WEIGHTS, &read.taken)) {
        Some(error) => Err(error),
        None => Ok(read.taken.into_iter().flatten().collect()),
    }
}

fn none<K>(members: &Members<'_>) -> Taken<K> {
    members.found.iter().map(|_| None).collect()
}

struct Read<'a, K> {
    members: &'a Members<'a>,
    taken: Taken<K>,
    error: Option<Error>,
}

impl<K: Memory> ModuleVisitor for Read<'_, K> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(&at) = self.members.at.get(&param.id) else { return };
        if self.error.is_some() || self.taken[at].is_some() {
            return;
        }
        match K::open(param.base().inner()) {
            Ok(memory) => self.taken[at] = Some(memory.readable()),
            Err(rejected) => self.error = Some(storage(WEIGHTS, &self.members.found[at], rejected.1)),
        }
    }
}

/// Rejects gradients whose type, shape or device differs from their parameter's, before any is taken.
pub(crate) fn check_gradients<M: Module>(
    module: &M,
    members: &Members<'_>,
    gradients: &GradientsParams,
) -> Result<(), Error> {
    let mut check = CheckGradients { members, gradients, error: None };
    module.visit(&mut check);
    check.error.map_or(Ok(()), Err)
}

struct CheckGradients<'a> {
    members: &'a Members<'a>,
    gradients: &'a GradientsParams,
    error: Option<Error>,
}

impl ModuleVisitor for CheckGradients<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(&at) = self.members.at.get(&param.id) else { return };
        let Some(gradient) = self.gradients.get::<D>(param.id) else { return };
        let found = &self.members.found[at];
        if self.error.is_none() {
            self.error = found.check_gradient(&gradient, found.dtype).err();
        }
    }
}

/// Opens the gradients for reading, clipped and in the type of their weights. A parameter without weights has none.
pub(crate) fn read_gradients<K: Memory, M: Module>(
    module: &M,
    members: &Members<'_>,
    gradients: GradAdaptor,
    clipping: Option<GradientClipping>,
) -> Result<Vec<Option<K>>, Error> {
    let mut read = ReadGradients { members, gradients, clipping, taken: none(members), error: None };
    module.visit(&mut read);
    read.error.map_or(Ok(read.taken), Err)
}

struct ReadGradients<'a, K> {
    members: &'a Members<'a>,
    gradients: GradAdaptor,
    clipping: Option<GradientClipping>,
    taken: Taken<K>,
    error: Option<Error>,
}

impl<K: Memory> ModuleVisitor for ReadGradients<'_, K> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(&at) = self.members.at.get(&param.id) else { return };
        let found = &self.members.found[at];
        if self.error.is_some() || found.len() == 0 {
            return;
        }
        let Some((gradient, _)) = self.gradients.remove::<D>(param.id) else { return };
        // In mixed precision, gradients may have another type than the weights they are for.
        let opened = found.check_gradient(&gradient, gradient.dtype()).and_then(|()| {
            let gradient = match &self.clipping {
                Some(clipping) => clipping.clip_gradient(gradient.inner()),
                None => gradient.inner(),
            };
            let gradient = if gradient.dtype() == found.dtype { gradient } else { gradient.cast(found.dtype) };
            K::open(gradient).map_err(|shut| storage(GRADIENT, found, shut.1))
        });
        match opened {
            Ok(memory) => self.taken[at] = Some(memory.readable()),
            Err(error) => self.error = Some(error),
        }
    }
}

/// Gradients that were taken out, until they are put back.
pub(crate) struct Gradients<K> {
    pub(crate) memory: Vec<K>,
    /// Which of them are zeros that stand in for a missing gradient. They are written and then dropped.
    absent: Vec<bool>,
}

/// Takes the gradients for writing. A parameter without a gradient takes no step, so it does not get one: zeros stand in during the call.
pub(crate) fn take_gradients<K: Memory, M: Module>(
    module: &M,
    members: &Members<'_>,
    gradients: &mut GradientsParams,
    copies: &mut Copies,
) -> Result<Gradients<K>, Error> {
    let absent = vec![false; members.found.len()];
    let mut take = TakeGradients { members, gradients, copies, taken: none(members), absent, error: None };
    module.visit(&mut take);
    let TakeGradients { taken, absent, error, .. } = take;
    match error.or_else(|| missing(members, GRADIENT, &taken)) {
        None => Ok(Gradients { memory: taken.into_iter().flatten().collect(), absent }),
        Some(error) => {
            put(module, members, gradients, taken, &absent);
            Err(error)
        }
    }
}

/// Puts the gradients back.
pub(crate) fn put_gradients<K: Memory, M: Module>(
    module: &M,
    members: &Members<'_>,
    gradients: &mut GradientsParams,
    taken: Gradients<K>,
) {
    let memory = taken.memory.into_iter().map(Some).collect();
    put(module, members, gradients, memory, &taken.absent);
}

fn put<K: Memory, M: Module>(
    module: &M,
    members: &Members<'_>,
    gradients: &mut GradientsParams,
    taken: Taken<K>,
    absent: &[bool],
) {
    module.visit(&mut PutGradients { members, gradients, taken, absent });
}

struct TakeGradients<'a, K> {
    members: &'a Members<'a>,
    gradients: &'a mut GradientsParams,
    copies: &'a mut Copies,
    taken: Taken<K>,
    absent: Vec<bool>,
    error: Option<Error>,
}

impl<K: Memory> ModuleVisitor for TakeGradients<'_, K> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(&at) = self.members.at.get(&param.id) else { return };
        if self.error.is_some() || self.taken[at].is_some() {
            return;
        }
        let gradient = self.gradients.remove::<D>(param.id);
        self.absent[at] = gradient.is_none();
        let gradient = gradient.unwrap_or_else(|| param.base().inner().zeros_like());
        match K::open(gradient.inner()) {
            Ok(memory) => self.taken[at] = Some(memory.writable(self.copies)),
            Err(rejected) => {
                let (gradient, problem) = *rejected;
                if !self.absent[at] {
                    self.gradients.register(param.id, gradient);
                }
                self.error = Some(storage(GRADIENT, &self.members.found[at], problem));
            }
        }
    }
}

struct PutGradients<'a, K> {
    members: &'a Members<'a>,
    gradients: &'a mut GradientsParams,
    taken: Taken<K>,
    absent: &'a [bool],
}

impl<K: Memory> ModuleVisitor for PutGradients<'_, K> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(&at) = self.members.at.get(&param.id) else { return };
        if let (Some(memory), false) = (self.taken[at].take(), self.absent[at]) {
            self.gradients.register(param.id, memory.close::<D>(&self.members.found[at].device));
        }
    }
}

/// Takes the weights out of a module for writing. On failure, the module is unchanged.
pub(crate) fn take_weights<K: Memory, M: Module>(
    module: M,
    members: &Members<'_>,
    copies: &mut Copies,
) -> (M, Result<Vec<K>, Error>) {
    let mut take = TakeWeights { members, copies, taken: none(members), error: None };
    let module = module.map(&mut take);
    let TakeWeights { taken, error, .. } = take;
    match error.or_else(|| missing(members, WEIGHTS, &taken)) {
        None => (module, Ok(taken.into_iter().flatten().collect())),
        Some(error) => (module.map(&mut PutWeights { members, taken, tied: None }), Err(error)),
    }
}

/// Puts the weights back. With `tie`, puts them into every occurrence of a parameter, so that shared parameters stay shared.
pub(crate) fn put_weights<K: Memory, M: Module>(module: M, members: &Members<'_>, taken: Vec<K>, tie: bool) -> M {
    let tie = tie && members.found.iter().any(|f| f.occurrences > 1);
    if !tie && K::IN_PLACE {
        return module;
    }
    let taken = taken.into_iter().map(Some).collect();
    module.map(&mut PutWeights { members, taken, tied: tie.then(HashMap::new) })
}

/// What autodiff knows about a parameter's tensor, apart from the values.
struct Context {
    autodiff: bool,
    tracked: bool,
    checkpointing: Option<GradientCheckpointingStrategy>,
    distributed: bool,
}

impl Context {
    fn of<const D: usize>(tensor: &Tensor<D>) -> Context {
        let autodiff = tensor.is_autodiff();
        Context {
            autodiff,
            tracked: tensor.is_require_grad(),
            checkpointing: tensor.gradient_checkpointing_strategy(),
            // Without autodiff, `is_distributed` panics.
            distributed: autodiff && tensor.is_distributed(),
        }
    }

    /// Makes the tensor a leaf of a new graph, as Burn's optimizers do after a step.
    fn restore<const D: usize>(&self, tensor: Tensor<D>, id: ParamId) -> Tensor<D> {
        if !self.autodiff {
            return tensor;
        }
        let mut tensor = Tensor::from_inner(tensor);
        if let Some(strategy) = self.checkpointing {
            tensor = tensor.with_gradient_checkpointing_strategy(strategy);
        }
        if self.tracked {
            tensor = tensor.require_grad();
        }
        if self.distributed {
            tensor = tensor.set_distributed(id);
        }
        tensor
    }
}

struct TakeWeights<'a, K> {
    members: &'a Members<'a>,
    copies: &'a mut Copies,
    taken: Taken<K>,
    error: Option<Error>,
}

impl<K: Memory> ModuleMapper for TakeWeights<'_, K> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let id = param.id;
        let Some(&at) = self.members.at.get(&id) else { return param };
        if self.error.is_some() || self.taken[at].is_some() {
            return param;
        }
        let found = &self.members.found[at];
        // `map` keeps the id, the conversions on loading and saving, and whether the parameter trains.
        param.map(|tensor| {
            let context = Context::of(&tensor);
            let inner = match K::open(tensor.inner()) {
                Ok(memory) => {
                    let memory = memory.writable(self.copies);
                    let stand_in = memory.stand_in::<D>(&found.device);
                    self.taken[at] = Some(memory);
                    stand_in
                }
                Err(rejected) => {
                    let (tensor, problem) = *rejected;
                    self.error = Some(storage(WEIGHTS, found, problem));
                    tensor
                }
            };
            context.restore(inner, id)
        })
    }
}

struct PutWeights<'a, K> {
    members: &'a Members<'a>,
    taken: Taken<K>,
    /// The new tensors of parameters that occur more than once, if all occurrences are to share them.
    tied: Option<HashMap<ParamId, Box<dyn Any>>>,
}

impl<K: Memory> ModuleMapper for PutWeights<'_, K> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let id = param.id;
        let Some(&at) = self.members.at.get(&id) else { return param };
        let found = &self.members.found[at];
        let first = self.tied.as_ref().and_then(|tied| tied.get(&id)?.downcast_ref::<Tensor<D>>());
        if let Some(first) = first {
            return if param.shape() == first.shape() { param.map(|_| first.clone()) } else { param };
        }
        let Some(memory) = self.taken[at].take() else { return param };
        let param = if K::IN_PLACE {
            param
        } else {
            param.map(|stand_in| Context::of(&stand_in).restore(memory.close(&found.device), id))
        };
        if let (Some(tied), true) = (&mut self.tied, found.occurrences > 1) {
            tied.insert(id, Box::new(param.base()));
        }
        param
    }
}
