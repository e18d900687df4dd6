//! The weights of a group that is too large to be copied.

use crate::cpu::Cpu;
use crate::formula::group::Weights;
use crate::numeric::element::Element;

pub(super) struct Large<'a, E> {
    pub(super) weights: &'a [E],
    /// The threshold that the weights are first shrunk by.
    pub(super) soft: f32,
    pub(super) cpu: &'a Cpu,
    /// Is told the first weight of each chunk that is read.
    pub(super) visit: Option<&'a (dyn Fn(usize) + Sync)>,
}

impl<E: Element> Weights for Large<'_, E> {
    fn len(&self) -> usize {
        self.weights.len()
    }

    fn bits(&self, first: usize, len: usize) -> Option<&[u32]> {
        let weights = &self.weights[first..first + len];
        if let Some(visit) = self.visit {
            visit(first);
        }
        if self.soft == 0.0 { E::bits(weights) } else { None }
    }

    fn clean(&self, first: usize, bits: &mut [u32]) {
        self.cpu.clean(&self.weights[first..], self.soft, bits);
    }
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};

    use super::*;
    use crate::cpu::InstructionSet;
    use crate::{Backend, Dtype, Groups, Penalty, Result};

    /// Between 0 and 2^32.
    fn random(i: usize) -> u64 {
        let x = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32
    }

    /// Weights of one kind.
    fn weights(kind: &str, len: usize) -> Vec<f32> {
        let uniform = |i: usize| random(i) as f32 / 2f32.powi(31) - 1.0;
        let weight = |i: usize| match kind {
            "uniform" => uniform(i),
            "small" => uniform(i) * 1e-20,
            "large" => uniform(i) * 1e25,
            "positive" => uniform(i).abs() + 1.0,
            "equal" => -0.75,
            "few values" => (random(i) % 7) as f32 - 3.0,
            "mostly zeros" if !random(i).is_multiple_of(10) => [0.0, -0.0][i % 2],
            "heavy tails" => uniform(i).powi(31) * 100.0,
            "every scale" => uniform(i) * 2f32.powi(random(i + len) as i32 % 230 - 110),
            "one huge" if i == len / 3 => 3e38,
            "one far off" if i == len - 1 => -1e6,
            "not finite" if random(i).is_multiple_of(5000) => [f32::NAN, f32::INFINITY, 1e-40, -0.0][i % 4],
            "rising" => i as f32 / len as f32,
            "rows" => uniform(i) * 2f32.powi(-(i as i32 / 512 % 40)),
            "tiny" => uniform(i) * 4e-36,
            _ => uniform(i),
        };
        (0..len).map(weight).collect()
    }

    const KINDS: [&str; 15] = [
        "uniform",
        "small",
        "large",
        "positive",
        "equal",
        "few values",
        "mostly zeros",
        "heavy tails",
        "every scale",
        "one huge",
        "one far off",
        "not finite",
        "rising",
        "rows",
        "tiny",
    ];

    /// Reductions in place give the bits of reductions of copies, which use no sample.
    fn in_place_is_as_gathered<E: Element>(len: usize, first: usize, encode: impl Fn(f32) -> E) -> Result<()> {
        let all: Vec<u64> = (0..len as u64).collect();
        let lists = Groups::lists(&[all])?;
        let sets = InstructionSet::available();
        for (turn, kind) in KINDS.into_iter().enumerate() {
            let weights: Vec<E> = weights(kind, len).into_iter().map(&encode).collect();
            let finite = |w: &E| Some(f64::from(f32::from_bits(w.decode()))).filter(|x| x.is_finite());
            let norm: f64 = weights.iter().filter_map(finite).map(f64::abs).sum();
            let at_most = |x: f64| x.min(1e38);
            let mut penalties = vec![
                Penalty::l2_norm(at_most(norm / len as f64))?,
                Penalty::group_lasso(1e-3, Groups::whole())?,
                Penalty::sparse_group_lasso(0.5, 0.5, Groups::whole())?,
                Penalty::l2_ball(at_most(norm / (len as f64).sqrt() / 4.0))?,
                Penalty::l2_ball(at_most(norm * 2.0))?,
            ];
            for share in [1e-9, 1e-4, 0.03, 0.4, 0.999, 1.001] {
                let radius = at_most(norm * share);
                penalties.extend([Penalty::l1_ball(radius)?, Penalty::simplex(radius)?]);
                penalties.push(Penalty::linf_norm(radius)?);
            }
            for kept in [1, 2, 200, len / 10, len / 2, len * 9 / 10, len - 1, len, len + 1] {
                penalties.push(Penalty::top_k(kept as u64)?);
            }
            // All of them for `f32`, and some for the others in turn.
            let step = if E::DTYPE == Dtype::F32 { 1 } else { 4 };
            for (i, penalty) in penalties.iter().enumerate().skip((first + turn) % step).step_by(step) {
                let gathered = penalty.over(lists.clone())?;
                let backend = Backend::Cpu(Cpu::with_instructions(sets[(i + turn) % sets.len()])?);
                let what = format!("{} of {len} {kind} as {}", penalty.name(), E::DTYPE);
                let [found, want] = [penalty, &gathered].map(|penalty| backend.evaluate(penalty, &weights));
                let ([found, want], bits) = ([found?, want?], f64::to_bits);
                assert_eq!(bits(found.value), bits(want.value), "the value, {what}");
                assert_eq!(bits(found.l1), bits(want.l1), "the statistics, {what}");
                assert_eq!((found.nonzero, found.nan), (want.nonzero, want.nan), "the counts, {what}");
                let same = |[found, want]: [Vec<E>; 2], of: &str| {
                    let differs = found.iter().zip(&want).position(|(a, b)| a.decode() != b.decode());
                    assert_eq!(differs, None, "{of}, {what}: {penalty:?}");
                };
                let [found, want] = [penalty, &gathered].map(|penalty| backend.prox(penalty, &weights, 1.0));
                same([found?, want?], "the prox");
                if penalty.has_gradient() {
                    let [found, want] = [penalty, &gathered].map(|penalty| backend.gradient(penalty, &weights));
                    same([found?, want?], "the gradient");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn weights_in_place_are_reduced_as_copies_are() -> Result<()> {
        in_place_is_as_gathered((1 << 16) + 3, 0, |x| x)?;
        in_place_is_as_gathered(1 << 16, 1, f16::from_f32)?;
        in_place_is_as_gathered((1 << 16) + 4096, 2, bf16::from_f32)
    }
    /// The threshold is −1, which also raises what the last chunk is padded with.
    #[test]
    fn padding_is_no_weight_of_a_simplex() -> Result<()> {
        let len = (1 << 16) + 3;
        let found = Backend::cpu().prox(&Penalty::simplex(len as f64)?, &vec![0.0f32; len], 1.0)?;
        assert_eq!(found.iter().position(|x| *x != 1.0), None);
        Ok(())
    }
}
