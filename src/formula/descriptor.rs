//! A formula as a value: all that the layers below know about it.

use std::any::TypeId;
use std::fmt;
use std::hash::{Hash, Hasher};

use super::double::Double;
use super::loops::Loops;
use super::rule::Rule;
use super::symbol::{self, Separable};
use super::{Formula, Parameters, PerWeight, TermCoefficients, pointwise};
use crate::Result;
use crate::numeric::element::Dtype;

/// A formula: its functions of the parameters, its loops, and its WGSL. Descriptors of the same type are equal.
pub(crate) struct Descriptor {
    id: fn() -> TypeId,
    pub(crate) name: &'static str,
    /// Whether it belongs to a custom penalty.
    pub(crate) custom: bool,
    /// Its functions in WGSL, and the WGSL that these need beside them.
    pub(crate) wgsl: [&'static str; 2],
    pub(crate) sums_terms: bool,
    pub(crate) rule: Option<Rule>,
    pub(crate) weighted: bool,
    pub(crate) factors: fn(Parameters) -> [f64; 3],
    pub(crate) has_gradient: fn(Parameters) -> bool,
    pub(crate) on: fn(Parameters, Dtype) -> Parameters,
    pub(crate) bound: fn(Parameters, f64) -> f64,
    pub(crate) term_coefficients: fn(Parameters) -> [f64; 3],
    pub(crate) gradient_coefficients: fn(Parameters) -> [f64; 5],
    pub(crate) prox_coefficients: fn(Parameters, f64) -> Result<[f64; 5]>,
    pub(crate) metric_coefficients: fn(Parameters, f64) -> Result<[f64; 5]>,
    /// The loops over weights in host memory.
    pub(crate) loops: Loops,
    /// One weight's term in the term sum.
    pub(crate) term: fn(u32, &TermCoefficients) -> f32,
    /// Its functions in `f64`; `None` if the penalty has groups.
    pub(crate) double: Option<Double>,
    /// The prox in symbols; `None` if the penalty is not separable, or custom.
    pub(crate) prox_in_symbols: Option<symbol::Prox>,
}

impl Descriptor {
    /// The descriptor of a built-in formula with groups.
    pub(crate) const fn of<F: Formula + 'static>(wgsl: &'static str) -> Descriptor {
        Descriptor {
            id: TypeId::of::<F>,
            name: F::NAME,
            custom: false,
            wgsl: [wgsl, ""],
            sums_terms: F::SUMS_TERMS,
            rule: F::RULE,
            weighted: F::WEIGHTED,
            factors: F::factors,
            has_gradient: F::has_gradient,
            on: F::on,
            bound: F::bound,
            term_coefficients: F::term_coefficients,
            gradient_coefficients: F::gradient_coefficients,
            prox_coefficients: F::prox_coefficients,
            metric_coefficients: F::metric_coefficients,
            loops: Loops::of::<F>(),
            term: pointwise::term::<F>,
            double: None,
            prox_in_symbols: None,
        }
    }

    /// The descriptor of a built-in formula of a separable penalty.
    pub(crate) const fn separable<F: Separable + 'static>(wgsl: &'static str) -> Descriptor {
        let prox_in_symbols: Option<symbol::Prox> = Some(symbol::prox::<F>);
        Descriptor { double: Some(Double::of::<F>()), prox_in_symbols, ..Descriptor::of::<F>(wgsl) }
    }

    /// The descriptor of a custom penalty, whose WGSL needs `glue` beside it.
    pub(crate) const fn custom<F: Formula + PerWeight<f64> + 'static>(
        wgsl: &'static str,
        glue: &'static str,
    ) -> Descriptor {
        let double = Some(Double::of::<F>());
        Descriptor { custom: true, wgsl: [wgsl, glue], double, ..Descriptor::of::<F>(wgsl) }
    }

    /// The Rust type that it describes.
    pub(crate) fn id(&self) -> TypeId {
        (self.id)()
    }

    /// Sorts by name, so that the order is the same in every build. Types may share a name.
    fn key(&self) -> (&'static str, TypeId) {
        (self.name, self.id())
    }
}

impl fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Descriptor {
    fn eq(&self, other: &Descriptor) -> bool {
        // Mostly they are one and the same, which takes no calls.
        std::ptr::eq(self, other) || self.id() == other.id()
    }
}

impl Eq for Descriptor {}

impl Hash for Descriptor {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl PartialOrd for Descriptor {
    fn partial_cmp(&self, other: &Descriptor) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Descriptor {
    fn cmp(&self, other: &Descriptor) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}
