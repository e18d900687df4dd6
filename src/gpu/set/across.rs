//! A set on a device, whose tensors are spread over ranks.

use std::sync::Arc;

use super::pass::{
    EVALUATE, EVALUATE_AND_GRADIENT_ADD, EVALUATE_AND_GRADIENT_INTO, GRADIENT_ADD, GRADIENT_INTO, PROX,
    PROX_AND_EVALUATE,
};
use super::recorders::Recorders;
use crate::formula::rule::{Purpose, Rule};
use crate::gpu::device::Gpu;
use crate::gpu::limits::at_least;
use crate::gpu::lists::Operands;
use crate::gpu::operand::Located;
use crate::gpu::passes;
use crate::gpu::placement::Placement;
use crate::gpu::readback::Recorded;
use crate::gpu::recorder::{Recorder, Step, SummedOperation};
use crate::gpu::wait::WaitMode;
use crate::numeric::accumulator::Sums;
use crate::penalty::groups::Groups;
use crate::plan::budget::Budget;
use crate::plan::coefficients::{CoefficientRecord, coefficients};
use crate::plan::operation::Part;
use crate::plan::optimizer::{Adam, Sgd};
use crate::plan::parameter::Parameter;
use crate::plan::penalties::Penalties;
use crate::plan::ranks::Ranks;
use crate::plan::{Plan, Segment};
use crate::report::partial::Partial;
use crate::report::reports::Reports;
use crate::transport::{Across, Transport};
use crate::{Error, Penalty, Result};
#[cfg(doc)]
use crate::{HostSet, gpu::ParameterSet};

/// Many tensors of which this rank has parts on a device, and other ranks on theirs or on CPUs. It has the calls of
/// [`HostSet::across`], exchanges the same messages, and gives the same bits.
///
/// Unlike a [`ParameterSet`], it submits its work itself, and a call that reports waits for the device and the other ranks.
/// A group that is spread over ranks is reduced in passes, and after each of them the host adds up what all ranks have found.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use penalty::exact::Transport;
/// use penalty::gpu::{Operand, Operands, SetAcross};
/// use penalty::{Gpu, Parameter, Penalty, Result};
///
/// fn shrink(gpu: &Gpu, transport: Arc<dyn Transport>, cuts: Vec<u64>, part: Operand) -> Result<f64> {
///     let parameters = vec![Parameter::new("weight", Penalty::l1_ball(10.0)?)];
///     let operands = Operands { weights: &[part], ..Operands::default() };
///     let mut set = SetAcross::new(gpu, parameters, &operands, transport, vec![cuts])?;
///     Ok(set.prox_and_evaluate_in_place(1.0)?.total.l1) // of all ranks: at most 10
/// }
/// ```
#[derive(Debug)]
pub struct SetAcross {
    set: Parts,
    /// The two passes of sums of penalties, once a call needs them, and the versions of penalties and operands that they
    /// have.
    stages: Option<([Parts; 2], (u64, u64))>,
    ranks: Ranks,
}

impl SetAcross {
    /// A set of these tensors, of which the operands are this rank's parts; empty ones are allowed. `cuts` are those of
    /// [`HostSet::across`]. Nothing compares them with those of other ranks; `Layout::set_on` of `penalty-mpi` does.
    ///
    /// The example of [`SetAcross`] shows its use.
    ///
    /// ```no_run
    /// # use std::sync::Arc;
    /// # use penalty::gpu::{Operands, SetAcross};
    /// # use penalty::{Gpu, Parameter, exact::Transport};
    /// # fn f(gpu: &Gpu, p: Vec<Parameter>, o: &Operands, t: Arc<dyn Transport>, cuts: Vec<Vec<u64>>) -> penalty::Result<()> {
    /// let set = SetAcross::new(gpu, p, o, t, cuts)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`ParameterSet::new`] and [`HostSet::across`].
    pub fn new(
        gpu: &Gpu,
        parameters: Vec<Parameter>,
        operands: &Operands<'_>,
        transport: Arc<dyn Transport>,
        cuts: Vec<Vec<u64>>,
    ) -> Result<SetAcross> {
        let recorders = Recorders::new(gpu, parameters, operands, 1)?;
        let segments = recorders.plan.segments.iter().cloned();
        let ranks = Ranks::new(transport, cuts, segments.zip(recorders.penalties.list()))?;
        Ok(SetAcross { set: Parts { recorders, kept: Vec::new() }, stages: None, ranks })
    }

    /// Each tensor's name and penalty, as [`ParameterSet::penalties_mut`]. All ranks must change them alike.
    ///
    /// ```no_run
    /// # fn f(set: &mut penalty::gpu::SetAcross) -> penalty::Result<()> {
    /// for (name, penalty) in set.penalties_mut() {
    ///     *penalty = penalty::Penalty::l1(1e-4)?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn penalties_mut(&mut self) -> impl Iterator<Item = (&str, &mut Penalty)> {
        let Recorders { plan, penalties, .. } = &mut self.set.recorders;
        plan.segments.iter().map(Segment::name).zip(penalties.list_mut())
    }

    /// Gives the set other operands, as [`ParameterSet::rebind`].
    ///
    /// ```no_run
    /// # use penalty::gpu::{Operand, Operands};
    /// # fn f(set: &mut penalty::gpu::SetAcross, weights: &[Operand]) -> penalty::Result<()> {
    /// set.rebind(&Operands { weights, ..Operands::default() })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](SetAcross::new). After an error, the set keeps the operands that it had.
    pub fn rebind(&mut self, operands: &Operands<'_>) -> Result<()> {
        self.set.recorders.rebind(operands)
    }

    /// A report for each tensor of all ranks, and the total.
    ///
    /// ```no_run
    /// # fn f(set: &mut penalty::gpu::SetAcross) -> penalty::Result<()> {
    /// let reports = set.evaluate()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] unless there is an operand for each tensor. [`Error::InParameter`] if a part has another length
    /// than the cuts say, or a penalty's groups do not cover its tensor; with an [`Error::Limit`] if a group that is spread
    /// over ranks has 2^32 weights or more. [`Error::Ranks`] if ranks differ in the call or its penalties, and the
    /// transport's. [`Error::Device`] and [`Error::Timeout`] if the device fails: then the others wait as long as the
    /// transport lets them.
    pub fn evaluate(&mut self) -> Result<Reports> {
        self.run(EVALUATE, &Step::NONE)
    }

    /// `gradient = ∂R/∂θ` for every part.
    ///
    /// ```no_run
    /// # fn f(set: &mut penalty::gpu::SetAcross) -> penalty::Result<()> {
    /// set.gradient_into()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`evaluate`](SetAcross::evaluate). [`Error::InParameter`] also if a penalty has no gradient.
    pub fn gradient_into(&mut self) -> Result<()> {
        self.run(GRADIENT_INTO, &Step::NONE).map(drop)
    }

    /// `gradient += ∂R/∂θ` for every part.
    ///
    /// ```no_run
    /// # fn f(set: &mut penalty::gpu::SetAcross) -> penalty::Result<()> {
    /// set.gradient_add()?; // to the loss's gradient
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`gradient_into`](SetAcross::gradient_into).
    pub fn gradient_add(&mut self) -> Result<()> {
        self.run(GRADIENT_ADD, &Step::NONE).map(drop)
    }

    /// `gradient = ∂R/∂θ` for every part, and the reports of all ranks.
    ///
    /// ```no_run
    /// # fn f(set: &mut penalty::gpu::SetAcross) -> penalty::Result<()> {
    /// let reports = set.evaluate_and_gradient_into()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`gradient_into`](SetAcross::gradient_into).
    pub fn evaluate_and_gradient_into(&mut self) -> Result<Reports> {
        self.run(EVALUATE_AND_GRADIENT_INTO, &Step::NONE)
    }

    /// `gradient += ∂R/∂θ` for every part, and the reports of all ranks.
    ///
    /// ```no_run
    /// # fn f(set: &mut penalty::gpu::SetAcross) -> penalty::Result<()> {
    /// let reports = set.evaluate_and_gradient_add()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`gradient_into`](SetAcross::gradient_into).
    pub fn evaluate_and_gradient_add(&mut self) -> Result<Reports> {
        self.run(EVALUATE_AND_GRADIENT_ADD, &Step::NONE)
    }

    /// `θ = prox(θ)` for every part, with this step.
    ///
    /// ```no_run
    /// # fn f(set: &mut penalty::gpu::SetAcross) -> penalty::Result<()> {
    /// set.prox_in_place(0.1)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] if the step is not a number ≥ 0 or is too large. [`Error::Ranks`] if a top-k over one tensor is
    /// spread over ranks: that needs its parts on CPUs. Otherwise as [`evaluate`](SetAcross::evaluate).
    pub fn prox_in_place(&mut self, step: f64) -> Result<()> {
        self.run(PROX, &Step { size: step, ..Step::NONE }).map(drop)
    }

    /// The prox, and the reports of the new weights of all ranks.
    ///
    /// ```no_run
    /// # fn f(set: &mut penalty::gpu::SetAcross) -> penalty::Result<()> {
    /// let reports = set.prox_and_evaluate_in_place(0.1)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`prox_in_place`](SetAcross::prox_in_place).
    pub fn prox_and_evaluate_in_place(&mut self, step: f64) -> Result<Reports> {
        self.run(PROX_AND_EVALUATE, &Step { size: step, ..Step::NONE })
    }

    /// A step of proximal gradient descent. [`Sgd`] has the formula.
    ///
    /// ```no_run
    /// # fn f(set: &mut penalty::gpu::SetAcross) -> penalty::Result<()> {
    /// set.sgd(&penalty::Sgd { step: 0.1, momentum: penalty::Momentum::None })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`prox_in_place`](SetAcross::prox_in_place). [`Error::Parameter`] also if the momentum is out of range.
    pub fn sgd(&mut self, sgd: &Sgd) -> Result<()> {
        self.run((sgd.operation(), false), &Step::sgd(sgd)?).map(drop)
    }

    /// The same, and the reports of the new weights of all ranks.
    ///
    /// ```no_run
    /// # fn f(set: &mut penalty::gpu::SetAcross) -> penalty::Result<()> {
    /// let reports = set.sgd_and_evaluate(&penalty::Sgd { step: 0.1, momentum: penalty::Momentum::None })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`sgd`](SetAcross::sgd).
    pub fn sgd_and_evaluate(&mut self, sgd: &Sgd) -> Result<Reports> {
        self.run((sgd.operation(), true), &Step::sgd(sgd)?)
    }

    /// A step of proximal Adam. [`Adam`] has the formula.
    ///
    /// ```no_run
    /// # fn f(set: &mut penalty::gpu::SetAcross) -> penalty::Result<()> {
    /// set.adam(&penalty::Adam::default())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`prox_in_place`](SetAcross::prox_in_place). [`Error::Parameter`] also if a parameter is out of range, and
    /// [`Error::InParameter`] if a penalty has no prox in the step's metric.
    pub fn adam(&mut self, adam: &Adam) -> Result<()> {
        self.run((adam.operation(), false), &Step::adam(adam)?).map(drop)
    }

    /// The same, and the reports of the new weights of all ranks.
    ///
    /// ```no_run
    /// # fn f(set: &mut penalty::gpu::SetAcross) -> penalty::Result<()> {
    /// let reports = set.adam_and_evaluate(&penalty::Adam::default())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`adam`](SetAcross::adam).
    pub fn adam_and_evaluate(&mut self, adam: &Adam) -> Result<Reports> {
        self.run((adam.operation(), true), &Step::adam(adam)?)
    }

    /// Prunes the weights of all ranks to a budget, and reports on what is left, as
    /// [`HostSet::prune_in_place`]. The host adds up counts of all ranks between three reads.
    ///
    /// ```no_run
    /// # fn f(set: &mut penalty::gpu::SetAcross) -> penalty::Result<()> {
    /// let reports = set.prune_in_place(&penalty::Budget::prune(0.9)?)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those that [`Budget::within`] names, [`Error::Limit`] as [`ParameterSet::record_prune_in_place`], and those of
    /// [`evaluate`](SetAcross::evaluate).
    pub fn prune_in_place(&mut self, budget: &Budget) -> Result<Reports> {
        self.set.accept(&self.ranks, EVALUATE, &Step::NONE)?;
        let gpu = self.set.recorders.gpu.clone();
        let pruning = self.set.recorders.pruning()?;
        self.ranks.agree_on_budget(budget, None)?;
        let (cuts, ties) = self.ranks.cuts(budget, |level, cuts| pruning.count(&gpu, level, cuts))?;
        pruning.clear(&gpu, &cuts, &ties)?;
        self.evaluate()
    }

    /// Runs a call. As on the CPU, sums of penalties take two passes, and then an evaluation.
    fn run(&mut self, pass: SummedOperation, step: &Step) -> Result<Reports> {
        let set = &self.set.recorders;
        let penalties = set.penalties.list();
        if !pass.0.takes_prox() || !penalties.iter().any(Penalty::is_sum) {
            let partials = self.set.run(&self.ranks, pass, step)?;
            return self.reports(pass, partials);
        }
        for (segment, penalty) in set.plan.segments.iter().zip(penalties) {
            segment.about(pass.0.admits_stages(penalty))?;
        }
        let of = (set.penalties.version(), set.generation());
        let (first, then): (Vec<_>, Vec<_>) = penalties.iter().map(Penalty::stages).map(|[a, b]| (a, b)).unzip();
        let (stages, kept) = self.stages.get_or_insert_with(|| {
            let stages = [first.clone(), then.clone()].map(|penalties| set.with_penalties(penalties));
            (stages.map(|recorders| Parts { recorders, kept: Vec::new() }), of)
        });
        if *kept != of {
            for (stage, penalties) in stages.iter_mut().zip([first, then]) {
                stage.recorders.follow(set, penalties, kept.1 != of.1);
            }
            *kept = of;
        }
        let [first, then] = stages;
        let prox = Step { size: step.size, ..Step::NONE };
        // All that may be rejected comes before the first pass.
        then.accept(&self.ranks, PROX, &prox)?;
        self.ranks.agree_on_call(pass, (step.size, &step.scalars), penalties)?;
        first.run(&self.ranks, (pass.0, false), step)?;
        let partials = then.run(&self.ranks, PROX, &prox)?;
        if pass.1 { self.run(EVALUATE, &Step::NONE) } else { self.reports(PROX, partials) }
    }

    fn reports(&self, (_, sums): SummedOperation, partials: Vec<Partial>) -> Result<Reports> {
        let partials = partials.into_iter().zip(self.set.recorders.penalties.list());
        match sums {
            true => Reports::of_all_ranks(&*self.ranks.transport, partials),
            false => Reports::of(partials),
        }
    }
}

/// A set's parts, and a recorder for each operation on each tensor that is spread and on all others.
#[derive(Debug)]
struct Parts {
    recorders: Recorders,
    kept: Vec<Kept>,
}

/// A recorder of some of the tensors.
#[derive(Debug)]
struct Kept {
    pass: SummedOperation,
    tensors: Vec<usize>,
    plan: Plan,
    penalties: Penalties,
    /// The version of the set's penalties that these are of, and the generation of its operands.
    of: (u64, u64),
    recorder: Recorder,
    /// The last step, if nobody has waited for it.
    last: Option<Recorded>,
}

impl Parts {
    /// All that can be rejected is rejected before anything is sent or written. Gives the coefficients.
    fn accept(
        &mut self,
        ranks: &Ranks,
        (operation, _): SummedOperation,
        step: &Step,
    ) -> Result<Vec<CoefficientRecord>> {
        self.recorders.check(operation)?;
        let (segments, penalties) = (&self.recorders.plan.segments, self.recorders.penalties.list());
        let whole = ranks.accept(segments, penalties)?;
        for (tensor, (segment, penalty)) in whole.iter().zip(penalties).enumerate() {
            segment.about(operation.admits_metric(penalty))?;
            if ranks.across(tensor, penalty).is_none() {
                continue;
            }
            segment.about(at_least("the largest length", "a group on several ranks", segment.len, u32::MAX.into()))?;
            if penalty.rule() == Some(Rule::Select) && operation.takes_prox() {
                let (rank, size) = (ranks.transport.rank(), ranks.transport.size());
                let problem = "expected the parts of a top-k over one tensor on CPUs, found one on a device".into();
                return segment.about(Err(Error::Ranks { rank, size, problem }));
            }
        }
        coefficients(&whole, penalties, operation, step.size)
    }

    /// Runs a call, and gives a partial for each tensor; without sums, none has weights.
    fn run(&mut self, ranks: &Ranks, pass: SummedOperation, step: &Step) -> Result<Vec<Partial>> {
        let coefficients = self.accept(ranks, pass, step)?;
        let Recorders { gpu, plan, penalties, .. } = &self.recorders;
        let (gpu, segments, penalties) = (gpu.clone(), plan.segments.clone(), penalties.list().to_vec());
        let (spread, rest): (Vec<usize>, Vec<usize>) =
            (0..segments.len()).partition(|&tensor| ranks.across(tensor, &penalties[tensor]).is_some());
        ranks.agree_on_call(pass, (step.size, &step.scalars), &penalties)?;
        let mut partials = vec![Partial::default(); segments.len()];
        // All ranks add up these groups in the set's order.
        for tensor in spread {
            let of = (&segments[tensor], &penalties[tensor]);
            let (mut sums, value) = match segments[tensor].len {
                0 => (Sums::default(), empty(ranks, pass, of, (tensor, &coefficients[tensor]))?),
                _ => {
                    let whole = ranks.len(tensor);
                    let Kept { plan, penalties, recorder, .. } = self.kept(pass, vec![tensor], Some(whole))?;
                    let across = (&*ranks.transport, whole);
                    let (recorded, value) = recorder.run_part(&gpu, (plan, penalties), step, across)?;
                    let partials = pollster::block_on(recorded.partials(WaitMode::Block(Gpu::TIMEOUT)))?;
                    (partials.into_iter().next().map(|(partial, _)| partial.sums().clone()).unwrap_or_default(), value)
                }
            };
            // What all ranks have found together counts once.
            if let Some(value) = value.filter(|_| ranks.transport.rank() == 0) {
                sums.add_terms(value.share, value.exponent);
            }
            partials[tensor] = Partial::new(sums, of.1, of.0.dtype);
        }
        if rest.iter().all(|tensor| segments[*tensor].len == 0) {
            return Ok(partials);
        }
        let Kept { plan, penalties: of_rest, recorder, last, .. } = self.kept(pass, rest.clone(), None)?;
        let wait = WaitMode::Block(Gpu::TIMEOUT);
        // It has the recorder's one slot.
        last.as_ref().map_or(Ok(()), |last| pollster::block_on(last.partials(wait)).map(drop))?;
        let recorded = gpu.submit(|gpu, encoder| recorder.record(gpu, encoder, (plan, of_rest), step, None))?;
        if pass.1 {
            let found = pollster::block_on(recorded.partials(wait))?;
            rest.into_iter().zip(found).for_each(|(tensor, (partial, _))| partials[tensor] = partial);
        } else {
            *last = Some(recorded);
        }
        Ok(partials)
    }

    /// The recorder of these tensors. If there is one, and it is a part of a group, `whole` is the group's length.
    fn kept(&mut self, pass: SummedOperation, tensors: Vec<usize>, whole: Option<u64>) -> Result<&mut Kept> {
        let set = &self.recorders;
        let of = (set.penalties.version(), set.generation());
        let penalty = |tensor: &usize| {
            let penalty = &set.penalties.list()[*tensor];
            // The group may be a run or a row that is longer than this part.
            if whole.is_some() { penalty.over(Groups::whole()) } else { Ok(penalty.clone()) }
        };
        let penalties = || tensors.iter().map(penalty).collect::<Result<Vec<_>>>();
        self.kept.retain(|kept| kept.of.1 == of.1);
        let at = match self.kept.iter().position(|kept| kept.pass == pass && kept.tensors == tensors) {
            Some(at) => at,
            None => {
                let plan = set.gpu.plan(tensors.iter().map(|tensor| set.plan.segments[*tensor].clone()).collect());
                let placement = set.placement(pass.0);
                let some = |list: &[Located]| tensors.iter().map(|tensor| list[*tensor].clone()).collect::<Vec<_>>();
                let roles = placement.roles.map(|list| list.map(some));
                let element_weights =
                    tensors.iter().map(|tensor| placement.element_weights.get(*tensor).cloned().flatten());
                let element_weights: Vec<_> = element_weights.collect();
                let placement = Placement {
                    roles: roles.each_ref().map(|list| list.as_deref()),
                    element_weights: &element_weights,
                };
                let penalties = Penalties::new(penalties()?);
                let recorder = Recorder::of_part(&set.gpu, pass, (&plan, &penalties), &placement, (1, 1), whole)?;
                self.kept.push(Kept { pass, tensors: tensors.clone(), plan, penalties, of, recorder, last: None });
                self.kept.len() - 1
            }
        };
        let kept = &mut self.kept[at];
        if kept.of != of {
            kept.penalties.list_mut().clone_from_slice(&penalties()?);
            kept.of = of;
        }
        Ok(kept)
    }
}

/// The part that a rank without weights has in the reductions of a group.
fn empty(
    ranks: &Ranks,
    (operation, sums): SummedOperation,
    of: (&Segment, &Penalty),
    (tensor, coefficients): (usize, &CoefficientRecord),
) -> Result<Option<crate::formula::group::Found>> {
    let mut value = None;
    for part in operation.parts(sums) {
        let Part::Find(purpose) = part else { continue };
        let across = Across::new(&*ranks.transport, ranks.len(tensor));
        let found = passes::find(purpose, of, coefficients, &across)?;
        if purpose == Purpose::Value {
            value = Some(found);
        }
    }
    Ok(value)
}
