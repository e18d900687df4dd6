//! A sample, a loss and a penalty, fitted at one λ after the other from where the last one ended.

use penalty::Penalty;

use crate::loss::Loss;
use crate::newton::Newton;
use crate::options::Options;
use crate::products::Products;
use crate::quadratic::Quadratic;
use crate::regularizer::{Regularizer, Template};
use crate::sample::Sample;
use crate::smooth::{Smooth, Working};
use crate::solution::Solution;
use crate::working::{End, Goal, State};
use crate::{Error, Problem, Result, fista, working};

/// What fits λ after λ.
pub(crate) struct Fitter<'a> {
    sample: &'a Sample,
    template: &'a Template,
    model: Model<'a>,
    outputs: Vec<State>,
    /// The loss of the model without penalized coefficients.
    pub(crate) null: f64,
    /// The least loss that there is.
    least: f64,
    /// A loss that is nothing but rounding.
    rounding: f64,
    /// The λ before, for which the slopes are.
    before: Option<f64>,
    notes: Vec<String>,
}

enum Model<'a> {
    Quadratic(Box<Quadratic<'a>>),
    Newton(Box<Newton<'a>>),
}

impl Model<'_> {
    fn smooth(&mut self, output: usize) -> &mut dyn Smooth {
        match self {
            Model::Quadratic(quadratic) => &mut **quadratic,
            Model::Newton(newton) => {
                newton.choose(output);
                &mut **newton
            }
        }
    }
}

/// Checks that a problem can have a penalty and a loss; the outputs of the loss.
pub(crate) fn check(problem: &Problem<'_>, loss: &dyn Loss, penalty: &Penalty) -> Result<(Template, usize)> {
    Ok((Template::new(problem, penalty)?, loss.outputs(problem.y)?))
}

impl<'a> Fitter<'a> {
    /// A fitter at the model without penalized coefficients.
    pub(crate) fn new(
        sample: &'a Sample,
        template: &'a Template,
        loss: &'a dyn Loss,
        outputs: usize,
        products: Option<Products>,
        options: &Options<'_>,
    ) -> Result<Fitter<'a>> {
        let p = template.features();
        let model = if loss.is_quadratic() && outputs == 1 {
            let quadratic = Quadratic::new(sample);
            Model::Quadratic(Box::new(match products {
                None => quadratic,
                Some(products) => quadratic.with_products(products),
            }))
        } else {
            Model::Newton(Box::new(Newton::new(sample, loss, outputs)))
        };
        let n = sample.rows() as f64;
        let least = (0..sample.rows()).map(|row| sample.weight(row) * loss.least(sample.y[row])).sum::<f64>() / n;
        let square = (0..sample.rows()).map(|row| sample.weight(row) * sample.y[row] * sample.y[row]).sum::<f64>() / n;
        let rounding = (1e-26 * square).max(f64::MIN_POSITIVE);
        let constant = sample.design.squares.iter().filter(|square| **square == 0.0).count();
        let mut notes = Vec::new();
        if constant > 0 {
            let columns = if constant == 1 { "1 column is".into() } else { format!("{constant} columns are") };
            notes.push(format!("{columns} constant: the coefficient stays 0"));
        }
        let state = || State { w: vec![0.0; p], c: vec![0.0; p], loss: 0.0 };
        let states = (0..outputs).map(|_| state()).collect();
        let mut fitter =
            Fitter { sample, template, model, outputs: states, null: 0.0, least, rounding, before: None, notes };
        fitter.start(options)?;
        Ok(fitter)
    }

    /// Fits intercepts and the coefficients that no λ penalizes.
    fn start(&mut self, options: &Options<'_>) -> Result<()> {
        let free = Working::of(self.template.unpenalized(), &self.template.at(1.0)?);
        let regularizer = self.template.at(1.0)?;
        for cycle in 0..100 {
            let mut change = 0.0f64;
            for (output, state) in self.outputs.iter_mut().enumerate() {
                let smooth = self.model.smooth(output);
                let before = state.loss;
                state.loss = smooth.slopes(&state.w, &mut state.c);
                if !free.features.is_empty() {
                    for _ in 0..3 {
                        smooth.refine(
                            &regularizer,
                            &free,
                            &mut state.w,
                            &state.c,
                            options.tolerance * state.loss.sqrt(),
                        )?;
                        state.loss = smooth.slopes(&state.w, &mut state.c);
                    }
                }
                change = change.max((before - state.loss).abs() / state.loss.abs().max(f64::MIN_POSITIVE));
            }
            if self.outputs.len() == 1 || (cycle > 0 && change <= 1e-14) {
                break;
            }
        }
        // The slopes of each output depend on the intercepts of all.
        for (output, state) in self.outputs.iter_mut().enumerate() {
            state.loss = self.model.smooth(output).slopes(&state.w, &mut state.c);
        }
        self.null = self.outputs[0].loss;
        Ok(())
    }

    /// The slopes of the model without penalized coefficients, of each output. Only before the first fit.
    pub(crate) fn slopes(&self) -> impl Iterator<Item = &[f64]> {
        self.outputs.iter().map(|state| &state.c[..])
    }

    /// Second derivatives, as bounds or measures of them.
    pub(crate) fn curvatures(&mut self) -> Vec<f64> {
        self.model.smooth(0).curvatures().to_vec()
    }

    /// Fits a λ, from the one before.
    pub(crate) fn fit(&mut self, lambda: f64, options: &Options<'_>) -> Result<Solution> {
        let regularizer = self.template.at(lambda)?;
        // A slope rises by no more than λ falls, nearly always: so few blocks come in (Tibshirani et al. 2012).
        let wider = match self.before {
            Some(before) if before > lambda && 2.0 * lambda > before => Some(self.template.at(2.0 * lambda - before)?),
            _ => None,
        };
        let goal = Goal::new(options.tolerance, (self.null - self.least).max(self.rounding), self.outputs.len());
        let alone = self.template.has_groups() && self.template.blocks() == 1;
        let mut end = End { iterations: 0, converged: true, gap: None, residual: 0.0 };
        let count = self.outputs.len();
        for cycle in 0..options.iterations.saturating_mul(10) {
            let mut moved = 0;
            let mut all = End { iterations: end.iterations, converged: true, gap: None, residual: 0.0 };
            for (output, state) in self.outputs.iter_mut().enumerate() {
                let smooth = self.model.smooth(output);
                if count > 1 {
                    state.loss = smooth.slopes(&state.w, &mut state.c);
                }
                let wider = wider.as_ref().filter(|_| cycle == 0);
                let ended = if alone {
                    None
                } else {
                    working::solve(smooth, &regularizer, wider, state, goal, lambda, options)?
                };
                let ended = match ended {
                    Some(ended) => {
                        moved += ended.iterations;
                        ended
                    }
                    // The first step says whether there is another.
                    None => {
                        let ended = fista::solve(smooth, &regularizer, state, goal, lambda, options)?;
                        moved += ended.iterations - 1;
                        ended
                    }
                };
                all.iterations += ended.iterations;
                all.converged &= ended.converged;
                all.gap = ended.gap;
                all.residual = all.residual.max(ended.residual);
            }
            end = all;
            if count == 1 || moved == 0 {
                break;
            }
            end.converged = false;
        }
        self.before = Some(lambda);
        self.solution(lambda, &regularizer, end)
    }

    fn solution(&self, lambda: f64, regularizer: &Regularizer<'_>, end: End) -> Result<Solution> {
        let (intercepts, loss) = match &self.model {
            Model::Quadratic(quadratic) => (vec![quadratic.mean], self.outputs[0].loss),
            Model::Newton(newton) => (newton.intercepts.clone(), newton.value()),
        };
        let standardized = self.sample.design.scales.iter().any(|s| *s != 1.0);
        let (mut coef, mut coef_raw, mut intercept_raw) = (Vec::new(), Vec::new(), Vec::new());
        let mut penalty = 0.0;
        for (state, b) in self.outputs.iter().zip(&intercepts) {
            let (raw, b) = self.sample.design.raw(&state.w, *b);
            penalty += regularizer.value(&state.w)?;
            coef.extend(&state.w);
            coef_raw.extend(raw);
            intercept_raw.push(b);
        }
        let nonzero = coef.iter().filter(|w| **w != 0.0).count();
        let mut notes = self.notes.clone();
        if nonzero == 0 && end.converged && self.sample.design.squares.iter().any(|square| *square > 0.0) {
            notes.push("every coefficient is 0: λ is at or above lambda_max".into());
        }
        Ok(Solution {
            lambda,
            outputs: self.outputs.len(),
            intercept: if standardized { intercepts } else { intercept_raw.clone() },
            coef,
            coef_raw,
            intercept_raw,
            objective: loss + penalty,
            loss,
            nonzero,
            iterations: end.iterations,
            converged: end.converged,
            gap: end.gap,
            residual: end.residual,
            notes,
        })
    }

    /// The products of columns with each other, under the squared loss.
    pub(crate) fn products(&mut self, features: &[usize]) -> Option<Vec<f64>> {
        match &mut self.model {
            Model::Quadratic(quadratic) => Some(quadratic.products(features)),
            Model::Newton(_) => None,
        }
    }

    /// Whether all columns are known to be linearly independent.
    pub(crate) fn is_independent(&mut self) -> bool {
        match &mut self.model {
            Model::Quadratic(quadratic) => quadratic.is_independent(),
            Model::Newton(_) => false,
        }
    }

    /// 1 − deviance/null deviance of a loss.
    pub(crate) fn explained(&self, loss: f64) -> f64 {
        let null = self.null - self.least;
        if null > 0.0 { 1.0 - (loss - self.least) / null } else { 0.0 }
    }

    /// Twice the loss of all rows above the least one.
    pub(crate) fn deviance(&self, loss: f64) -> f64 {
        2.0 * self.sample.rows() as f64 * (loss - self.least).max(0.0)
    }
}

/// Fits one penalty.
///
/// Minimizes (1/Σv) Σ vᵢ ℓ(yᵢ, xᵢw + b) + R(w). Separable penalties and penalties of several groups are solved by
/// coordinate descent on working sets, with gap-safe screening (Ndiaye et al. 2017), products of columns in place of
/// rows, Newton steps on the coefficients found for elastic nets, and Anderson extrapolation for the others. A loss that
/// is not squared is one of proximal Newton steps. One group of all coefficients (a norm, a ball, the simplex) is solved
/// by FISTA with restart and backtracking. If a penalty is not convex, the solution is a point that no coordinate's prox
/// improves. Under the logistic and the multinomial loss it may not converge where a hyperplane separates the classes and the
/// penalty is bounded (MCP, SCAD, L0): there is no minimum then.
///
/// The result does not depend on the number of threads.
///
/// ```
/// use penalty::Penalty;
/// use penalty_fit::{Matrix, Options, Problem, Squared, fit};
///
/// let (x, y) = ([-1.0, 1.0, -1.0, 1.0, -1.0, -1.0, 1.0, 1.0], [-3.0, 1.0, -1.0, 3.0]); // y = 2x₀ + x₁
/// let problem = Problem::new(Matrix::dense(4, 2, &x)?, &y)?;
/// let lasso = fit(&problem, &Squared, &Penalty::l1(0.5)?, &Options::default())?;
/// assert_eq!(lasso.coef, [1.5, 0.5]); // each is soft-thresholded, since the columns are orthogonal
/// assert_eq!(lasso.objective, 0.5 * 0.5 + 0.5 * 2.0);
/// assert!(lasso.converged && lasso.gap.unwrap() < 1e-12);
/// # Ok::<(), penalty_fit::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Unsupported`] if the penalty cannot be fitted, those of the loss for the target, [`Error::Cancelled`], and
/// those of the penalty. Not to converge is no error: see [`Solution::converged`].
pub fn fit(problem: &Problem<'_>, loss: &dyn Loss, penalty: &Penalty, options: &Options<'_>) -> Result<Solution> {
    options.check()?;
    let (template, outputs) = check(problem, loss, penalty)?;
    let sample = Sample::of(problem, None, None);
    Fitter::new(&sample, &template, loss, outputs, None, options)?.fit(1.0, options)
}

impl Options<'_> {
    pub(crate) fn check(&self) -> Result<()> {
        if self.tolerance > 0.0 && self.tolerance.is_finite() && self.iterations > 0 {
            return Ok(());
        }
        let found = format!("{} and {}", self.tolerance, self.iterations);
        Err(Error::Setting { name: "the tolerance and the iterations", expected: "above 0".into(), found })
    }
}
