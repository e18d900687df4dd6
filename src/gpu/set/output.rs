//! Which outputs results can be resolved to.

use super::recorders::Recorders;
use crate::gpu::operand::Operand;
use crate::numeric::element::Dtype;
use crate::plan::operands::same_shape;
use crate::{Error, Result};

/// Rejects an output that results cannot be resolved to.
pub(super) fn check(recorders: &Recorders, output: &Operand<'_>) -> Result<()> {
    let name = "the output";
    output.validate(name)?;
    let rows = recorders.plan.segments.len() as u64 + 1;
    same_shape(name, (4 * rows, Dtype::F32), (output.len, output.dtype))?;
    let alignment = recorders.gpu.device().limits().min_storage_buffer_offset_alignment;
    if !output.offset.is_multiple_of(alignment.into()) {
        let rule = "its offset must be a multiple of the device's min_storage_buffer_offset_alignment";
        let found = format!("{} with an alignment of {alignment}", output.offset);
        return Err(Error::Operand { operand: name, rule, found });
    }
    Ok(())
}
