//! What an optimizer does with each parameter of a module, by rules, and where its steps run.

use std::num::NonZeroU64;

use burn_core::module::{Module, ParamGroup};
use burn_optim::grad_clipping::GradientClippingConfig;
use burn_optim::{ModuleOptimizer, Optimizer};
use penalty::Penalty;

use super::statistics::{Cell, Statistics};
use super::tensor::Proximal;
#[cfg(feature = "wgpu")]
use crate::Wgpu;
use crate::error::cause;
use crate::host::accept;
use crate::rules::Assigned;
use crate::runner::Step;
use crate::walk::{self, Found};
use crate::{Error, Rules};

/// The settings of an optimizer.
pub(super) trait Settings {
    type Optimizer: Optimizer;

    fn clipping(&self) -> Option<&GradientClippingConfig>;

    /// Every how many steps the weights are reported, if at all.
    fn report_every(&self) -> Option<NonZeroU64>;

    /// The numbers of each step; its own learning rate and iteration replace these.
    fn numbers(&self) -> Step;

    /// The optimizer of one parameter.
    fn of(numbers: Step, proximal: Proximal) -> Self::Optimizer;
}

/// Where the steps of a module run.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    #[cfg(feature = "wgpu")]
    pub(super) wgpu: Option<Wgpu>,
}

/// What an optimizer does with the parameters of a module.
#[derive(Debug)]
pub(super) struct Assignment {
    /// One for each parameter, in the module's order; `None` if it has no penalty.
    pub(super) parameters: Vec<Option<Proximal>>,
    /// For those without a penalty.
    pub(super) others: Proximal,
}

impl Assignment {
    pub(super) fn statistics(&self) -> Statistics {
        let cells = self.parameters.iter().flatten().chain([&self.others]);
        Statistics::new(cells.map(|proximal| proximal.cell.clone()).collect())
    }
}

impl Place {
    pub(super) fn proximal(&self, penalty: Penalty, cell: Cell) -> Proximal {
        Proximal {
            penalty,
            schedule: None,
            element_weights: None,
            cell,
            #[cfg(feature = "wgpu")]
            wgpu: self.wgpu.clone(),
        }
    }

    /// What the rules say about these parameters. A parameter without a prox in the step's metric is rejected.
    pub(super) fn assign(
        &self,
        (numbers, report_every): (&Step, Option<NonZeroU64>),
        rules: &Rules,
        found: &[Found],
    ) -> Result<Assignment, Error> {
        let others = self.proximal(Penalty::none(), Cell::new("parameters without a penalty", None));
        others.admits(numbers)?;
        let proximal = |Assigned { path, penalty, schedule, element_weights }: Assigned| {
            let proximal = self.proximal(penalty, Cell::new(&path, report_every));
            let proximal = Proximal { schedule, element_weights, ..proximal };
            proximal.admits(numbers).map(|()| proximal)
        };
        let assigned = rules.assign(found)?.into_iter();
        let parameters = assigned.map(|assigned| assigned.map(proximal).transpose()).collect::<Result<_, Error>>()?;
        Ok(Assignment { parameters, others })
    }

    /// An optimizer whose groups are the penalized parameters, and what its steps report.
    pub(super) fn module_optimizer<S: Settings, M: Module>(
        &self,
        settings: &S,
        rules: &Rules,
        module: &M,
    ) -> Result<(ModuleOptimizer, Statistics), Error> {
        let numbers = settings.numbers();
        let assignment = self.assign((&numbers, settings.report_every()), rules, &walk::survey(module))?;
        let statistics = assignment.statistics();
        let clipping = || settings.clipping().map(GradientClippingConfig::init);
        let mut optimizer = ModuleOptimizer::from(S::of(numbers, assignment.others));
        if let Some(clipping) = clipping() {
            optimizer = optimizer.with_grad_clipping(clipping);
        }
        for proximal in assignment.parameters.into_iter().flatten() {
            let group = ParamGroup::from_path(proximal.cell.path());
            optimizer = optimizer.with_group(group, S::of(numbers, proximal), clipping());
        }
        Ok((optimizer, statistics))
    }
}

impl Proximal {
    /// The optimizer of one parameter group.
    pub(super) fn optimizer<S: Settings>(self, settings: &S) -> Result<S::Optimizer, Error> {
        let numbers = settings.numbers();
        self.admits(&numbers)?;
        Ok(S::of(numbers, self))
    }

    /// Rejects numbers out of range and a penalty without a prox in the step's metric.
    fn admits(&self, numbers: &Step) -> Result<(), Error> {
        accept((self.cell.path(), &Penalty::none()), numbers)?;
        match accept((self.cell.path(), &self.penalty), numbers) {
            Err(Error::Penalty(error)) if matches!(cause(&error), penalty::Error::NoMetricProx { .. }) => {
                Err(error.into())
            }
            // What else is wrong depends on the weights.
            _ => Ok(()),
        }
    }
}
