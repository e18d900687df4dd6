//! Accelerated proximal gradient steps, for penalties whose coefficients all belong together.

use crate::options::{Options, Progress};
use crate::regularizer::Regularizer;
use crate::smooth::Smooth;
use crate::working::{End, Goal, State};
use crate::{Error, Result};

/// FISTA (Beck and Teboulle 2009) with backtracking. It starts anew where the objective would rise (O'Donoghue and
/// Candès 2015), so the objective never does.
pub(crate) fn solve(
    smooth: &mut dyn Smooth,
    regularizer: &Regularizer<'_>,
    state: &mut State,
    goal: Goal,
    lambda: f64,
    options: &Options<'_>,
) -> Result<End> {
    let p = state.w.len();
    // A start outside of a constraint has no finite objective: its projection has.
    let mut l = smooth.curvatures().iter().fold(0.0, |max: f64, l| max.max(*l)).max(f64::MIN_POSITIVE);
    step(regularizer, &mut state.w, l)?;
    state.loss = smooth.slopes(&state.w, &mut state.c);
    let mut objective = state.loss + regularizer.value(&state.w)?;
    let (mut y, mut c_y, mut loss_y, mut t) = (state.w.clone(), state.c.clone(), state.loss, 1.0f64);
    let (mut next, mut c_next) = (vec![0.0; p], vec![0.0; p]);
    let most = options.iterations.saturating_mul(100);
    for iteration in 0.. {
        // A step from y, short enough for the quadratic bound to hold.
        let (loss_next, square) = loop {
            next.iter_mut().zip(y.iter().zip(&c_y)).for_each(|(next, (y, c))| *next = y + c / l);
            step(regularizer, &mut next, l)?;
            let loss = smooth.slopes(&next, &mut c_next);
            let (mut slope, mut square) = (0.0, 0.0);
            for j in 0..p {
                let d = next[j] - y[j];
                slope -= c_y[j] * d;
                square += d * d;
            }
            if loss <= loss_y + slope + 0.5 * l * square + 1e-14 * loss_y.abs() || l > 1e200 {
                break (loss, square);
            }
            l *= 1.5;
        };
        let value = loss_next + regularizer.value(&next)?;
        let residual = (l * square).sqrt();
        // From the iterate itself, the step says how far it is from a fixed point.
        let plain = y == state.w;
        if let Some(progress) = options.progress {
            let now = Progress { lambda, iteration, objective: value.min(objective), gap: None, residual };
            if progress(&now).is_break() {
                return Err(Error::Cancelled);
            }
        }
        let rises = value > objective;
        if !rises {
            let before = std::mem::replace(&mut state.w, next.clone());
            state.c.copy_from_slice(&c_next);
            (state.loss, objective) = (loss_next, value);
            let t_next = 0.5 * (1.0 + (1.0 + 4.0 * t * t).sqrt());
            let momentum = (t - 1.0) / t_next;
            t = t_next;
            for j in 0..p {
                y[j] = state.w[j] + momentum * (state.w[j] - before[j]);
            }
        }
        let ended = plain && (residual <= goal.residual || rises);
        if ended || iteration >= most {
            let converged = plain && residual <= goal.residual;
            return Ok(End { iterations: iteration + 1, converged, gap: None, residual });
        }
        if rises || residual <= goal.residual {
            (t, loss_y) = (1.0, state.loss);
            y.copy_from_slice(&state.w);
            c_y.copy_from_slice(&state.c);
        } else {
            loss_y = smooth.slopes(&y, &mut c_y);
        }
    }
    Ok(End { iterations: most, converged: false, gap: None, residual: f64::INFINITY })
}

/// The prox of all coefficients at the step 1/l.
fn step(regularizer: &Regularizer<'_>, w: &mut [f64], l: f64) -> Result<()> {
    let template = regularizer.template();
    if !template.has_groups() {
        for (j, w) in w.iter_mut().enumerate() {
            *w = regularizer.prox(j, 1.0 / l)?.of(*w);
        }
        return Ok(());
    }
    let mut group = Vec::new();
    for block in 0..template.blocks() {
        group.clear();
        group.extend(template.members(block).map(|j| w[j]));
        regularizer.group_prox(block, 1.0 / l)?.apply(&mut group);
        template.members(block).zip(&group).for_each(|(j, x)| w[j] = *x);
    }
    Ok(())
}
