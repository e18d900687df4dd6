//! What each loop does with a weight: for any weight, and in fewer instructions for a finite one.

use std::marker::PhantomData;

use super::{Coefficients, Formula, TermCoefficients, pointwise};
use crate::numeric::bits;

/// What a loop does with each weight, given by its bits. `old` are those that the output holds.
pub(super) trait Visit<const N: usize> {
    type Formula: Formula;
    /// Whether the output's old value counts.
    const READS: bool = false;

    /// For any weight and any old value.
    fn any(from: u32, old: u32, c: &[f32; N]) -> u32;
    /// For finite ones, as nearly all are: the same in fewer instructions.
    fn finite(from: u32, old: u32, c: &[f32; N]) -> u32;
    /// Which short form holds with these coefficients.
    #[inline(always)]
    fn form(_c: &[f32; N]) -> Form {
        Form::Any
    }
    /// For finite ones, in still fewer instructions.
    #[inline(always)]
    fn short(from: u32, old: u32, c: &[f32; N]) -> u32 {
        Self::finite(from, old, c)
    }
    /// For finite ones, in the fewest instructions.
    #[inline(always)]
    fn shortest(from: u32, old: u32, c: &[f32; N]) -> u32 {
        Self::finite(from, old, c)
    }
}

/// Which form of a function a loop takes for finite weights.
pub(super) enum Form {
    Any,
    Short,
    Shortest,
}

impl Form {
    /// That of a formula's gradient.
    #[inline(always)]
    fn of_gradient<F: Formula>(c: &Coefficients) -> Form {
        if F::has_sign_gradient(c) { Form::Shortest } else { Form::short_if(F::has_short_gradient(c)) }
    }

    #[inline(always)]
    fn short_if(holds: bool) -> Form {
        if holds { Form::Short } else { Form::Any }
    }
}

pub(super) struct Gradient<F>(PhantomData<F>);

impl<F: Formula> Visit<5> for Gradient<F> {
    type Formula = F;
    #[inline(always)]
    fn any(theta: u32, _: u32, c: &Coefficients) -> u32 {
        pointwise::gradient::<F>(theta, c)
    }
    #[inline(always)]
    fn finite(theta: u32, _: u32, c: &Coefficients) -> u32 {
        pointwise::finite_gradient::<F>(theta, c)
    }
    #[inline(always)]
    fn form(c: &Coefficients) -> Form {
        Form::of_gradient::<F>(c)
    }
    #[inline(always)]
    fn short(theta: u32, _: u32, c: &Coefficients) -> u32 {
        F::short_gradient(theta, c)
    }
    #[inline(always)]
    fn shortest(theta: u32, _: u32, c: &Coefficients) -> u32 {
        pointwise::sign_gradient(theta, c)
    }
}

pub(super) struct AddGradient<F>(PhantomData<F>);

impl<F: Formula> Visit<5> for AddGradient<F> {
    type Formula = F;
    const READS: bool = true;
    #[inline(always)]
    fn any(theta: u32, existing: u32, c: &Coefficients) -> u32 {
        bits::add(existing, pointwise::gradient::<F>(theta, c))
    }
    #[inline(always)]
    fn finite(theta: u32, existing: u32, c: &Coefficients) -> u32 {
        bits::add_finite_gradient(existing, pointwise::finite_gradient::<F>(theta, c))
    }
    #[inline(always)]
    fn form(c: &Coefficients) -> Form {
        Form::of_gradient::<F>(c)
    }
    #[inline(always)]
    fn short(theta: u32, existing: u32, c: &Coefficients) -> u32 {
        bits::add_large_gradient(existing, F::short_gradient(theta, c))
    }
    #[inline(always)]
    fn shortest(theta: u32, existing: u32, c: &Coefficients) -> u32 {
        bits::add_large_gradient(existing, pointwise::sign_gradient(theta, c))
    }
}

pub(super) struct Prox<F>(PhantomData<F>);

impl<F: Formula> Visit<5> for Prox<F> {
    type Formula = F;
    #[inline(always)]
    fn any(v: u32, _: u32, c: &Coefficients) -> u32 {
        pointwise::prox::<F>(v, c)
    }
    #[inline(always)]
    fn finite(v: u32, _: u32, c: &Coefficients) -> u32 {
        pointwise::finite_prox::<F>(v, c)
    }
    #[inline(always)]
    fn form(c: &Coefficients) -> Form {
        Form::short_if(F::has_short_prox(c))
    }
    #[inline(always)]
    fn short(v: u32, _: u32, c: &Coefficients) -> u32 {
        F::short_prox(v, c)
    }
}

/// The source is the metric, and the output's old value the weight.
pub(super) struct MetricProx<F>(PhantomData<F>);

impl<F: Formula> Visit<5> for MetricProx<F> {
    type Formula = F;
    const READS: bool = true;
    #[inline(always)]
    fn any(d: u32, v: u32, c: &Coefficients) -> u32 {
        pointwise::metric_prox::<F>(v, f32::from_bits(d), c)
    }
    #[inline(always)]
    fn finite(d: u32, v: u32, c: &Coefficients) -> u32 {
        pointwise::finite_metric_prox::<F>(v, f32::from_bits(d), c)
    }
    #[inline(always)]
    fn form(c: &Coefficients) -> Form {
        Form::short_if(F::has_short_metric_prox(c))
    }
    #[inline(always)]
    fn short(d: u32, v: u32, c: &Coefficients) -> u32 {
        F::short_metric_prox(v, f32::from_bits(d), c)
    }
}

pub(super) struct Term<F>(PhantomData<F>);

impl<F: Formula> Visit<3> for Term<F> {
    type Formula = F;
    #[inline(always)]
    fn any(theta: u32, _: u32, t: &TermCoefficients) -> u32 {
        pointwise::term::<F>(theta, t).to_bits()
    }
    #[inline(always)]
    fn finite(theta: u32, _: u32, t: &TermCoefficients) -> u32 {
        pointwise::finite_term::<F>(theta, t).to_bits()
    }
}
