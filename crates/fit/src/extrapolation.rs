//! Anderson extrapolation: a guess where a sequence of iterates leads.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

/// Iterates that are kept.
const KEPT: usize = 6;

type Iterate = (Vec<f64>, Vec<f64>);

/// The last iterates of a method, with a vector that is affine in each (Bertrand and Massias 2021).
pub(crate) struct Extrapolation {
    iterates: Vec<Iterate>,
}

impl Extrapolation {
    pub(crate) fn new() -> Extrapolation {
        Extrapolation { iterates: Vec::new() }
    }

    /// Keeps an iterate. Whether there are enough of them.
    pub(crate) fn add(&mut self, w: &[f64], q: &[f64]) -> bool {
        self.iterates.push((w.to_vec(), q.to_vec()));
        self.iterates.len() == KEPT
    }

    /// The combination of the iterates whose next step is least; `None` if they do not tell. They are forgotten.
    pub(crate) fn take(&mut self) -> Option<Iterate> {
        let iterates = std::mem::take(&mut self.iterates);
        let count = iterates.len() - 1;
        let steps: Vec<Vec<f64>> =
            iterates.windows(2).map(|pair| pair[1].0.iter().zip(&pair[0].0).map(|(b, a)| b - a).collect()).collect();
        let product = |a: usize, b: usize| steps[a].iter().zip(&steps[b]).map(|(a, b)| a * b).sum::<f64>();
        let trace: f64 = (0..count).map(|a| product(a, a)).sum();
        let entry = |a: usize, b: usize| product(a, b) + if a == b { 1e-12 * trace } else { 0.0 };
        let solved =
            Mat::from_fn(count, count, entry).llt(Side::Lower).ok()?.solve(Mat::<f64>::from_fn(count, 1, |_, _| 1.0));
        let sum: f64 = (0..count).map(|a| solved[(a, 0)]).sum();
        let combined = |of: fn(&Iterate) -> &Vec<f64>| {
            let mut out = vec![0.0; of(&iterates[0]).len()];
            for a in 0..count {
                let c = solved[(a, 0)] / sum;
                out.iter_mut().zip(of(&iterates[a + 1])).for_each(|(out, x)| *out += c * x);
            }
            out
        };
        let (w, q) = (combined(|iterate| &iterate.0), combined(|iterate| &iterate.1));
        w.iter().chain(&q).all(|x| x.is_finite()).then_some((w, q))
    }
}
