//! The comparator. It says in one line why two results differ. `tests/reference/comparator.rs` plants wrong answers to
//! test it.

use crate::common::oracle::Weight;

/// Marks memory that nobody has written: a NaN as `f32`, and a NaN in either half as `f16` and `bf16`.
pub(crate) const POISON: [u8; 4] = 0x7fc1_7fc1u32.to_le_bytes();

pub(crate) type Verdict = Result<(), String>;

/// The same elements, bit for bit. A NaN equals only a NaN of the same bits.
pub(crate) fn same_bits<E: Weight>(want: &[E], got: &[E]) -> Verdict {
    if want.len() != got.len() {
        return Err(format!("expected {} elements, found {}", want.len(), got.len()));
    }
    let differ = |i: &usize| want[*i].to_u32() != got[*i].to_u32();
    let Some(first) = (0..want.len()).find(differ) else { return Ok(()) };
    let count = (0..want.len()).filter(differ).count();
    let (w, g) = (want[first], got[first]);
    Err(format!(
        "{count} of {} elements differ, the first at {first}: expected {:e} ({:#010x}), found {:e} ({:#010x})",
        want.len(),
        w.exact(),
        w.to_u32(),
        g.exact(),
        g.to_u32()
    ))
}

/// The same bytes, for example of a buffer with its guard bands.
pub(crate) fn same_bytes(want: &[u8], got: &[u8]) -> Verdict {
    if want.len() != got.len() {
        return Err(format!("expected {} bytes, found {}", want.len(), got.len()));
    }
    let Some(first) = (0..want.len()).find(|&i| want[i] != got[i]) else { return Ok(()) };
    let word = |bytes: &[u8]| bytes[first / 4 * 4..].iter().take(4).rev().fold(0u32, |w, &b| w << 8 | u32::from(b));
    let count = want.iter().zip(got).filter(|(w, g)| w != g).count();
    Err(format!(
        "{count} of {} bytes differ, the first at {first}: expected the word {:#010x}, found {:#010x}",
        want.len(),
        word(want),
        word(got)
    ))
}

/// Within a relative distance. Zeros, infinities and NaN equal only themselves.
pub(crate) fn close(want: f64, got: f64, relative: f64) -> Verdict {
    let equal = want == got || want.is_nan() && got.is_nan();
    if equal || want.is_finite() && (got - want).abs() <= relative * want.abs() {
        return Ok(());
    }
    Err(format!("expected {want:e}, found {got:e}, {:e} off where {relative:e} is allowed", (got / want - 1.0).abs()))
}

/// The element nearest to some number in [`low`, `high`]. The number is rounded to `f32` first, as in the library.
pub(crate) fn between<E: Weight>(low: f64, high: f64, got: E) -> Verdict {
    let [low, high] = [low, high].map(|x| E::nearest(x as f32).exact());
    if (low..=high).contains(&got.exact()) {
        return Ok(());
    }
    Err(format!("expected {low:e} to {high:e}, found {:e} ({:#010x})", got.exact(), got.to_u32()))
}
