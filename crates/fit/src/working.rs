//! Working sets: solves on few blocks, checks all of them, and goes on until nothing is left to gain.

use crate::options::{Options, Progress};
use crate::regularizer::{Kind, Regularizer};
use crate::smooth::{Smooth, Working};
use crate::{Error, Result};

/// Where a fit is.
pub(crate) struct State {
    pub(crate) w: Vec<f64>,
    /// The negative slopes there.
    pub(crate) c: Vec<f64>,
    /// The loss there.
    pub(crate) loss: f64,
}

/// How a fit ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    pub(crate) iterations: usize,
    pub(crate) converged: bool,
    pub(crate) gap: Option<f64>,
    pub(crate) residual: f64,
}

/// What a fit stops at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Goal {
    pub(crate) gap: f64,
    pub(crate) residual: f64,
    /// A residual that may be nothing but rounding.
    pub(crate) rounding: f64,
    /// A residual with which a start needs no move.
    pub(crate) still: f64,
}

impl Goal {
    /// Relative to the loss of the model without coefficients.
    pub(crate) fn new(tolerance: f64, null: f64, outputs: usize) -> Goal {
        let (residual, rounding) = ((2.0 * tolerance * null).sqrt(), 1e-13 * null.sqrt());
        // Several outputs move each other, less and less.
        let still = if outputs == 1 { rounding } else { 1e-3 * residual };
        Goal { gap: tolerance * null, residual, rounding, still }
    }
}

/// Working sets have at most this many features: their products fill 300 MB.
const MOST: usize = 6000;
/// Features of the first working set at least.
const FIRST: usize = 16;

/// Minimizes loss + R from a state whose slopes are up to date. `wider` is R at a smaller λ: a block that is not optimal
/// under it may soon have coefficients. `None` if a working set would be too large.
pub(crate) fn solve(
    smooth: &mut dyn Smooth,
    regularizer: &Regularizer<'_>,
    wider: Option<&Regularizer<'_>>,
    state: &mut State,
    goal: Goal,
    lambda: f64,
    options: &Options<'_>,
) -> Result<Option<End>> {
    let template = regularizer.template();
    let blocks = template.blocks();
    let mut alive: Vec<usize> = (0..blocks).collect();
    let (mut inner, mut before) = ((0.1 * goal.residual).max(goal.rounding), vec![false; blocks]);
    let mut epochs = 0;
    let mut scratch = (Vec::new(), Vec::new());
    for iteration in 0.. {
        // How far each block is from its optimum.
        let curvatures = smooth.curvatures();
        let mut residuals = Vec::with_capacity(alive.len());
        let mut largest = 0.0f64;
        for block in &alive {
            let residual = residual(regularizer, state, curvatures, *block, &mut scratch)?;
            largest = largest.max(residual);
            residuals.push(residual);
        }
        let objective = state.loss + regularizer.value(&state.w)?;
        let gap = gap(smooth, regularizer, state, objective);
        let converged = match gap {
            Some(gap) => gap <= goal.gap,
            None => largest <= goal.residual,
        };
        // A small step of λ leaves the gap small without a move.
        let moved = iteration > 0 || largest <= goal.still;
        let done = (converged && moved) || iteration == options.iterations;
        if let Some(progress) = options.progress {
            let now = Progress { lambda, iteration, objective, gap, residual: largest };
            if progress(&now).is_break() {
                return Err(Error::Cancelled);
            }
        }
        if done {
            return Ok(Some(End { iterations: epochs, converged, gap, residual: largest }));
        }
        // A block whose slope is this far within its bound is 0 at the optimum.
        if let (Some(gap), Some(smoothness), true) = (gap, smooth.smoothness(), regularizer.is_elastic_net()) {
            let radius = (2.0 * smoothness * gap.max(0.0)).sqrt();
            let squares = smooth.curvatures();
            let keep = |block: &usize| match regularizer.kind(*block) {
                Kind::ElasticNet { l1, l2: 0.0 } => {
                    state.w[*block] != 0.0
                        || template.sign(*block).clamp(state.c[*block]).abs()
                            + radius * (squares[*block] / smoothness).sqrt()
                            >= l1
                }
                _ => true,
            };
            let kept: Vec<bool> = alive.iter().map(keep).collect();
            let mut of = kept.iter();
            alive.retain(|_| *of.next().unwrap_or(&true));
            let mut of = kept.iter();
            residuals.retain(|_| *of.next().unwrap_or(&true));
        }
        // All that have coefficients, and the farthest of the others.
        let mut chosen: Vec<bool> =
            (0..blocks).map(|block| template.members(block).any(|j| state.w[j] != 0.0)).collect();
        let mut count = chosen.iter().filter(|chosen| **chosen).count();
        if let (0, Some(wider)) = (iteration, wider) {
            for block in &alive {
                if !chosen[*block] && residual(wider, state, smooth.curvatures(), *block, &mut scratch)? > 0.0 {
                    chosen[*block] = true;
                    count += 1;
                }
            }
        }
        let mut others: Vec<(f64, usize)> = residuals.iter().copied().zip(alive.iter().copied()).collect();
        others.retain(|(residual, block)| *residual > 0.0 && !chosen[*block]);
        let room = count.max(FIRST);
        if others.len() > room {
            others.select_nth_unstable_by(room, |a, b| b.0.total_cmp(&a.0));
            others.truncate(room);
        }
        let mut new = false;
        for (residual, block) in others {
            chosen[block] = true;
            new |= residual > inner && !before[block];
        }
        let list: Vec<usize> = (0..blocks).filter(|block| chosen[*block]).collect();
        // Nothing is left to move: what the gap still is comes from rounding.
        if list.is_empty() {
            return Ok(Some(End { iterations: epochs, converged, gap, residual: largest }));
        }
        new |= list.iter().any(|block| !before[*block]);
        if !new {
            // The same blocks again: they were not solved well enough, or cannot be for rounding.
            if inner <= goal.rounding {
                return Ok(Some(End { iterations: epochs, converged, gap, residual: largest }));
            }
            inner = (0.1 * inner).max(goal.rounding);
        }
        before = chosen;
        let working = Working::of(list, regularizer);
        if working.features.len() > MOST {
            return Ok(None);
        }
        epochs += smooth.refine(regularizer, &working, &mut state.w, &state.c, inner)?;
        state.loss = smooth.slopes(&state.w, &mut state.c);
    }
    Ok(None)
}

/// How far a block is from its optimum.
fn residual(
    regularizer: &Regularizer<'_>,
    state: &State,
    curvatures: &[f64],
    block: usize,
    scratch: &mut (Vec<f64>, Vec<f64>),
) -> Result<f64> {
    let template = regularizer.template();
    if !template.has_groups() {
        let one = block..block + 1;
        return regularizer.residual(block, &state.w[one.clone()], &state.c[one], curvatures[block]);
    }
    scratch.0.clear();
    scratch.1.clear();
    let mut bound = 0.0;
    for j in template.members(block) {
        scratch.0.push(state.w[j]);
        scratch.1.push(state.c[j]);
        bound += curvatures[j];
    }
    regularizer.residual(block, &scratch.0, &scratch.1, bound)
}

/// The duality gap: how far the objective is above a lower bound. `None` if no bound is known.
fn gap(smooth: &dyn Smooth, regularizer: &Regularizer<'_>, state: &State, objective: f64) -> Option<f64> {
    smooth.dual(1.0)?;
    let template = regularizer.template();
    let (mut s, mut members): (f64, Vec<f64>) = (1.0, Vec::new());
    for block in 0..template.blocks() {
        let slopes = if template.has_groups() {
            members.clear();
            members.extend(template.members(block).map(|j| state.c[j]));
            &members[..]
        } else {
            &state.c[block..block + 1]
        };
        if slopes.iter().all(|c| *c == 0.0) {
            continue;
        }
        s = s.min(regularizer.feasible(block, slopes)?);
    }
    let bound = |s: f64| -> Option<f64> {
        let conjugates = || (0..template.features()).map(|j| regularizer.conjugate(j, s * state.c[j])).sum::<f64>();
        Some(smooth.dual(s)? - if regularizer.has_conjugates() { conjugates() } else { 0.0 })
    };
    let gap = objective - bound(s)?;
    gap.is_finite().then_some(gap)
}
