//! The inverse question: the λ at which a prox leaves as many weights as a budget keeps.

use super::Cpu;
use super::group_norms::Norm;
use super::search::magnitude;
use crate::formula::budget::{Cut, Quota};
use crate::formula::rule::Rule;
use crate::numeric::bits::SMALLEST;
use crate::numeric::element::{Bits, Dtype, Element};
use crate::numeric::slice::{Slice, SliceMut, with_element};
use crate::plan::budget::Budget;
use crate::plan::operation::Operation;
use crate::slices::{Term, Update};
use crate::{Error, Groups, Penalty, Result};

/// Penalties whose prox is 0 up to a magnitude that grows with λ.
const THRESHOLDS: [&str; 7] = ["l1", "l0", "l_half", "log_sum", "mcp", "scad", "elastic_net"];
/// Penalties whose prox makes a group 0 up to a norm that grows with λ.
const NORMS: [&str; 2] = ["group_lasso", "l2_norm"];

impl Cpu {
    /// The smallest λ at which the prox with this step leaves as few weights as the budget keeps: with it, at most k
    /// weights are not 0. The penalty says the family, its other parameters and its groups; its own λ and the bounds of
    /// the budget have no part.
    ///
    /// For [`l1`](Penalty::l1), [`elastic_net`](Penalty::elastic_net), [`l0`](Penalty::l0), [`l_half`](Penalty::l_half),
    /// [`log_sum`](Penalty::log_sum), [`mcp`](Penalty::mcp) and [`scad`](Penalty::scad), exactly k are left, unless weights
    /// of equal magnitude are on both sides of the cut or there are more zeros before. For
    /// [`group_lasso`](Penalty::group_lasso) and [`l2_norm`](Penalty::l2_norm), the groups that become 0 have at least as
    /// many weights as the budget prunes; one group fewer has not. A weight that is not finite counts as left.
    ///
    /// No smaller `f64` does, since the prox itself decides: the cut is found as [`Budget`] says, then λ by bisection over
    /// the prox of one weight or of one group. Groups of `f16` and `bf16` are an exception: the rounding of the prox can
    /// also make a group near the cut 0. Then the λ leaves at most k, but a smaller one may too.
    ///
    /// ```
    /// use penalty::{Backend, Budget, Cpu, Penalty};
    ///
    /// let weights = [0.5f32, -2.0, 0.25, 1.0];
    /// let lambda = Cpu::new().lambda_for(&Penalty::l1(0.0)?, 0.5, &Budget::prune(0.5)?, &[(&weights[..]).into()])?;
    /// assert!((lambda - 1.0).abs() < 1e-7); // 0.5·λ is 0.5 once it is rounded to `f32`
    /// assert_eq!(Backend::cpu().prox(&Penalty::l1(lambda)?, &weights, 0.5)?, [0.0, -1.5, 0.0, 0.5]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Name`] if the penalty is of another family. [`Error::Parameter`] if no λ leaves so few, as with a step of
    /// 0, or if the step is not a finite number ≥ 0. [`Error::Groups`] if the groups do not cover a tensor.
    pub fn lambda_for(&self, penalty: &Penalty, step: f64, budget: &Budget, weights: &[Slice<'_>]) -> Result<f64> {
        let is_group = NORMS.contains(&penalty.name());
        if !is_group && !THRESHOLDS.contains(&penalty.name()) {
            let expected = format!("be one of {}, {}", THRESHOLDS.join(", "), NORMS.join(", "));
            return Err(Error::Name {
                what: "the penalty of a λ to find".into(),
                expected,
                found: penalty.name().into(),
            });
        }
        let tensors = weights.iter().map(|slice| Ok((*slice, penalty.geometry(slice.len() as u64)?)));
        let tensors: Vec<_> = tensors.collect::<Result<_>>()?;
        let pruned = budget.pruned(weights.iter().map(|slice| slice.len() as u64).sum());
        if pruned == 0 {
            return Ok(0.0);
        }
        if !is_group {
            let quotas: Vec<Quota> = weights.iter().map(|slice| Quota { least: 0, most: slice.len() as u64 }).collect();
            let (cuts, ties) = self.cuts(weights, pruned, &quotas);
            let largest = weights
                .iter()
                .zip(cuts.iter().zip(ties))
                .map(|(slice, (cut, ties))| (slice.dtype(), largest_pruned(*slice, cut, ties)));
            let mut largest: Vec<(Dtype, u32)> = largest.collect();
            largest.sort_unstable();
            largest.dedup();
            let mut lambda = 0.0f64;
            for (dtype, bits) in largest {
                let found = with_element!(dtype, E => self.smallest(penalty, step, &[E::encode(bits)]))?;
                lambda = lambda.max(found);
            }
            return Ok(lambda);
        }
        let alone = penalty.over(Groups::whole())?;
        // A weight that is not finite enters no sum, but no λ makes its group 0.
        let mut norms = self.norms(&tensors, |magnitude| magnitude >= SMALLEST.to_bits());
        let sized = matches!(penalty.rule(), Some(Rule::Shrink { sized: true }));
        let key = |norm: &Norm| match norm.squared {
            squared if !squared.is_finite() => f64::INFINITY,
            squared if sized => squared / norm.size as f64,
            squared => squared,
        };
        norms.sort_by(|a, b| key(a).total_cmp(&key(b)));
        let mut before = 0;
        let at = norms.iter().position(|norm| {
            before += norm.size;
            before >= pruned
        });
        let Some(at) = at else { return Ok(0.0) };
        // Sums in `f64` have an error, so the prox decides between groups that are close.
        let longest = norms.iter().map(|norm| norm.size).max().unwrap_or(0);
        let error = (longest as f64 + 16.0) * f64::EPSILON;
        let (low, high) = (key(&norms[at]) * (1.0 - error), key(&norms[at]) * (1.0 + error));
        let first = norms.partition_point(|norm| key(norm) < low);
        let close = &norms[first..norms.partition_point(|norm| key(norm) <= high)];
        let mut removed: u64 = norms[..first].iter().map(|norm| norm.size).sum();
        let of_group = |norm: &Norm| -> Result<(f64, u64)> {
            let (slice, geometry) = &tensors[norm.tensor];
            let lambda = with_element!(slice.dtype(), E => {
                let (elements, index) = (slice.elements::<E>(), |m| geometry.as_ref().map_or(m, |g| g.index(norm.group, m)));
                let members: Vec<E> = (0..norm.size).map(|member| elements[index(member) as usize]).collect();
                self.smallest(&alone, step, &members)
            })?;
            Ok((lambda, norm.size))
        };
        let mut close: Vec<(f64, u64)> = close.iter().map(of_group).collect::<Result<_>>()?;
        close.sort_by(|a, b| a.0.total_cmp(&b.0));
        let enough = close.iter().find(|(_, size)| {
            removed += size;
            removed >= pruned
        });
        Ok(enough.map_or(0.0, |(lambda, _)| *lambda))
    }

    /// The smallest λ at which the prox of these weights is 0.
    fn smallest<E: Element>(&self, penalty: &Penalty, step: f64, weights: &[E]) -> Result<f64> {
        let mut shrunk = weights.to_vec();
        let mut is_zero = |bits: u64| -> Result<bool> {
            let penalty = penalty.with_lambda(f64::from_bits(bits))?;
            shrunk.copy_from_slice(weights);
            let update = Update { step, ..Update::new(Operation::Prox, Term::from(&penalty)) };
            self.update_now(&update, None, SliceMut::from(&mut shrunk[..]))?;
            Ok(shrunk.iter().all(|x| magnitude(x) == 0))
        };
        if is_zero(0)? {
            return Ok(0.0);
        }
        let most = f64::from(f32::MAX) / 2.0;
        // A step may be too large for a λ that is larger than all that are needed.
        let (mut low, mut high) = (0, most.to_bits());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if is_zero(middle).unwrap_or(true) { high = middle } else { low = middle }
        }
        if is_zero(high)? {
            return Ok(f64::from_bits(high));
        }
        Err(Error::Parameter {
            name: "lambda",
            expected: "in its range for so few weights",
            found: f64::from_bits(high),
        })
    }
}

/// The bits of the largest magnitude that is pruned; 0 if none is.
fn largest_pruned(slice: Slice<'_>, cut: &Cut, ties: u64) -> u32 {
    if ties > 0 {
        return cut.magnitude;
    }
    with_element!(slice.dtype(), E => {
        let magnitudes = slice.elements::<E>().iter().map(magnitude);
        magnitudes.filter(|magnitude| *magnitude < cut.magnitude).max().unwrap_or(0)
    })
}
