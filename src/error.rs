//! The one error type. Every rejection says what was expected and what was found.

use std::fmt;
use std::time::Duration;

/// What went wrong, with what was expected and what was found.
///
/// Nothing in this crate panics on a value, a slice, a buffer or a device that a caller can supply: it returns one of
/// these errors. The display text is one line, fit for a user.
///
/// ```
/// use penalty::{Error, Penalty};
///
/// let error = Penalty::l1(-1.0).unwrap_err();
/// assert_eq!(error.to_string(), "lambda must be a number from 0 to half of f32::MAX, found -1");
/// assert!(matches!(error, Error::Parameter { name: "lambda", found: -1.0, .. }));
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A number given to a constructor or an operation is out of its range.
    #[error("{name} must be {expected}, found {}", shortest(.found))]
    Parameter {
        /// The parameter, as the documentation names it.
        name: &'static str,
        /// The range it must lie in.
        expected: &'static str,
        /// The number given.
        found: f64,
    },
    /// Two operands that must have the same length do not.
    #[error("{operand} must have {expected} elements, found {found}")]
    Length {
        /// The operand whose length is wrong.
        operand: &'static str,
        /// The length it must have.
        expected: u64,
        /// The length it has.
        found: u64,
    },
    /// Two operands that must have the same type do not.
    #[error("{operand} must hold {expected}, found {found}")]
    Type {
        /// The operand whose type is wrong.
        operand: &'static str,
        /// The type it must have.
        expected: crate::Dtype,
        /// The type it has.
        found: crate::Dtype,
    },
    /// Element weights for a penalty that takes none, or none for one that [takes some](crate::Penalty::is_weighted).
    #[error("{penalty} must be given {expected}, found {found}")]
    ElementWeights {
        /// The penalty's name.
        penalty: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What was given.
        found: &'static str,
    },
    /// A term that a [`Sum`](crate::Sum) cannot have.
    #[error("a sum must be of separable penalties without element weights, found {found}")]
    Sum {
        /// The term's name.
        found: &'static str,
    },
    /// The prox of a sum of penalties does not follow from those of its terms; see [`Penalty::sum`](crate::Penalty::sum).
    #[error("the prox of {} + {} is not known: {reason}", terms[0], terms[1])]
    SumProx {
        /// The names of two terms.
        terms: [&'static str; 2],
        /// Why not.
        reason: &'static str,
    },
    /// Something was asked of a [sum](crate::Penalty::sum) of penalties that only one formula has.
    #[error("a sum of penalties cannot be {asked}: expected a penalty of one formula")]
    OfSum {
        /// What was asked.
        asked: &'static str,
    },
    /// An element weight that is negative or NaN.
    #[error("the element weights must be numbers ≥ 0, found {} at index {index}", shortest(*.found as f32))]
    ElementWeight {
        /// The index of its element.
        index: u64,
        /// The element weight.
        found: f64,
    },
    /// A chunk that does not start on a tile boundary: it would be summed in another order than the whole.
    #[error("a chunk must start at a multiple of {tile} elements, found {found}", tile = crate::numeric::tile::TILE)]
    ChunkStart {
        /// The element that the chunk starts at.
        found: u64,
    },
    /// Bytes that are not a serialized [`Partial`](crate::exact::Partial).
    #[error("not a serialized partial: expected {expected}, found {found}")]
    PartialBytes {
        /// What the bytes must hold.
        expected: &'static str,
        /// What they hold.
        found: u64,
    },
    /// A [`Partial`](crate::exact::Partial) was asked for the value of a penalty that it was not made for.
    #[error("the value of {penalty} needs partials made for it, with the same parameters and groups; found others")]
    OtherPenalty {
        /// The penalty's name.
        penalty: &'static str,
    },
    /// Invalid groups, or groups that do not cover a tensor.
    #[error("{groups} must {expected}: {found}")]
    Groups {
        /// The groups.
        groups: String,
        /// The rule they break.
        expected: String,
        /// What was found instead.
        found: String,
    },
    /// A chunk of a tensor was to be evaluated under a group penalty, whose groups may reach beyond the chunk.
    #[error("{penalty} is a group penalty: it needs the whole tensor at once, found a chunk from element {found} on")]
    GroupsOfChunk {
        /// The penalty's name.
        penalty: &'static str,
        /// The element that the chunk starts at.
        found: u64,
    },
    /// The gradient of a penalty that [has none](crate::Penalty::has_gradient) was asked for: of a count or a
    /// constraint.
    #[error("{penalty} has no gradient: use its prox, or an optimizer's step, which takes it")]
    NoGradient {
        /// The penalty's name.
        penalty: &'static str,
    },
    /// Something was asked of one number that a group penalty, whose weights belong together, does not have.
    #[error("{penalty} is a group penalty: it has no {asked} of one number; use {instead}")]
    NotSeparable {
        /// The penalty's name.
        penalty: &'static str,
        /// What was asked.
        asked: &'static str,
        /// What to call for a whole tensor.
        instead: &'static str,
    },
    /// An Adam step in Adam's metric was asked for under a penalty without a closed-form prox there: a group penalty,
    /// or a custom penalty that defines none.
    #[error(
        "{penalty} has no prox in closed form in Adam's metric: expected Metric::Plain, which minimizes another objective than \
         f + R, found Metric::Adam"
    )]
    NoMetricProx {
        /// The penalty's name.
        penalty: &'static str,
    },
    /// An expression was asked for of a penalty that is not a formula of one weight, or whose formula is a user's code.
    #[error(
        "{penalty} has no expression: expected a separable penalty of this library, found a group penalty or a custom one"
    )]
    NoExpression {
        /// The penalty's name.
        penalty: &'static str,
    },
    /// The WGSL of a custom penalty does not compile, or lacks a function that it must have.
    #[error("the WGSL of {penalty} must compile as part of a kernel, found {error}")]
    Wgsl {
        /// The penalty's name.
        penalty: &'static str,
        /// What the compiler says, in one line.
        error: String,
    },
    /// A function of a custom penalty gave a wrong number: a different one in WGSL than in Rust, or one that no penalty
    /// may give. See [`Gpu::check`](crate::Gpu::check).
    #[error("{penalty}: {operation} at {} must be {expected}, found {found}", shortest(.input))]
    CustomPenalty {
        /// The penalty's name.
        penalty: &'static str,
        /// Which function, with its step.
        operation: String,
        /// The first input for which it did.
        input: f32,
        /// What the result must be: the number and the bits that the Rust function gives, or a rule.
        expected: String,
        /// The number and the bits that were found.
        found: String,
    },
    /// Something was asked of a custom penalty for which the library would have to know its parameters.
    #[error("{penalty} cannot be {asked}: it is a custom penalty, and only its type knows what its parameters mean")]
    NotBuiltIn {
        /// The penalty's name.
        penalty: &'static str,
        /// What was asked.
        asked: &'static str,
    },
    /// A custom penalty was to be recorded for a device on which it was not checked.
    #[error("{penalty} must be checked on this device before it is recorded: call Gpu::check first")]
    Unchecked {
        /// The penalty's name.
        penalty: &'static str,
    },
    /// A name, or a list of names, that is unknown or does not fit.
    #[error("{what} must {expected}; found {found}")]
    Name {
        /// What is named.
        what: String,
        /// What it must be or have.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A GPU operand that breaks a rule of buffers: by its offset, its range or the usages of its buffer.
    #[error("{operand}: {rule}, found {found}")]
    Operand {
        /// The operand.
        operand: &'static str,
        /// The rule it breaks.
        rule: &'static str,
        /// What was found instead.
        found: String,
    },
    /// A limit is too small: one that the device was opened with, or one of the library.
    #[error("{limit} must be at least {expected} for {purpose}, found {found}")]
    Limit {
        /// The limit; for a device's limit, the name in [`wgpu::Limits`].
        limit: &'static str,
        /// What needs it.
        purpose: String,
        /// How large it must be.
        expected: u64,
        /// How large it is.
        found: u64,
    },
    /// Two operands share memory: a weight would be counted twice, or written by two threads.
    #[error("{first} and {second} overlap: each must have memory of its own")]
    Overlap {
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
    /// One of several tensors breaks a rule.
    #[error("{parameter}: {error}")]
    InParameter {
        /// The tensor's name in quotes, or its index if the list has no names.
        parameter: String,
        /// What is wrong with it.
        error: Box<Error>,
    },
    /// An operation needs operands that were not given.
    #[error("{operation} needs {operand} for each of the {expected} tensors, found {found}")]
    Missing {
        /// The operation.
        operation: &'static str,
        /// The operands that it needs.
        operand: &'static str,
        /// How many tensors there are.
        expected: usize,
        /// How many operands were given.
        found: usize,
    },
    /// No adapter answers the request.
    #[error("no adapter {request}; found {found}")]
    NoAdapter {
        /// What was asked for.
        request: String,
        /// The available adapters.
        found: String,
    },
    /// The processor lacks the vector instructions asked for.
    #[error("this processor has no {0:?}")]
    InstructionSet(crate::numeric::simd::InstructionSet),
    /// The device rejected something, or was lost.
    #[error("the device failed: {0}")]
    Device(String),
    /// The device did not answer in time.
    #[error("the device did not answer within {0:?}")]
    Timeout(Duration),
    /// A report was asked for, but its commands were never submitted, or its device was destroyed or lost.
    #[error(
        "no result: the recorded commands were not submitted, or the device was lost; \
         expected the serial {expected} from the device, found {found}"
    )]
    NotSubmitted {
        /// The serial number of the recorded evaluation.
        expected: u32,
        /// The serial number that the device's memory holds instead.
        found: u32,
    },
    /// A report was asked for, but a later step has taken its slot.
    #[error(
        "no result: a later step took its slot; expected the serial {expected}, found {found}: \
         read reports sooner, or build the set with more slots"
    )]
    SlotReused {
        /// The serial number of the step whose report was asked for.
        expected: u32,
        /// The serial number of the step that the slot belongs to now.
        found: u32,
    },
    /// A step was recorded while every slot holds a step that is not submitted or not done.
    #[error("all {slots} slots hold steps that are not submitted or not done: submit, then poll the device or wait")]
    RingFull {
        /// How many slots the set was built with.
        slots: usize,
    },
    /// The ranks that share a set could not add up what they have.
    #[error("rank {rank} of {size}: {problem}")]
    Ranks {
        /// The rank that says so.
        rank: usize,
        /// How many ranks there are.
        size: usize,
        /// What was expected of the others, and what was found.
        problem: String,
    },
    /// The process is a fork of the one that opened the device. A device does not survive a fork.
    #[error("the device was opened by process {expected}, and this is its fork {found}: open the device after forking")]
    Forked {
        /// The process that opened the device.
        expected: u32,
        /// This process.
        found: u32,
    },
}

/// A number in the fewest digits that tell it from its neighbours, with an exponent if it is tiny or huge.
pub(crate) fn shortest(x: impl fmt::Debug) -> String {
    let digits = format!("{x:?}");
    match digits.strip_suffix(".0") {
        Some(whole) => whole.into(),
        None => digits,
    }
}

/// The result of everything here that can fail.
///
/// ```
/// use penalty::{Backend, Penalty, Result};
///
/// fn norm(weights: &[f32]) -> Result<f64> {
///     Ok(Backend::cpu().evaluate(&Penalty::none(), weights)?.l2_squared.sqrt())
/// }
///
/// assert_eq!(norm(&[3.0, -4.0]), Ok(5.0));
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;
