//! Converts between the orders in which files store weights, and between byte orders.
//!
//! In row-major (C) order, weights along the last dimension are adjacent; in column-major (Fortran) order, those along
//! the first. So a row-major tensor equals the column-major tensor of the reversed shape.

use crate::number::Type;

/// The tensor is copied in square blocks of this side. The cache lines that one block reads and writes fit into the
/// processor's first-level cache.
const BLOCK: usize = 32;

/// Reverses the bytes of each weight.
pub(crate) fn swap_bytes(dtype: Type, bytes: &mut [u8]) {
    match dtype {
        Type::F64 => bytes.as_chunks_mut::<8>().0.iter_mut().for_each(|weight| weight.reverse()),
        Type::F32 => bytes.as_chunks_mut::<4>().0.iter_mut().for_each(|weight| weight.reverse()),
        Type::F16 | Type::BF16 => bytes.as_chunks_mut::<2>().0.iter_mut().for_each(|weight| weight.reverse()),
    }
}

/// Copies a tensor into the other order: to row-major order, or from it.
pub(crate) fn reorder(dtype: Type, shape: &[u64], to_row_major: bool, source: &[u8], target: &mut [u8]) {
    let mut sides: Vec<u64> = shape.iter().copied().filter(|&side| side != 1).collect();
    if !to_row_major {
        sides.reverse();
    }
    match dtype {
        Type::F64 => to_rows(&sides, source.as_chunks::<8>().0, target.as_chunks_mut::<8>().0),
        Type::F32 => to_rows(&sides, source.as_chunks::<4>().0, target.as_chunks_mut::<4>().0),
        Type::F16 | Type::BF16 => to_rows(&sides, source.as_chunks::<2>().0, target.as_chunks_mut::<2>().0),
    }
}

/// Copies column-major weights into row-major order.
fn to_rows<T: Copy>(sides: &[u64], source: &[T], target: &mut [T]) {
    let [first, between @ .., last] = sides else { return target.copy_from_slice(source) };
    if source.is_empty() {
        return;
    }
    // For each place in the middle dimensions, the first and the last dimension form a matrix.
    let (rows, columns) = (*first as usize, *last as usize);
    let matrices = between.iter().product::<u64>();
    let reversed: Vec<u64> = between.iter().rev().copied().collect();
    let (row, column) = (columns * matrices as usize, rows * matrices as usize);
    for matrix in 0..matrices {
        let (from, to) = (rows * row_major_place(&reversed, matrix) as usize, columns * matrix as usize);
        for top in (0..rows).step_by(BLOCK) {
            for left in (0..columns).step_by(BLOCK) {
                for i in top..rows.min(top + BLOCK) {
                    for j in left..columns.min(left + BLOCK) {
                        target[to + i * row + j] = source[from + i + j * column];
                    }
                }
            }
        }
    }
}

/// A weight's place in row-major order, given its place in column-major order. The place lies within the shape, so no
/// side is 0.
pub(crate) fn row_major_place(shape: &[u64], place: u64) -> u64 {
    let mut stride: u64 = shape.iter().product();
    let (mut rest, mut at) = (place, 0);
    for side in shape {
        stride /= side;
        at += rest % side * stride;
        rest /= side;
    }
    at
}
