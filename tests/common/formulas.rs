//! All separable penalties but the elastic net, in `f64`, written as in the papers. They share no code with `src`.

// The library's unit tests include this file too, and there no crate is called `penalty`.
use super::Penalty;

/// A separable penalty with its two parameters. A missing parameter is 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) p: [f64; 2],
}

/// Each penalty's name, and the names of its parameters.
pub(crate) const NAMES: [(&str, &[&str]); 9] = [
    ("l0", &["lambda"]),
    ("l_half", &["lambda"]),
    ("log_sum", &["lambda", "epsilon"]),
    ("mcp", &["lambda", "gamma"]),
    ("scad", &["lambda", "a"]),
    ("huber", &["lambda", "delta"]),
    ("nonnegative_l1", &["lambda"]),
    ("box", &["lower", "upper"]),
    ("l1", &["lambda"]),
];

impl Family {
    pub(crate) fn penalty(&self) -> Penalty {
        let keys = NAMES.iter().find(|(name, _)| *name == self.name).expect("it is one of the names").1;
        let parameters: Vec<(&str, f64)> = keys.iter().copied().zip(self.p).collect();
        Penalty::named(self.name, &parameters).expect("its parameters are valid")
    }

    pub(crate) fn has_gradient(&self) -> bool {
        !matches!(self.name, "l0" | "nonnegative_l1" | "box")
    }

    pub(crate) fn is_convex(&self) -> bool {
        matches!(self.name, "huber" | "nonnegative_l1" | "box" | "l1")
    }

    pub(crate) fn value(&self, x: f64) -> f64 {
        let ([lambda, shape], a) = (self.p, x.abs());
        match self.name {
            "l0" => lambda * f64::from(u8::from(x != 0.0)),
            "l_half" => lambda * a.sqrt(),
            "log_sum" => lambda * (a / shape).ln_1p(),
            "mcp" if a <= shape * lambda => lambda * a - a * a / (2.0 * shape),
            "mcp" => shape * lambda * lambda / 2.0,
            "scad" if a <= lambda => lambda * a,
            "scad" if a <= shape * lambda => {
                (2.0 * shape * lambda * a - a * a - lambda * lambda) / (2.0 * (shape - 1.0))
            }
            "scad" => lambda * lambda * (shape + 1.0) / 2.0,
            "huber" if a <= shape => lambda * a * a / 2.0,
            "huber" => lambda * shape * (a - shape / 2.0),
            "nonnegative_l1" if x < 0.0 => f64::INFINITY,
            "nonnegative_l1" | "l1" => lambda * a,
            // The bounds as `f32`.
            "box" if (f64::from(lambda as f32)..=f64::from(shape as f32)).contains(&x) => 0.0,
            "box" => f64::INFINITY,
            _ => unreachable!("it is one of the names"),
        }
    }

    /// The slope, if there is one.
    pub(crate) fn gradient(&self, x: f64) -> f64 {
        let ([lambda, shape], a) = (self.p, x.abs());
        let slope = match self.name {
            _ if x == 0.0 => 0.0,
            "l_half" => lambda / (2.0 * a.sqrt()),
            "log_sum" => lambda / (shape + a),
            "mcp" => (lambda - a / shape).max(0.0),
            "scad" if a <= lambda => lambda,
            "scad" => (shape * lambda - a).max(0.0) / (shape - 1.0),
            "huber" => lambda * a.min(shape),
            "l1" => lambda,
            _ => unreachable!("it has a gradient"),
        };
        slope.copysign(x)
    }

    /// The objective that the prox minimizes.
    pub(crate) fn objective(&self, step: f64, d: f64, v: f64, x: f64) -> f64 {
        step * self.value(x) + d * (x - v) * (x - v) / 2.0
    }

    /// The objective's minimum.
    pub(crate) fn least(&self, step: f64, d: f64, v: f64) -> f64 {
        // A box may lie outside [0, v].
        let inside = |x: f64| if self.name == "box" { x.clamp(self.p[0], self.p[1]) } else { x };
        least(v, |x| self.objective(step, d, v, inside(x)))
    }
}

/// The minimum of a function between 0 and v: a fine search that narrows in from several starts.
pub(crate) fn least(v: f64, at: impl Fn(f64) -> f64) -> f64 {
    let (low, high) = (v.min(0.0), v.max(0.0));
    let mut least = at(0.0).min(at(v));
    let grid = 256;
    let point = |i: i32| low + (high - low) * f64::from(i) / f64::from(grid);
    let mut starts: Vec<i32> = (0..=grid).collect();
    starts.sort_by(|&i, &j| at(point(i)).total_cmp(&at(point(j))));
    for &i in &starts[..4] {
        let (mut a, mut b) = (point((i - 1).max(0)), point((i + 1).min(grid)));
        for _ in 0..200 {
            let (third, other) = (a + (b - a) / 3.0, b - (b - a) / 3.0);
            if at(third) < at(other) { b = other } else { a = third }
        }
        least = least.min(at(a)).min(at(b));
    }
    least
}
