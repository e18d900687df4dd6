//! What every contender is given, and what it gives.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::rc::Rc;

/// The same in `operations.py`.
pub const L1: f64 = 0.05;
pub const L2: f64 = 0.01;
pub const STEP: f64 = 0.1;
pub const THRESHOLD: f32 = (STEP * L1) as f32;
pub const SHRINK: f32 = (1.0 / (1.0 + 2.0 * STEP * L2)) as f32;
pub const TENSORS: usize = 1000;
/// The radius of the ball is this share of Σ|θ|, and top-k keeps this share of the weights.
pub const SHARE: f64 = 0.1;
/// Adam's parameters, for its first iteration.
pub const ADAM_STEP: f64 = 1e-3;
pub const BETA1: f32 = 0.9;
pub const BETA2: f32 = 0.999;
pub const EPSILON: f32 = 1e-8;

/// The numbers that all contenders work on.
pub struct Input {
    pub theta: Vec<f32>,
    pub gradient: Vec<f32>,
    /// Σ|θ| in `f64`.
    pub norm: f64,
}

/// A library's way to an operation. It is restored before each run, which is not timed.
pub struct Contender {
    pub name: &'static str,
    work: Box<dyn Work>,
}

pub type Answer = [f64; 3];
pub type Outcome = Result<(), Box<dyn Error>>;

trait Work {
    fn restore(&mut self);
    fn run(&mut self) -> Outcome;
    fn answer(&self) -> Answer;
}

struct Of<S, Restore, Run, Give> {
    state: S,
    restore: Restore,
    run: Run,
    give: Give,
}

impl<S, Restore: Fn(&mut S), Run: FnMut(&mut S) -> Outcome, Give: Fn(&S) -> Answer> Work for Of<S, Restore, Run, Give> {
    fn restore(&mut self) {
        (self.restore)(&mut self.state);
    }
    fn run(&mut self) -> Outcome {
        (self.run)(&mut self.state)
    }
    fn answer(&self) -> Answer {
        (self.give)(&self.state)
    }
}

/// Arrays in host memory that a contender writes, and the scalar that it finds.
pub struct Host {
    pub theta: Vec<f32>,
    /// The gradient, or the penalty's where an operation writes it.
    pub gradient: Vec<f32>,
    pub first: Vec<f32>,
    pub second: Vec<f32>,
    pub scalar: f64,
}

impl Contender {
    pub fn new<S: 'static>(
        name: &'static str,
        state: S,
        restore: impl Fn(&mut S) + 'static,
        run: impl FnMut(&mut S) -> Outcome + 'static,
        give: impl Fn(&S) -> Answer + 'static,
    ) -> Contender {
        Contender { name, work: Box::new(Of { state, restore, run, give }) }
    }

    /// A contender that works on slices. What it takes and what it gives follow from the operation.
    pub fn on_host(
        name: &'static str,
        operation: &str,
        input: &Rc<Input>,
        run: impl FnMut(&mut Host) -> Outcome + 'static,
    ) -> Contender {
        let (states, writes_theta, writes_gradient) = match operation {
            "value" | "thousand_tensors" => (false, false, false),
            "value_and_gradient" => (false, false, true),
            "adam_step" => (true, true, false),
            _ => (false, true, false),
        };
        let zeros = || if states { vec![0.0; input.theta.len()] } else { Vec::new() };
        let (first, second) = (zeros(), zeros());
        let host = Host { theta: input.theta.clone(), gradient: input.gradient.clone(), first, second, scalar: 0.0 };
        let input = input.clone();
        let restore = move |host: &mut Host| {
            if writes_theta {
                host.theta.copy_from_slice(&input.theta);
            }
            host.first.fill(0.0);
            host.second.fill(0.0);
        };
        let give = move |host: &Host| match (writes_theta, writes_gradient) {
            (true, _) => summary(0.0, &host.theta),
            (_, true) => summary(host.scalar, &host.gradient),
            _ => [host.scalar, 0.0, 0.0],
        };
        Contender::new(name, host, restore, run, give)
    }

    pub fn restore(&mut self) {
        self.work.restore();
    }

    pub fn run(&mut self) -> Outcome {
        self.work.run()
    }

    pub fn answer(&self) -> Answer {
        self.work.answer()
    }
}

/// Sums that tell a wrong result from a right one.
pub fn summary(scalar: f64, result: &[f32]) -> Answer {
    let sum = result.iter().map(|x| f64::from(x.abs())).sum();
    [scalar, sum, result.iter().filter(|x| **x != 0.0).count() as f64]
}

impl Input {
    pub fn read(folder: &Path) -> Result<Input, Box<dyn Error>> {
        let read = |name: &str| -> Result<Vec<f32>, Box<dyn Error>> {
            let bytes = fs::read(folder.join(name))?;
            Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
        };
        let (theta, gradient) = (read("theta.f32")?, read("gradient.f32")?);
        let norm = theta.iter().map(|x| f64::from(x.abs())).sum();
        Ok(Input { theta, gradient, norm })
    }

    pub fn radius(&self) -> f64 {
        SHARE * self.norm
    }

    pub fn kept(&self) -> usize {
        (SHARE * self.theta.len() as f64) as usize
    }
}
