//! A quadratic model of the loss on a few features, minimized by coordinate descent that knows their products.
//!
//! The model is −q'd + ½d'Gd in the change d of the coefficients. Nothing here depends on the number of rows.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use penalty::GroupProx;
use pulp::Arch;

use crate::Result;
use crate::extrapolation::Extrapolation;
use crate::regularizer::{CoordinateProx, Kind, Regularizer};

/// The features of a working set and what is known of them.
pub(crate) struct Subproblem<'a, 'b> {
    pub(crate) regularizer: &'a Regularizer<'b>,
    /// The blocks, and the features of each one after the other.
    pub(crate) blocks: &'a [usize],
    pub(crate) features: &'a [usize],
    /// G: the columns of the features' products.
    pub(crate) gram: &'a [&'a [f64]],
}

/// What is known of a block.
enum Step {
    Single {
        prox: CoordinateProx,
        curvature: f64,
        root: f64,
    },
    Group {
        len: usize,
        prox: GroupProx,
        curvature: f64,
        root: f64,
    },
    /// A feature that cannot have a coefficient.
    Fixed {
        len: usize,
    },
}

/// Epochs of one working set at most.
const EPOCHS: usize = 10_000;
/// Newton steps are for at most this many coefficients.
const NEWTON_MOST: usize = 3000;
/// Newton steps after the tolerance is reached.
const POLISHED_MOST: usize = 10;
/// With more coefficients than this, the tolerance must do.
const POLISHED_SIZE: usize = 500;
/// How many times as much a Newton step computes in the time of an epoch, times 3.
const NEWTON_SPEED: f64 = 12.0;

impl Subproblem<'_, '_> {
    /// Minimizes the model plus R, until no block's step changes the predictions by more than `tolerance`, or for
    /// [`EPOCHS`]. `w` are the features' coefficients, and `q` the negative slope there; both are updated. Returns
    /// the epochs.
    pub(crate) fn minimize(&self, w: &mut [f64], q: &mut [f64], tolerance: f64) -> Result<usize> {
        let (steps, m) = (self.steps()?, w.len());
        let elastic = self.elastic();
        let (mut extrapolation, mut full, mut work, mut polished) = (Extrapolation::new(), true, 0.0, 0);
        let (w_start, q_start) = if elastic.is_some() { Default::default() } else { (w.to_vec(), q.to_vec()) };
        let mut signs_before: Vec<f64> = Vec::new();
        for epoch in 1..=EPOCHS {
            let largest = Arch::new().dispatch(
                #[inline(always)]
                || sweep(&steps, self.gram, w, q, full),
            );
            let active = w.iter().filter(|w| **w != 0.0).count();
            if largest <= tolerance {
                // The exact solution for these signs costs little more than one within the tolerance, if it is small.
                if full {
                    let exact = largest <= 1e-6 * tolerance || polished == POLISHED_MOST || active > POLISHED_SIZE;
                    if exact || !elastic.as_ref().is_some_and(|elastic| self.newton(elastic, w, q)) {
                        return Ok(epoch);
                    }
                    polished += 1;
                }
                full = true;
                continue;
            }
            full = false;
            if let Some(elastic) = &elastic {
                let signs: Vec<f64> = w.iter().map(|w| if *w == 0.0 { 0.0 } else { w.signum() }).collect();
                let settled = signs == signs_before;
                signs_before = signs;
                work += (m * active) as f64;
                // A Newton step counts about |active|³/3, in larger and faster loops than an epoch's.
                let newton_work = (active * active * active) as f64 / NEWTON_SPEED;
                if work >= newton_work && (settled || work >= 6.0 * (m * active) as f64) && self.newton(elastic, w, q) {
                    (work, full) = (0.0, true);
                }
                continue;
            }
            if extrapolation.add(w, q) {
                let Some((next_w, next_q)) = extrapolation.take() else { continue };
                let objective = |w: &[f64], q: &[f64]| -> Result<f64> {
                    let model: f64 = (0..m).map(|k| (q_start[k] + q[k]) * (w[k] - w_start[k])).sum();
                    Ok(self.value(w)? - 0.5 * model)
                };
                let allowed = self
                    .features
                    .iter()
                    .zip(&next_w)
                    .all(|(j, w)| self.regularizer.template().sign(*j).clamp(*w) == *w);
                if allowed && objective(&next_w, &next_q)? < objective(w, q)? {
                    w.copy_from_slice(&next_w);
                    q.copy_from_slice(&next_q);
                }
            }
        }
        Ok(EPOCHS)
    }

    fn steps(&self) -> Result<Vec<Step>> {
        let mut at = 0;
        let template = self.regularizer.template();
        let mut steps = Vec::with_capacity(self.blocks.len());
        for block in self.blocks {
            let len = template.members(*block).count();
            let curvature = if len == 1 { self.gram[at][at] } else { self.largest_curvature(at, len) };
            let root = curvature.sqrt();
            steps.push(if curvature <= 0.0 {
                Step::Fixed { len }
            } else if template.has_groups() {
                Step::Group { len, prox: self.regularizer.group_prox(*block, 1.0 / curvature)?, curvature, root }
            } else {
                Step::Single { prox: self.regularizer.prox(*block, 1.0 / curvature)?, curvature, root }
            });
            at += len;
        }
        Ok(steps)
    }

    /// A bound of the largest eigenvalue of a block of G: its trace, or its largest row.
    fn largest_curvature(&self, at: usize, len: usize) -> f64 {
        let trace: f64 = (at..at + len).map(|k| self.gram[k][k]).sum();
        let row = |k: usize| self.gram[k][at..at + len].iter().map(|x| x.abs()).sum::<f64>();
        (at..at + len).map(row).fold(0.0, f64::max).min(trace)
    }

    fn value(&self, w: &[f64]) -> Result<f64> {
        let (template, mut at) = (self.regularizer.template(), 0);
        self.blocks.iter().try_fold(0.0, |sum, block| {
            let len = template.members(*block).count();
            at += len;
            Ok(sum + self.regularizer.block_value(*block, &w[at - len..at])?)
        })
    }

    /// Both factors of each feature, if all are elastic nets.
    fn elastic(&self) -> Option<Vec<[f64; 2]>> {
        let of = |block: &usize| match self.regularizer.kind(*block) {
            Kind::ElasticNet { l1, l2 } => Some([l1, l2]),
            _ => None,
        };
        self.blocks.iter().map(of).collect()
    }

    /// Solves for the coefficients that are not 0 with their signs held, and goes there, or to where the first of them
    /// reaches 0. Whether it did.
    fn newton(&self, elastic: &[[f64; 2]], w: &mut [f64], q: &mut [f64]) -> bool {
        let m = w.len();
        let active: Vec<usize> = (0..m).filter(|k| w[*k] != 0.0).collect();
        let size = active.len();
        if size == 0 || size > NEWTON_MOST {
            return false;
        }
        let entry = |a: usize, b: usize| {
            let ridge = if a == b { 2.0 * elastic[active[a]][1] } else { 0.0 };
            self.gram[active[b]][active[a]] + ridge
        };
        let right = |a: usize, _| {
            let (k, [l1, l2]) = (active[a], elastic[active[a]]);
            q[k] - l1 * w[k].signum() - 2.0 * l2 * w[k]
        };
        let (matrix, right) = (Mat::from_fn(size, size, entry), Mat::from_fn(size, 1, right));
        let Ok(factors) = matrix.llt(Side::Lower) else { return false };
        let d = factors.solve(&right);
        // A matrix that is singular up to rounding gives a step without meaning.
        let gain: f64 = (0..size).map(|a| d[(a, 0)] * right[(a, 0)]).sum();
        if !gain.is_finite() || gain <= 0.0 {
            return false;
        }
        let quadratic: f64 =
            (0..size).map(|a| d[(a, 0)] * (0..size).map(|b| matrix[(a, b)] * d[(b, 0)]).sum::<f64>()).sum();
        if (quadratic - gain).abs() > 1e-6 * gain {
            return false;
        }
        let (mut length, mut first) = (1.0, None);
        for a in 0..size {
            let (w, d) = (w[active[a]], d[(a, 0)]);
            if elastic[active[a]][0] > 0.0 || self.regularizer.template().has_signs() {
                let crossing = -w / d;
                if crossing > 0.0 && crossing < length {
                    (length, first) = (crossing, Some(active[a]));
                }
            }
        }
        for a in 0..size {
            let k = active[a];
            let to = if first == Some(k) { 0.0 } else { w[k] + length * d[(a, 0)] };
            let change = to - w[k];
            w[k] = to;
            crate::kernel::add_scaled(-change, self.gram[k], q);
        }
        true
    }
}

/// One epoch, over all blocks or those that are not 0. Returns the largest change of the predictions.
#[inline(always)]
fn sweep(steps: &[Step], gram: &[&[f64]], w: &mut [f64], q: &mut [f64], all: bool) -> f64 {
    let (mut at, mut largest, mut group) = (0, 0.0f64, Vec::new());
    for step in steps {
        match step {
            Step::Fixed { len } => at += len,
            Step::Single { prox, curvature, root } => {
                let before = w[at];
                if all || before != 0.0 {
                    let next = prox.of(before + q[at] / curvature);
                    let change = next - before;
                    if change != 0.0 {
                        w[at] = next;
                        largest = largest.max(change.abs() * root);
                        let column = gram[at];
                        q.iter_mut().zip(column).for_each(|(q, g)| *q -= change * g);
                    }
                }
                at += 1;
            }
            Step::Group { len, prox, curvature, root } => {
                let range = at..at + len;
                if all || w[range.clone()].iter().any(|w| *w != 0.0) {
                    group.clear();
                    group.extend(range.clone().map(|k| w[k] + q[k] / curvature));
                    prox.apply(&mut group);
                    let mut square = 0.0;
                    for (k, next) in range.zip(&group) {
                        let change = next - w[k];
                        if change != 0.0 {
                            w[k] = *next;
                            square += change * change;
                            let column = gram[k];
                            q.iter_mut().zip(column).for_each(|(q, g)| *q -= change * g);
                        }
                    }
                    largest = largest.max(square.sqrt() * root);
                }
                at += len;
            }
        }
    }
    largest
}
