//! Numbers that change over a training run, such as a fraction to prune, as plain functions of the step.

use std::ops::Range;

/// The cubic schedule of gradual pruning (Zhu and Gupta 2017): s_f + (s_i − s_f)(1 − (t − t₀)/(t₁ − t₀))³ at step t of
/// t₀..t₁, s_i before, s_f from t₁ on. It prunes most at the beginning, where most weights are superfluous.
///
/// ```
/// use penalty::{Budget, schedule};
///
/// let fraction = |step| schedule::cubic(step, 100..300, 0.0, 0.5);
/// assert_eq!([50, 100, 200, 300, 900].map(fraction), [0.0, 0.0, 0.4375, 0.5, 0.5]);
/// for step in (0..1000).step_by(20) {
///     let budget = Budget::prune(fraction(step))?; // for `HostSet::prune_in_place` every 20 steps
/// }
/// # Ok::<(), penalty::Error>(())
/// ```
pub fn cubic(step: u64, steps: Range<u64>, from: f64, to: f64) -> f64 {
    let left = 1.0 - progress(step, steps);
    between(from, to, left * left * left)
}

/// From one number to another in a straight line: the first before the steps, the second after them. A λ that is warmed
/// up so lets weights find their place before they are shrunk.
///
/// ```
/// use penalty::{Penalty, schedule};
///
/// let lambda = |step| schedule::linear(step, 0..1000, 0.0, 1e-3);
/// assert_eq!([0, 500, 2000].map(lambda), [0.0, 5e-4, 1e-3]);
/// let penalty = Penalty::l1(lambda(500))?;
/// # Ok::<(), penalty::Error>(())
/// ```
pub fn linear(step: u64, steps: Range<u64>, from: f64, to: f64) -> f64 {
    between(from, to, 1.0 - progress(step, steps))
}

/// A number that changes at some steps: that of the last milestone that is reached, in ascending order; before the first,
/// `from`.
///
/// ```
/// use penalty::schedule;
///
/// let fraction = |step| schedule::stepwise(step, 0.0, &[(100, 0.5), (200, 0.75)]);
/// assert_eq!([0, 99, 100, 250].map(fraction), [0.0, 0.0, 0.5, 0.75]);
/// ```
pub fn stepwise(step: u64, from: f64, milestones: &[(u64, f64)]) -> f64 {
    let reached = milestones.partition_point(|(at, _)| *at <= step);
    if reached == 0 { from } else { milestones[reached - 1].1 }
}

/// How much of the steps is done, from 0 to 1.
fn progress(step: u64, Range { start, end }: Range<u64>) -> f64 {
    if step >= end {
        return 1.0;
    }
    // Before the end and after the start, there is a way between.
    if step <= start { 0.0 } else { (step - start) as f64 / (end - start) as f64 }
}

/// `to`, less what is left of the way to it; each end exactly.
fn between(from: f64, to: f64, left: f64) -> f64 {
    if left == 1.0 { from } else { to + (from - to) * left }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_exact_and_the_way_between_is_monotone() {
        for schedule in [cubic, linear] {
            let all: Vec<f64> = (0..60).map(|step| schedule(step, 10..40, 0.1, 0.7)).collect();
            assert!(all[..=10].iter().all(|x| *x == 0.1) && all[40..].iter().all(|x| *x == 0.7));
            assert!(all.windows(2).all(|pair| pair[0] <= pair[1]));
        }
        // Where there are no steps between, it jumps.
        assert_eq!([4, 5, 6].map(|step| cubic(step, 5..5, 0.0, 1.0)), [0.0, 1.0, 1.0]);
        #[allow(clippy::reversed_empty_ranges, reason = "that is the case")]
        let reversed = [4, 5].map(|step| linear(step, 9..5, 0.0, 1.0));
        assert_eq!(reversed, [0.0, 1.0]);
    }

    #[test]
    fn the_cubic_is_that_of_its_authors() {
        let [start, count, every, from, to] = [20u64, 10, 5, 1, 9];
        let (from, to) = (from as f64 / 10.0, to as f64 / 10.0);
        for k in 0..=count {
            let t = start + k * every;
            let share = (t - start) as f64 / (count * every) as f64;
            let want = to + (from - to) * (1.0 - share).powi(3);
            assert!((cubic(t, start..start + count * every, from, to) - want).abs() < 1e-15, "{t}");
        }
    }
}
