//! What is timed, as data: a row is an operation on weights of a shape and a type, and how it is measured.

use std::fmt;

use penalty::{Dtype, Metric};

use super::shape::Shape;

/// An operation on weights θ, gradients g and an optimizer's two states.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Operation {
    Evaluate,
    Gradient,
    AddGradient,
    Prox,
    /// With momentum.
    Sgd,
    Adam(Metric),
}

/// The machine's kernel that moves as many bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Machine {
    Read,
    Copy,
    Scale,
    /// Reads one array, and updates as many as this.
    Update(usize),
}

/// How an operation is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Measure {
    /// The time of one of many steps in a row.
    Step,
    /// From the call to the result, on an idle device.
    Latency,
    /// The host's time to record a step for a device.
    Recording,
}

/// A row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) operation: Operation,
    pub(crate) shape: Shape,
    pub(crate) dtype: Dtype,
    /// Whether 90 % of the weights are zero. Otherwise, none is.
    pub(crate) zeros: bool,
    pub(crate) measure: Measure,
}

/// Which of the shapes a block of rows takes.
#[derive(Debug, Clone, Copy)]
enum Take {
    All,
    /// The single tensor with the most weights; of sets alone, the largest set.
    Largest,
    /// The single tensor with the fewest weights; of sets alone, the smallest set.
    Smallest,
    Sets,
}

/// A block of rows, one for each operation and shape.
struct Block {
    shapes: Take,
    dtype: Dtype,
    zeros: bool,
    measure: Measure,
}

const BLOCKS: [Block; 7] = [
    Block { shapes: Take::All, dtype: Dtype::F32, zeros: false, measure: Measure::Step },
    Block { shapes: Take::Largest, dtype: Dtype::F32, zeros: true, measure: Measure::Step },
    Block { shapes: Take::Largest, dtype: Dtype::F16, zeros: false, measure: Measure::Step },
    Block { shapes: Take::Largest, dtype: Dtype::BF16, zeros: false, measure: Measure::Step },
    Block { shapes: Take::Smallest, dtype: Dtype::F32, zeros: false, measure: Measure::Latency },
    Block { shapes: Take::Smallest, dtype: Dtype::F32, zeros: false, measure: Measure::Recording },
    Block { shapes: Take::Sets, dtype: Dtype::F32, zeros: false, measure: Measure::Recording },
];

const OPERATIONS: [Operation; 7] = [
    Operation::Evaluate,
    Operation::Gradient,
    Operation::AddGradient,
    Operation::Prox,
    Operation::Sgd,
    Operation::Adam(Metric::Plain),
    Operation::Adam(Metric::Adam),
];

/// All rows for these shapes. On the CPU, a call records nothing and is done when it returns: its steps say all.
pub(crate) fn cases(shapes: &[Shape], device: bool) -> Vec<Case> {
    let mut cases = Vec::new();
    for Block { shapes: take, dtype, zeros, measure } in BLOCKS {
        if measure == Measure::Step || device {
            for shape in taken(take, shapes) {
                cases.extend(OPERATIONS.map(|operation| Case { operation, shape, dtype, zeros, measure }));
            }
        }
    }
    cases
}

fn taken(take: Take, shapes: &[Shape]) -> Vec<Shape> {
    let some_single = shapes.iter().any(|shape| shape.is_single());
    let candidates = shapes.iter().filter(|shape| shape.is_single() || !some_single).copied();
    match take {
        Take::All => shapes.to_vec(),
        Take::Largest => candidates.max_by_key(|shape| shape.total()).into_iter().collect(),
        Take::Smallest => candidates.min_by_key(|shape| shape.total()).into_iter().collect(),
        Take::Sets => shapes.iter().filter(|shape| !shape.is_single()).copied().collect(),
    }
}

impl Operation {
    /// How many of the arrays θ, g, and the optimizer's states it takes.
    pub(crate) fn arrays(self) -> usize {
        match self {
            Operation::Evaluate | Operation::Prox => 1,
            Operation::Gradient | Operation::AddGradient => 2,
            Operation::Sgd => 3,
            Operation::Adam(_) => 4,
        }
    }

    pub(crate) fn machine(self) -> Machine {
        match self {
            Operation::Evaluate => Machine::Read,
            Operation::Gradient => Machine::Copy,
            Operation::AddGradient => Machine::Update(1),
            Operation::Prox => Machine::Scale,
            Operation::Sgd => Machine::Update(2),
            Operation::Adam(_) => Machine::Update(3),
        }
    }
}

impl Case {
    /// The bytes of one array.
    pub(crate) fn array_bytes(&self) -> u64 {
        (self.shape.total() * self.dtype.size()) as u64
    }

    /// The bytes that a perfect implementation moves.
    pub(crate) fn bytes(&self) -> u64 {
        let moves = match self.operation.machine() {
            Machine::Read => 1,
            Machine::Copy | Machine::Scale => 2,
            Machine::Update(targets) => 1 + 2 * targets as u64,
        };
        moves * self.array_bytes()
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Operation::Evaluate => "evaluate",
            Operation::Gradient => "gradient",
            Operation::AddGradient => "gradient_add",
            Operation::Prox => "prox",
            Operation::Sgd => "sgd_momentum",
            Operation::Adam(Metric::Plain) => "adam_plain",
            Operation::Adam(Metric::Adam) => "adam",
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Machine::Read => f.pad("read"),
            Machine::Copy => f.pad("copy"),
            Machine::Scale => f.pad("scale"),
            Machine::Update(targets) => f.pad(&format!("update_{targets}")),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Measure::Step => "step",
            Measure::Latency => "latency",
            Measure::Recording => "recording",
        })
    }
}

impl fmt::Display for Case {
    /// What `--include` searches, and errors name: `adam F32 1000x65536 dense step`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case { operation, shape, dtype, zeros, measure } = self;
        write!(f, "{operation} {dtype} {shape} {} {measure}", if *zeros { "zeros" } else { "dense" })
    }
}
