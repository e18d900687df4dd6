//! The kernels of a budget: what each is compiled for, and which strings make it.

use crate::formula::budget::{BINS, SHIFTS};
use crate::gpu::kernel::Kernel;
use crate::gpu::pipeline::{PARAMETERS, storage};
use crate::gpu::source;
use crate::gpu::table::{FIRST_OPERAND, GROUP_COEFFICIENTS};
use crate::numeric::wgsl::{Constant, declarations};

/// The words before the tensors' records, and of a record.
pub(super) const HEADER: usize = 4;
pub(super) const CUT: usize = 6;

/// The constants of the WGSL twins.
const CONSTANTS: &[Constant] = &[
    Constant::U32("BINS", BINS as u32),
    Constant::U32("LEVELS", SHIFTS.len() as u32),
    Constant::U32("SHIFT0", SHIFTS[0]),
    Constant::U32("SHIFT1", SHIFTS[1]),
    Constant::U32("SHIFT2", SHIFTS[2]),
    Constant::U32("RECORDS", HEADER as u32),
    Constant::U32("CUT", CUT as u32),
];

/// The binding of the budget's memory.
pub(super) const MEMORY: usize = GROUP_COEFFICIENTS;

macro_rules! shader {
    ($name:literal) => {
        include_str!(concat!("../../../shaders/", $name, ".wgsl"))
    };
}

/// A kernel of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// One that has a workgroup for each tensor.
    OfTensors(OfTensors),
    /// One that has a workgroup for each span, whose type, access and bindings are those of a prox's kernel.
    OfSpans(OfSpans, Kernel),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum OfTensors {
    Before,
    Narrow,
    Ties,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum OfSpans {
    Count,
    Equal,
    Clear,
    /// It knows no budget: it writes a mask of the weights.
    Mask,
}

impl Stage {
    /// The WGSL of this kernel.
    pub(crate) fn source(self) -> String {
        let (operands, run) = match self {
            Stage::OfTensors(OfTensors::Before) => (String::new(), shader!("formula/budget/before")),
            Stage::OfTensors(OfTensors::Narrow) => (String::new(), shader!("formula/budget/narrow")),
            Stage::OfTensors(OfTensors::Ties) => (String::new(), shader!("formula/budget/ties")),
            Stage::OfSpans(OfSpans::Count, kernel) => (source::elements(kernel), shader!("gpu/budget/count")),
            Stage::OfSpans(OfSpans::Equal, kernel) => (source::elements(kernel), shader!("gpu/budget/equal")),
            Stage::OfSpans(OfSpans::Clear, kernel) => (source::elements(kernel), shader!("gpu/budget/clear")),
            Stage::OfSpans(OfSpans::Mask, kernel) => {
                return [&source::prelude(), source::elements(kernel).as_str(), shader!("gpu/budget/mask")].concat();
            }
        };
        let constants = declarations(CONSTANTS);
        let parts =
            [&source::prelude(), &operands, &constants, shader!("gpu/budget/memory"), shader!("gpu/team/gather"), run];
        parts.concat()
    }

    /// Each binding's index and type.
    pub(crate) fn layout(self) -> Vec<(usize, wgpu::BindingType)> {
        let mut layout = vec![(0, PARAMETERS), (1, storage(true, true))];
        if let Stage::OfSpans(_, kernel) = self {
            let operands = kernel.bindings.writable.iter().take(kernel.bindings.count());
            layout.extend((FIRST_OPERAND..).zip(operands.map(|&writable| storage(!writable, false))));
        }
        if !matches!(self, Stage::OfSpans(OfSpans::Mask, _)) {
            layout.push((MEMORY, storage(false, false)));
        }
        layout
    }
}
