//! The element weights that `--weights` gives: tensors of another checkpoint, matched by name.

use std::path::Path;

use penalty::Element;
use penalty::half::{bf16, f16};

use crate::checkpoint::{Checkpoint, Tensor};
use crate::error::{Error, Result};
use crate::number::Type;

/// Finds for each tensor the one of the same name, which must exist and have the same shape. Other tensors in the file
/// are ignored.
pub(crate) fn matching(path: &Path, tensors: &[Tensor]) -> Result<Vec<Tensor>> {
    let held = Checkpoint::open(path)?;
    let find = |tensor: &Tensor| {
        let name = &tensor.name;
        if let Some(skipped) = held.skipped.iter().find(|skipped| skipped.names().any(|of| of == name)) {
            return Err(Error::file(path, format!("its tensor {name:?} has no weights: {}", skipped.reason)));
        }
        let Some(weights) = held.tensors.iter().find(|weights| weights.names().any(|of| of == name)) else {
            return Err(Error::file(path, format!("has no weights of the tensor {name:?}")));
        };
        if weights.shape != tensor.shape {
            let (expected, found) = (&tensor.shape, &weights.shape);
            let reason =
                format!("its weights of the tensor {name:?} must have its shape {expected:?}, found {found:?}");
            return Err(Error::file(path, reason));
        }
        for (of, path) in [(tensor, &tensor.source.path), (weights, &weights.source.path)] {
            if of.dtype == Type::F64 {
                let reason = format!("its tensor {name:?} is F64, and a weighted penalty takes none: save it as F32");
                return Err(Error::file(path, reason));
            }
        }
        Ok(weights.clone())
    };
    tensors.iter().map(find).collect()
}

/// Converts elements from one type to another, each rounded to the nearest.
pub(crate) fn convert((from, source): (Type, &[u8]), (to, target): (Type, &mut [u8])) {
    match to {
        Type::F32 => convert_to::<f32>(from, source, target),
        Type::F16 => convert_to::<f16>(from, source, target),
        Type::BF16 => convert_to::<bf16>(from, source, target),
        // Rejected before anything is read.
        Type::F64 => {}
    }
}

fn convert_to<T: Element>(from: Type, source: &[u8], target: &mut [u8]) {
    fn each<F: Element, T: Element>(source: &[u8], target: &mut [u8]) {
        let (source, target): (&[F], &mut [T]) = (bytemuck::cast_slice(source), bytemuck::cast_slice_mut(target));
        target.iter_mut().zip(source).for_each(|(to, from)| *to = T::encode(from.decode()));
    }
    match from {
        Type::F32 => each::<f32, T>(source, target),
        Type::F16 => each::<f16, T>(source, target),
        Type::BF16 => each::<bf16, T>(source, target),
        Type::F64 => {}
    }
}
