//! Losses that are not squared: proximal Newton steps on a working set.

use rayon::prelude::*;

use crate::Result;
use crate::loss::Loss;
use crate::products::Products;
use crate::regularizer::Regularizer;
use crate::sample::Sample;
use crate::smooth::{Smooth, Working};
use crate::subproblem::Subproblem;

/// The loss as a function of one output's coefficients, the others held.
pub(crate) struct Newton<'a> {
    sample: &'a Sample,
    loss: &'a dyn Loss,
    outputs: usize,
    output: usize,
    /// The linear predictors, one row after the other.
    eta: Vec<f64>,
    pub(crate) intercepts: Vec<f64>,
    /// −vᵢ∂ℓ/∂η of the output.
    slopes: Vec<f64>,
    curvatures: Vec<f64>,
    /// For each output.
    held: Vec<Option<Held>>,
}

/// Weights of rows and the columns' products with them, near those of now: steps with them still lead to the optimum.
struct Held {
    h: Vec<f64>,
    /// Σh/n.
    total: f64,
    products: Products,
    /// Σhx̃/n of the columns that have been asked for; NaN for the others.
    means: Vec<f64>,
}

impl Held {
    /// The weighted means of columns; 0 without an intercept, since nothing takes them up then.
    fn means_of(&mut self, features: &[usize], sample: &Sample) -> Vec<f64> {
        if !sample.intercept {
            return vec![0.0; features.len()];
        }
        let new: Vec<usize> = features.iter().copied().filter(|j| self.means[*j].is_nan()).collect();
        let means = sample.design.weighted_means(&new, &self.h);
        new.iter().zip(means).for_each(|(j, mean)| self.means[*j] = mean);
        features.iter().map(|j| self.means[*j]).collect()
    }
}

/// Newton steps on one working set.
const STEPS: usize = 30;
/// The same with a bound of the curvature, which are smaller and cheaper.
const BOUNDED_STEPS: usize = 200;

impl<'a> Newton<'a> {
    pub(crate) fn new(sample: &'a Sample, loss: &'a dyn Loss, outputs: usize) -> Newton<'a> {
        let rows = sample.rows();
        Newton {
            sample,
            loss,
            outputs,
            output: 0,
            eta: vec![0.0; rows * outputs],
            intercepts: vec![0.0; outputs],
            slopes: vec![0.0; rows],
            curvatures: vec![0.0; sample.design.cols()],
            held: (0..outputs).map(|_| None).collect(),
        }
    }

    /// Which output the coefficients are of.
    pub(crate) fn choose(&mut self, output: usize) {
        self.output = output;
    }

    /// Σ over rows of vᵢf(yᵢ, ηᵢ)/n, in an order that does not depend on threads.
    fn mean(&self, f: impl Fn(f64, &[f64]) -> f64 + Sync) -> f64 {
        const ROWS: usize = 4096;
        let chunks = self.eta.par_chunks(ROWS * self.outputs).enumerate();
        let sums: Vec<f64> = chunks
            .map(|(chunk, eta)| {
                let rows = eta.chunks(self.outputs).zip(chunk * ROWS..);
                rows.map(|(eta, row)| self.sample.weight(row) * f(self.sample.y[row], eta)).sum()
            })
            .collect();
        sums.into_iter().sum::<f64>() / self.sample.rows() as f64
    }

    /// vᵢf(yᵢ, ηᵢ) of each row.
    fn each(&self, f: impl Fn(f64, &[f64]) -> f64 + Sync, out: &mut [f64]) {
        let rows = out.par_iter_mut().with_min_len(1024).zip(self.eta.par_chunks(self.outputs)).enumerate();
        rows.for_each(|(row, (out, eta))| *out = self.sample.weight(row) * f(self.sample.y[row], eta));
    }

    pub(crate) fn value(&self) -> f64 {
        self.mean(|y, eta| self.loss.value(y, eta))
    }

    /// A bound of the curvature, or the largest that a row has now.
    fn bound(&self) -> f64 {
        let curvature = |(eta, y): (&[f64], &f64)| self.loss.curvature(*y, eta, self.output);
        let largest = || self.eta.chunks(self.outputs).zip(&self.sample.y).map(curvature).fold(0.0, f64::max);
        self.loss.smoothness().unwrap_or_else(largest)
    }

    /// The rows' curvatures of now, or a bound of them.
    fn hold(&self, bounded: bool) -> Held {
        let rows = self.sample.rows();
        let mut h = vec![0.0; rows];
        if bounded {
            let bound = self.bound();
            h.iter_mut().zip(0..).for_each(|(h, row)| *h = bound * self.sample.weight(row));
        } else {
            self.each(|y, eta| self.loss.curvature(y, eta, self.output), &mut h);
            // Rows without curvature would make the model unbounded.
            let least = 1e-9 * h.iter().fold(0.0, |max: f64, h| max.max(*h)).max(1e-9);
            h.iter_mut().zip(0..).for_each(|(h, row)| *h = h.max(least * self.sample.weight(row)));
        }
        let total = h.iter().sum::<f64>() / rows as f64;
        let means = vec![f64::NAN; self.sample.design.cols()];
        Held { h, total, products: Products::of_kept(&self.sample.design), means }
    }

    fn shift(&mut self, by: f64) {
        let (outputs, output) = (self.outputs, self.output);
        self.eta.iter_mut().skip(output).step_by(outputs).for_each(|eta| *eta += by);
        self.intercepts[output] += by;
    }

    /// Goes to the best intercept.
    fn centre(&mut self) {
        if !self.sample.intercept {
            return;
        }
        let output = self.output;
        let mut value = None;
        for _ in 0..50 {
            let slope = self.mean(|y, eta| self.loss.slope(y, eta, output));
            let curvature = self.mean(|y, eta| self.loss.curvature(y, eta, output));
            let step = -slope / curvature;
            if !step.is_finite() || step.abs() <= 1e-14 * (1.0 + self.intercepts[output].abs()) {
                return;
            }
            if step.abs() < 1e-3 {
                // Newton's method is sure to converge from here on.
                self.shift(step);
                continue;
            }
            let before = value.unwrap_or_else(|| self.value());
            let mut length = step.clamp(-5.0, 5.0);
            self.shift(length);
            let mut after = self.value();
            while (after.is_nan() || after > before) && length.abs() > 1e-12 {
                self.shift(-0.5 * length);
                length *= 0.5;
                after = self.value();
            }
            value = Some(after);
        }
    }
}

impl Smooth for Newton<'_> {
    fn slopes(&mut self, w: &[f64], c: &mut [f64]) -> f64 {
        let output = self.output;
        let mut predictors = vec![self.intercepts[output]; self.sample.rows()];
        self.sample.design.add_columns(w.iter().copied().enumerate(), &mut predictors);
        self.eta.iter_mut().skip(output).step_by(self.outputs).zip(predictors).for_each(|(eta, x)| *eta = x);
        self.centre();
        let mut slopes = std::mem::take(&mut self.slopes);
        self.each(|y, eta| -self.loss.slope(y, eta, output), &mut slopes);
        self.slopes = slopes;
        self.sample.design.correlations(&self.slopes, c);
        let largest = self.bound();
        let squares = &self.sample.design.squares;
        self.curvatures.iter_mut().zip(squares).for_each(|(l, square)| *l = largest * square);
        self.value()
    }

    fn curvatures(&self) -> &[f64] {
        &self.curvatures
    }

    fn dual(&self, s: f64) -> Option<f64> {
        if self.outputs > 1 {
            return None;
        }
        // Asked of one row first, since most losses without a conjugate have none anywhere.
        self.loss.conjugate(self.sample.y[0], 0.0)?;
        let conjugate = |y, eta: &[f64]| {
            let u = s * self.loss.slope(y, eta, 0);
            self.loss.conjugate(y, u).unwrap_or(f64::INFINITY)
        };
        Some(-self.mean(conjugate))
    }

    fn smoothness(&self) -> Option<f64> {
        self.loss.smoothness()
    }

    fn refine(
        &mut self,
        regularizer: &Regularizer<'_>,
        working: &Working,
        w: &mut [f64],
        c: &[f64],
        tolerance: f64,
    ) -> Result<usize> {
        let (rows, output, features) = (self.sample.rows(), self.output, &working.features);
        let (n, m) = (rows as f64, features.len());
        let mut epochs = 0;
        let mut part: Vec<f64> = features.iter().map(|j| w[*j]).collect();
        let mut whole = w.to_vec();
        let mut loss = self.value();
        let mut penalty = regularizer.value(&whole)?;
        // Where R is not convex, which points are fixed depends on the curvature: the bound that the check has is taken.
        let bounded = !regularizer.is_convex();
        let (mut gram, mut means, mut moved_before) = (Vec::new(), Vec::new(), f64::INFINITY);
        let mut held = self.held[output].take();
        for step in 0..if bounded { BOUNDED_STEPS } else { STEPS } {
            // The slopes are those of the start until a step was taken.
            let mut q: Vec<f64> = if step == 0 {
                features.iter().map(|j| c[*j]).collect()
            } else {
                let mut slopes = std::mem::take(&mut self.slopes);
                self.each(|y, eta| -self.loss.slope(y, eta, output), &mut slopes);
                self.slopes = slopes;
                self.sample.design.weighted_means(features, &self.slopes)
            };
            // Products of before serve as long as the steps become short with them.
            let mut now = match held.take() {
                Some(held) => held,
                None => {
                    gram.clear();
                    self.hold(bounded)
                }
            };
            if gram.is_empty() {
                now.products.prepare(&self.sample.design, Some(&now.h), features, c);
                now.products.among(features, &mut gram);
                means = now.means_of(features, self.sample);
                // The intercept is at its best for every change of the coefficients.
                if self.sample.intercept {
                    for (b, column) in gram.chunks_mut(m).enumerate() {
                        column.iter_mut().zip(&means).for_each(|(g, mean)| *g -= mean * means[b] / now.total);
                    }
                }
            }
            let (total, slope) = (now.total, self.slopes.iter().sum::<f64>() / n);
            held = Some(now);
            if self.sample.intercept {
                q.iter_mut().zip(&means).for_each(|(q, mean)| *q -= mean * slope / total);
            }
            let start = q.clone();
            let mut next = part.clone();
            let columns: Vec<&[f64]> = gram.chunks(m).collect();
            let subproblem = Subproblem { regularizer, blocks: &working.blocks, features, gram: &columns };
            epochs += subproblem.minimize(&mut next, &mut q, 0.1 * tolerance)?;
            let d: Vec<f64> = next.iter().zip(&part).map(|(next, part)| next - part).collect();
            let moved = (0..m).map(|k| d[k].abs() * gram[k * m + k].max(0.0).sqrt()).fold(0.0, f64::max);
            // Without a bound of the curvature, a measure of it must be one of now.
            let stale = if bounded { self.loss.smoothness().is_none() } else { moved > 0.2 * moved_before };
            moved_before = if stale { f64::INFINITY } else { moved };
            if moved == 0.0 {
                break;
            }
            let mean_change: f64 = d.iter().zip(&means).map(|(d, mean)| d * mean).sum();
            let shift = if self.sample.intercept { (slope - mean_change) / total } else { 0.0 };
            let mut direction = vec![shift; rows];
            self.sample.design.add_columns(features.iter().copied().zip(d.iter().copied()), &mut direction);
            // The decrease that the model promises, for the rule of Armijo.
            features.iter().zip(&next).for_each(|(j, next)| whole[*j] = *next);
            let promised = -start.iter().zip(&d).map(|(q, d)| q * d).sum::<f64>() + regularizer.value(&whole)?
                - penalty
                - if self.sample.intercept { slope * slope / total } else { 0.0 };
            let before = loss + penalty;
            let (mut length, mut at) = (1.0, 0.0);
            let accepted = loop {
                let by: f64 = length - at;
                let eta = self.eta.iter_mut().skip(output).step_by(self.outputs);
                eta.zip(&direction).for_each(|(eta, d)| *eta += by * d);
                at = length;
                features.iter().zip(part.iter().zip(&d)).for_each(|(j, (part, d))| whole[*j] = part + length * d);
                loss = self.value();
                penalty = regularizer.value(&whole)?;
                let after = loss + penalty;
                if after <= before + 1e-4 * length * promised.min(0.0) + 1e-15 * before.abs() {
                    break true;
                }
                if length < 1e-10 {
                    break false;
                }
                length *= 0.5;
            };
            if !accepted {
                let eta = self.eta.iter_mut().skip(output).step_by(self.outputs);
                eta.zip(&direction).for_each(|(eta, d)| *eta -= at * d);
                held = None;
                break;
            }
            self.intercepts[output] += at * shift;
            if length == 1.0 {
                part = next;
            } else {
                part.iter_mut().zip(&d).for_each(|(part, d)| *part += length * d);
            }
            features.iter().zip(&part).for_each(|(j, part)| whole[*j] = *part);
            w.copy_from_slice(&whole);
            if moved <= tolerance {
                break;
            }
            if stale {
                held = None;
            }
        }
        self.held[output] = held;
        Ok(epochs)
    }
}
