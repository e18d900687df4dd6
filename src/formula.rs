//! What a penalty's formula file gives. `src/penalty.rs` lists the files; their twins are in `shaders/penalty/`, of the same stems.

use crate::elementwise::SMALLEST;
use crate::structure::Rule;
use crate::{Dtype, Error, Penalty, Result};

/// What a kernel needs to know of a penalty, each rounded once to `f32`; what a formula has no use for is 0. A weighted formula finds an
/// element's weight in the last.
pub(crate) type Numbers = [f32; 5];
/// What the kernel of the value's own sum needs to know; the last again the weight.
pub(crate) type TermNumbers = [f32; 3];
/// A penalty's parameters, in the order of its constructor.
pub(crate) type Parameters = [f64; 2];

/// A penalty of each weight, or what a group's penalty does with each of its weights. Its functions on `f32` see finite numbers only,
/// below 2^-120 none but +0.
pub(crate) trait Formula {
    /// Whether the value has a sum of its own, of [`term`](Formula::term) or of the groups' shares.
    const SUMS_TERMS: bool = true;
    /// How a group's numbers are found, which its weights have in place of the last two of theirs; none of what stands alone.
    const RULE: Option<Rule> = None;
    /// Whether every element has a weight of its own, ≥ 0: the last of its numbers and term numbers.
    const WEIGHTED: bool = false;
    /// What users call the penalties of this formula.
    const NAMED: &'static [Named];
    /// What errors call a penalty of it whose constructor has no other name: the most general of these.
    const NAME: &'static str = Self::NAMED[Self::NAMED.len() - 1].name;

    /// The factors of Σ|θ|, Σθ² and Σterm in the value. An infinite one makes a constraint of its sum.
    fn weights(p: Parameters) -> [f64; 3];
    /// What the rule compares a group's sum with in a prox at this step; in the value as at step 0.
    fn amount(_p: Parameters, _step: f64) -> f64 {
        0.0
    }
    /// The parameters as weights of this type can meet them.
    fn on(p: Parameters, _dtype: Dtype) -> Parameters {
        p
    }
    fn term_numbers(_p: Parameters) -> [f64; 3] {
        [0.0; 3]
    }
    fn gradient_numbers(_p: Parameters) -> [f64; 5] {
        [0.0; 5]
    }
    /// At a finite step ≥ 0.
    fn prox_numbers(_p: Parameters, _step: f64) -> Result<[f64; 5]> {
        Ok([0.0; 5])
    }
    /// At a finite step ≥ 0. A group's prox in a metric that differs from weight to weight has no closed form.
    fn metric_numbers(_p: Parameters, _step: f64) -> Result<[f64; 5]> {
        Err(Error::GroupMetric { penalty: Self::NAMED[0].name })
    }

    /// A share ≥ 0 of the value, 0 at 0 unless 0 is forbidden: finite, and at most 2^115 where |θ| < 2^57, so that the 4096 of a tile
    /// can be summed.
    fn term(_theta: f32, _t: &TermNumbers) -> f32 {
        0.0
    }
    /// Whether there is a gradient. A constraint, whose factor in the value is infinite, has none.
    fn has_gradient(p: Parameters) -> bool {
        Self::weights(p).iter().all(|weight| weight.is_finite())
    }
    /// ∂R/∂θ, 0 at a kink; never asked for where there is none.
    fn gradient(_theta: f32, _c: &Numbers) -> f32 {
        0.0
    }
    /// The limits of the gradient as θ → −∞ and as θ → +∞; never asked for where there is none.
    fn gradient_limits(_c: &Numbers) -> [f32; 2] {
        [0.0; 2]
    }
    /// argmin over x of step·R(x) + ½(x − v)².
    fn prox(v: f32, c: &Numbers) -> f32;
    /// argmin over x of step·R(x) + d/2·(x − v)², with d > 0.
    fn metric_prox(v: f32, _d: f32, _c: &Numbers) -> f32 {
        v
    }
}

/// A penalty as [`Penalty::named`] knows it.
#[derive(Debug, Clone, Copy)]
pub struct Named {
    /// Its name, such as `mcp`.
    pub name: &'static str,
    /// What its parameters are called, in the order of its constructor.
    pub parameters: &'static [&'static str],
    /// R(θ), in a line.
    pub formula: &'static str,
    /// Takes as many numbers as there are parameters.
    pub(crate) new: fn(&[f64]) -> Result<Penalty>,
}

/// A formula's functions that are not run for each weight.
pub(crate) struct Host {
    pub(crate) sums_terms: bool,
    pub(crate) rule: Option<Rule>,
    pub(crate) weighted: bool,
    pub(crate) named: &'static [Named],
    pub(crate) name: &'static str,
    pub(crate) weights: fn(Parameters) -> [f64; 3],
    pub(crate) has_gradient: fn(Parameters) -> bool,
    pub(crate) on: fn(Parameters, Dtype) -> Parameters,
    pub(crate) amount: fn(Parameters, f64) -> f64,
    pub(crate) term_numbers: fn(Parameters) -> [f64; 3],
    pub(crate) gradient_numbers: fn(Parameters) -> [f64; 5],
    pub(crate) prox_numbers: fn(Parameters, f64) -> Result<[f64; 5]>,
    pub(crate) metric_numbers: fn(Parameters, f64) -> Result<[f64; 5]>,
}

impl Host {
    pub(crate) const fn of<F: Formula>() -> Host {
        Host {
            sums_terms: F::SUMS_TERMS,
            rule: F::RULE,
            weighted: F::WEIGHTED,
            named: F::NAMED,
            name: F::NAME,
            weights: F::weights,
            has_gradient: F::has_gradient,
            on: F::on,
            amount: F::amount,
            term_numbers: F::term_numbers,
            gradient_numbers: F::gradient_numbers,
            prox_numbers: F::prox_numbers,
            metric_numbers: F::metric_numbers,
        }
    }
}

/// Declares the formula files, and what is found by a formula's kind.
macro_rules! formulas {
    ($($kind:ident in $file:ident,)*) => {
        $(pub(crate) mod $file;)*

        /// Which formula a penalty is of; part of a kernel's key.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) enum Kind {
            $($kind,)*
            Own(&'static OwnFormula),
        }

        impl Kind {
            /// The built-in ones.
            pub(crate) const ALL: &'static [Kind] = &[$(Kind::$kind),*];

            pub(crate) fn host(self) -> &'static Host {
                match self {
                    $(Kind::$kind => const { &Host::of::<$file::$kind>() },)*
                    Kind::Own(own) => &own.host,
                }
            }

            /// The loops over weights in host memory.
            pub(crate) fn loops(self) -> &'static Loops {
                match self {
                    $(Kind::$kind => const { &Loops::of::<$file::$kind>() },)*
                    Kind::Own(own) => &own.loops,
                }
            }

            /// The twin's source.
            pub(crate) fn wgsl(self) -> String {
                match self {
                    $(Kind::$kind => include_str!(concat!("../shaders/penalty/", stringify!($file), ".wgsl")).into(),)*
                    Kind::Own(own) => [own.wgsl, include_str!("../shaders/own.wgsl")].join("\n"),
                }
            }
        }
    };
}
pub(crate) use formulas;

/// Rounds once to `f32`: at most its largest, and 0 below 2^-120, as every number is that a kernel reads.
pub(crate) fn coefficient(x: f64) -> f32 {
    let c = (x as f32).clamp(-f32::MAX, f32::MAX);
    if c.abs() < SMALLEST { 0.0 } else { c }
}
