//! The numbers on which both halves of a custom penalty are compared.

use crate::Penalty;

/// Numbers of every scale and of both signs, numbers close to these coefficients and to the parameters, and
/// non-finite ones. Their count is a multiple of four, so that one kernel takes them.
pub(super) fn probe(penalty: &Penalty, coefficients: &[f32]) -> Vec<f32> {
    let parameters = penalty.formula_parameters();
    let single: Vec<f32> = parameters.iter().map(|&p| p as f32).chain(coefficients.iter().copied()).collect();
    let sums = single.iter().flat_map(|a| single.iter().map(move |b| a + b));
    let mut kinks: Vec<u32> = single.iter().copied().chain(sums).map(|x| x.abs().to_bits()).collect();
    kinks.sort_unstable();
    kinks.dedup();
    let noise = |i: u32| (i.wrapping_mul(2_654_435_761) ^ 0x5bd1_e995).wrapping_mul(0x85eb_ca6b) >> 9;
    let scales = (0..=254u32).flat_map(|e| [0, 1, noise(e), 0x7f_ffff].map(|m| e << 23 | m));
    // Around a kink: its two neighbours on each side, and numbers up to twice as large.
    let near = kinks.iter().flat_map(|&k| (0..5).map(move |i| k.saturating_add(i).saturating_sub(2)));
    let around = kinks
        .iter()
        .flat_map(|&k| (0..12).map(move |i| (f32::from_bits(k) * noise(k ^ i) as f32 / power(22)).to_bits()));
    let special = [0x7f80_0000, 0x7fc0_0000, 0x7f80_1234];
    let all = scales.chain(near).chain(around).chain(special);
    let mut probe: Vec<f32> = all.flat_map(|m| [m & 0x7fff_ffff, m | 1 << 31]).map(f32::from_bits).collect();
    probe.resize(probe.len().next_multiple_of(4), 0.0);
    probe
}

/// 2^k, if that is a normal number.
pub(super) fn power(k: i32) -> f32 {
    f32::from_bits(((k + 127) as u32) << 23)
}
