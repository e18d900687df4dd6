//! The format of what the host writes for kernels and of what kernels leave. It is defined only here.

use crate::numeric::accumulator::WORDS;
use crate::numeric::tile::TILE;
use crate::numeric::wgsl::Constant;
use crate::plan::coefficients::{CoefficientRecord, UNTOUCHED};

/// The binding of the first operand. The parameters, the table and the results come before it.
pub(super) const FIRST_OPERAND: usize = 3;
/// The bindings of the groups' coefficients, of their lists of indices, and of the partial sums of many workgroups.
pub(super) const GROUP_COEFFICIENTS: usize = 8;
pub(super) const LISTS: usize = 9;
pub(super) const PARTIAL_SUMS: usize = 10;
/// One more than the last binding.
pub(super) const BINDINGS: usize = PARTIAL_SUMS + 1;

/// The threads of a workgroup.
pub(super) const THREADS: u64 = 256;
/// The most workgroups along x; more continue along y.
pub(super) const ROW: u32 = 32768;
/// The bytes of a dispatch's parameters.
pub(super) const PARAMETERS_BOUND: u64 = 32;
/// The distance between parameter records: WebGPU's default limit on the alignment of dynamic offsets.
pub(super) const PARAMETERS: u64 = 256;
/// The words before the first segment's result. The first word is the serial, which the kernels that sum write.
pub(super) const HEADER: usize = WORDS;
/// The rows of the table before the first segment's: one for the serial, two for the scalars.
pub(super) const SEGMENTS: usize = 3;
/// The bytes of a row.
pub(super) const ROW_BYTES: u64 = 16;

/// The constants that every kernel gets.
pub(super) const CONSTANTS: &[Constant] = &[
    Constant::U32("TILE", TILE as u32),
    Constant::U32("THREADS", THREADS as u32),
    Constant::U32("ROW", ROW),
    // Where the rows of an optimizer's scalars begin, after the serial's row.
    Constant::U32("SCALARS", 1),
    Constant::U32("COEFFICIENTS", SEGMENTS as u32),
    // How many rows a segment has.
    Constant::U32("RECORD", (size_of::<CoefficientRecord>() / ROW_BYTES as usize) as u32),
    Constant::U32("UNTOUCHED", UNTOUCHED),
];
