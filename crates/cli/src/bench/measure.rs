//! Lets an operation and the machine's kernel take turns, and sums up their times.

use std::time::Instant;

use serde::Serialize;

use super::case::Measure;
use crate::error::Result;

/// Who runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Who {
    Ours,
    Machine,
}

/// The seconds of one run by the host's clock, and by the device's if it has one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seconds {
    pub(super) host: f64,
    pub(super) device: Option<f64>,
    /// What the dispatches of one step take by the device's clock, on an idle device.
    pub(super) dispatch: Option<f64>,
}

/// An operation and the machine's kernel that moves the same bytes, ready to run.
pub(super) trait Contest {
    /// The most runs at once.
    fn most(&self) -> usize;

    /// Runs this many times, and returns the time of one.
    fn run(&mut self, who: Who, measure: Measure, times: usize) -> Result<Seconds>;
}

/// The fastest, the median and the slowest turn, in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Spread {
    pub(super) minimum: f64,
    pub(super) median: f64,
    pub(super) maximum: f64,
}

/// The times of one contender.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) host: Spread,
    pub(super) device: Option<Spread>,
    pub(super) dispatch: Option<Spread>,
}

/// A turn of steps repeats its kernel for about this many seconds, so that the cost of submitting is negligible.
const TURN: f64 = 0.02;
/// The turns of steps, and of what is measured one by one.
const TURNS: usize = 7;
const SINGLE_TURNS: usize = 51;
/// There are fewer turns if they would take longer than this many seconds, but not fewer than FEWEST.
const ENOUGH: f64 = 1.5;
const FEWEST: usize = 3;

/// The times of the operation and of the machine, which records nothing.
pub(super) fn measure(contest: &mut impl Contest, measure: Measure) -> Result<(Times, Option<Times>)> {
    let contenders: &[Who] = if measure == Measure::Recording { &[Who::Ours] } else { &[Who::Ours, Who::Machine] };
    let most = if measure == Measure::Step { contest.most() } else { 1 };
    let (mut repeats, mut round) = (Vec::new(), 0.0);
    for &who in contenders {
        // The first run also pays for one-time work.
        contest.run(who, measure, 1)?;
        let started = Instant::now();
        let once = contest.run(who, measure, 1)?.host;
        let all = started.elapsed().as_secs_f64();
        let times = (TURN / once.max(1e-9)).ceil().clamp(1.0, most as f64);
        repeats.push(times as usize);
        round += all + once * (times - 1.0);
    }
    let turns = if measure == Measure::Step { TURNS } else { SINGLE_TURNS };
    let turns = ((ENOUGH / round) as usize).clamp(FEWEST, turns);
    let mut seconds = vec![Vec::with_capacity(turns); contenders.len()];
    for _ in 0..turns {
        for ((&who, &times), seconds) in contenders.iter().zip(&repeats).zip(&mut seconds) {
            seconds.push(contest.run(who, measure, times)?);
        }
    }
    let mut times = seconds.iter().map(|seconds| Times {
        host: spread(seconds.iter().map(|turn| turn.host).collect()),
        device: seconds.iter().map(|turn| turn.device).collect::<Option<_>>().map(spread),
        dispatch: seconds.iter().map(|turn| turn.dispatch).collect::<Option<_>>().map(spread),
    });
    let nothing = Spread { minimum: f64::NAN, median: f64::NAN, maximum: f64::NAN };
    Ok((times.next().unwrap_or(Times { host: nothing, device: None, dispatch: None }), times.next()))
}

fn spread(mut seconds: Vec<f64>) -> Spread {
    seconds.sort_by(f64::total_cmp);
    let at = |index: usize| 1e6 * seconds.get(index).copied().unwrap_or(f64::NAN);
    Spread { minimum: at(0), median: at(seconds.len() / 2), maximum: at(seconds.len().saturating_sub(1)) }
}
