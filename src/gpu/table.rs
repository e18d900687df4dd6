//! The format of what the host writes for kernels, and of what these leave: the one place where it is said.

use crate::numeric::accumulator::WORDS;
use crate::numeric::tile::TILE;
use crate::numeric::wgsl::Constant;
use crate::plan::coefficients::{CoefficientRecord, UNTOUCHED};

/// The binding of the first operand; before it come the parameters, the table and the results.
pub(super) const FIRST_OPERAND: usize = 3;
/// The bindings of the groups' numbers, of the lists of their indices, and of the partial sums that a grid has taken.
pub(super) const NUMBERS: usize = 8;
pub(super) const LISTS: usize = 9;
pub(super) const PARTIAL_SUMS: usize = 10;
/// One more than the last binding.
pub(super) const BINDINGS: usize = PARTIAL_SUMS + 1;

/// The threads of a workgroup.
pub(super) const THREADS: u64 = 256;
/// Workgroups along x; more continue along y.
pub(super) const ROW: u32 = 32768;
/// The bytes of a dispatch's parameters.
pub(super) const PARAMETERS_BOUND: u64 = 32;
/// The distance of parameter records, by WebGPU's default limit on dynamic offsets.
pub(super) const PARAMETERS: u64 = 256;
/// The words before the first segment's result; the first is the serial, copied there behind the kernels.
pub(super) const HEADER: usize = WORDS;
/// The rows of the table before the first segment's: the serial and the scalars.
pub(super) const SEGMENTS: usize = 3;
/// The bytes of a row.
pub(super) const ROW_BYTES: u64 = 16;

/// What every kernel is told.
pub(super) const CONSTANTS: &[Constant] = &[
    Constant::U32("TILE", TILE as u32),
    Constant::U32("THREADS", THREADS as u32),
    Constant::U32("ROW", ROW),
    // The rows of an optimizer's scalars, behind the serial's.
    Constant::U32("SCALARS", 1),
    Constant::U32("COEFFICIENTS", SEGMENTS as u32),
    // The rows of a segment.
    Constant::U32("RECORD", (size_of::<CoefficientRecord>() / ROW_BYTES as usize) as u32),
    Constant::U32("UNTOUCHED", UNTOUCHED),
];
