//! One tensor at a time in the caller's encoder. For many tensors there is [`ParameterSet`](super::ParameterSet).

use super::device::Gpu;
use super::operand::Operand;
use super::pending::{Pending, report};
use super::recorder::{Step, SummedOperation};
use super::reuse::Single;
#[cfg(doc)]
use crate::Penalty;
use crate::penalty::element_weights::Weighted;
use crate::penalty::sum::Terms;
use crate::plan::operands::{ELEMENT_WEIGHTS, GRADIENT, WEIGHTS, same_shape};
use crate::plan::operation::Operation;
use crate::plan::{Name, Segment};
use crate::report::Report;
use crate::{Error, Result};

impl Gpu {
    /// Records the evaluation of weights on the device. The report stays there until you ask the [`Pending`] for it,
    /// after the encoder was submitted.
    ///
    /// A [weighted](Penalty::is_weighted) penalty comes [with its element weights](Penalty::with_operand), here and in
    /// the other calls. Calls for values and gradients also take a [`Sum`](crate::Sum).
    ///
    /// ```no_run
    /// # use penalty::gpu::Operand;
    /// # use penalty::{Gpu, Penalty, wgpu};
    /// # fn recorded(gpu: &Gpu, encoder: &mut wgpu::CommandEncoder, weights: Operand) -> penalty::Result<()> {
    /// let pending = gpu.record_evaluate(encoder, &Penalty::l1(0.1)?, &weights)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Operand`] if the range breaks a rule of [`Operand`]. [`Error::Device`] if memory cannot be allocated.
    /// [`Error::ElementWeights`] if a weighted penalty has no element weights. [`Error::Operand`], [`Error::Overlap`],
    /// [`Error::Length`] and [`Error::Type`] if the element weights break a rule, overlap another operand, or differ in
    /// length or type. [`Error::Unchecked`] if a [`custom`](Penalty::custom) penalty was not [checked](Gpu::check) on
    /// this device. After an error, nothing is recorded.
    #[doc = include_str!("../../docs/encoder.md")]
    pub fn record_evaluate<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        penalty: impl Into<Terms<'a, Operand<'a>>>,
        weights: &Operand<'_>,
    ) -> Result<Pending<Report>> {
        let operands = (weights, None);
        self.record_single(encoder, (Operation::Evaluate, true), penalty.into(), operands, 0.0)
    }

    /// Records `gradient = ∂R/∂θ`.
    ///
    /// ```no_run
    /// # use penalty::gpu::Operand;
    /// # use penalty::{Gpu, Penalty, wgpu};
    /// # fn recorded(gpu: &Gpu, encoder: &mut wgpu::CommandEncoder, weights: Operand, gradient: Operand) -> penalty::Result<()> {
    /// gpu.record_gradient_into(encoder, &Penalty::l2_squared(0.1)?, &weights, &gradient)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoGradient`] if the penalty [has none](Penalty::has_gradient). [`Error::Operand`] if a range breaks a
    /// rule of [`Operand`]. [`Error::Overlap`] if the two overlap. [`Error::Length`] and [`Error::Type`] if they differ
    /// in length or type. [`Error::Device`] if memory cannot be allocated. After an error, nothing is recorded. For
    /// weighted and custom penalties, see [`record_evaluate`](Gpu::record_evaluate).
    #[doc = include_str!("../../docs/encoder.md")]
    pub fn record_gradient_into<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        penalty: impl Into<Terms<'a, Operand<'a>>>,
        weights: &Operand<'_>,
        gradient: &Operand<'_>,
    ) -> Result<()> {
        let operands = (weights, Some(gradient));
        self.record_single(encoder, (Operation::Gradient, false), penalty.into(), operands, 0.0).map(drop)
    }

    /// Records `gradient += ∂R/∂θ`. With [`Penalty::none`], every bit stays.
    ///
    /// ```no_run
    /// # use penalty::gpu::Operand;
    /// # use penalty::{Gpu, Penalty, wgpu};
    /// # fn recorded(gpu: &Gpu, encoder: &mut wgpu::CommandEncoder, weights: Operand, gradient: Operand) -> penalty::Result<()> {
    /// gpu.record_gradient_add(encoder, &Penalty::l1(0.1)?, &weights, &gradient)?; // the loss's gradient
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`record_gradient_into`](Gpu::record_gradient_into).
    #[doc = include_str!("../../docs/encoder.md")]
    pub fn record_gradient_add<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        penalty: impl Into<Terms<'a, Operand<'a>>>,
        weights: &Operand<'_>,
        gradient: &Operand<'_>,
    ) -> Result<()> {
        let operands = (weights, Some(gradient));
        self.record_single(encoder, (Operation::AddGradient, false), penalty.into(), operands, 0.0).map(drop)
    }

    /// Records the evaluation and `gradient = ∂R/∂θ`, from one read of the weights.
    ///
    /// ```no_run
    /// # use penalty::gpu::Operand;
    /// # use penalty::{Gpu, Penalty, wgpu};
    /// # fn recorded(gpu: &Gpu, encoder: &mut wgpu::CommandEncoder, weights: Operand, gradient: Operand) -> penalty::Result<()> {
    /// let huber = Penalty::huber(0.1, 1.0)?;
    /// let pending = gpu.record_evaluate_and_gradient_into(encoder, &huber, &weights, &gradient)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`record_gradient_into`](Gpu::record_gradient_into).
    #[doc = include_str!("../../docs/encoder.md")]
    pub fn record_evaluate_and_gradient_into<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        penalty: impl Into<Terms<'a, Operand<'a>>>,
        weights: &Operand<'_>,
        gradient: &Operand<'_>,
    ) -> Result<Pending<Report>> {
        let operands = (weights, Some(gradient));
        self.record_single(encoder, (Operation::Gradient, true), penalty.into(), operands, 0.0)
    }

    /// Records the evaluation and `gradient += ∂R/∂θ`, from one read of the weights.
    ///
    /// ```no_run
    /// # use penalty::gpu::Operand;
    /// # use penalty::{Gpu, Penalty, wgpu};
    /// # fn recorded(gpu: &Gpu, encoder: &mut wgpu::CommandEncoder, weights: Operand, gradient: Operand) -> penalty::Result<()> {
    /// let l1 = Penalty::l1(0.1)?;
    /// let pending = gpu.record_evaluate_and_gradient_add(encoder, &l1, &weights, &gradient)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`record_gradient_into`](Gpu::record_gradient_into).
    #[doc = include_str!("../../docs/encoder.md")]
    pub fn record_evaluate_and_gradient_add<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        penalty: impl Into<Terms<'a, Operand<'a>>>,
        weights: &Operand<'_>,
        gradient: &Operand<'_>,
    ) -> Result<Pending<Report>> {
        let operands = (weights, Some(gradient));
        self.record_single(encoder, (Operation::AddGradient, true), penalty.into(), operands, 0.0)
    }

    /// Records `θ = prox(θ)` with this step. With [`Penalty::none`], every bit stays.
    ///
    /// ```no_run
    /// # use penalty::gpu::Operand;
    /// # use penalty::{Gpu, Penalty, wgpu};
    /// # fn recorded(gpu: &Gpu, encoder: &mut wgpu::CommandEncoder, weights: Operand) -> penalty::Result<()> {
    /// gpu.record_prox_in_place(encoder, &Penalty::l1(0.1)?, &weights, 0.01)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] if the step is not a number ≥ 0 or is too large. [`Error::Operand`] if the range breaks a
    /// rule of [`Operand`]. [`Error::Device`] if memory cannot be allocated. After an error, nothing is recorded. For
    /// weighted and custom penalties, see [`record_evaluate`](Gpu::record_evaluate).
    #[doc = include_str!("../../docs/encoder.md")]
    pub fn record_prox_in_place<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        penalty: impl Into<Weighted<'a, Operand<'a>>>,
        weights: &Operand<'_>,
        step: f64,
    ) -> Result<()> {
        self.record_single(encoder, (Operation::Prox, false), Terms::from(penalty.into()), (weights, None), step)
            .map(drop)
    }

    /// Records the prox and the evaluation of the new weights, from one read.
    ///
    /// ```no_run
    /// # use penalty::gpu::Operand;
    /// # use penalty::{Gpu, Penalty, wgpu};
    /// # fn recorded(gpu: &Gpu, encoder: &mut wgpu::CommandEncoder, weights: Operand) -> penalty::Result<()> {
    /// let l1 = Penalty::l1(0.1)?;
    /// let pending = gpu.record_prox_and_evaluate_in_place(encoder, &l1, &weights, 0.01)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`record_prox_in_place`](Gpu::record_prox_in_place).
    #[doc = include_str!("../../docs/encoder.md")]
    pub fn record_prox_and_evaluate_in_place<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        penalty: impl Into<Weighted<'a, Operand<'a>>>,
        weights: &Operand<'_>,
        step: f64,
    ) -> Result<Pending<Report>> {
        self.record_single(encoder, (Operation::Prox, true), Terms::from(penalty.into()), (weights, None), step)
    }

    /// Records one operation for each term. A gradient after the first is added.
    fn record_single<'a>(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        (operation, sums): SummedOperation,
        terms: Terms<'a, Operand<'a>>,
        (weights, gradient): (&Operand<'_>, Option<&Operand<'_>>),
        step: f64,
    ) -> Result<Pending<Report>> {
        weights.validate(WEIGHTS)?;
        if let Some(gradient) = gradient {
            gradient.validate(GRADIENT)?;
            same_shape(GRADIENT, (weights.len, weights.dtype), (gradient.len, gradient.dtype))?;
        }
        let segment = Segment { name: Name::Alone, len: weights.len, dtype: weights.dtype };
        let step = Step { size: step, ..Step::NONE };
        let mut singles = Vec::with_capacity(1);
        let (first, more) = terms.list();
        for (at, term) in std::iter::once(first).chain(more).enumerate() {
            let operation = match operation {
                Operation::Gradient if at > 0 => Operation::AddGradient,
                _ => operation,
            };
            let (penalty, element_weights) = term.parts()?;
            self.checked(penalty)?;
            if let Some(element_weights) = element_weights {
                element_weights.validate(ELEMENT_WEIGHTS)?;
                let found = (element_weights.len, element_weights.dtype);
                same_shape(ELEMENT_WEIGHTS, (weights.len, weights.dtype), found)?;
            }
            let operands = [(WEIGHTS, Some(weights)), (GRADIENT, gradient), (ELEMENT_WEIGHTS, element_weights)];
            let given = operands.into_iter().filter_map(|(name, operand)| Some((name, operand?)));
            Operand::apart(&given.collect::<Vec<_>>())?;

            let output = (operation != Operation::Evaluate).then(|| gradient.unwrap_or(weights).located());
            let operands = [Some(weights.located()), output, element_weights.map(Operand::located)];
            singles.push(Single::new(self, (operation, sums), (segment.clone(), penalty), &operands, &step)?);
        }
        let mut recorded = singles.into_iter().map(|single| single.record(self, encoder, &step));
        let first = recorded.next().unwrap_or(Err(Error::Sum { found: "no penalty" }))?;
        Ok(Pending::new(first, report).and(recorded.collect::<Result<Vec<_>>>()?))
    }
}
