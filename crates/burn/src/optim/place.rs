//! The optimizer of a whole module, by rules, and where its steps run.

use std::num::NonZeroU64;

use burn_core::module::{Module, ParamGroup};
use burn_optim::grad_clipping::GradientClippingConfig;
use burn_optim::{ModuleOptimizer, Optimizer};
use penalty::Penalty;

use super::statistics::{Cell, Statistics};
use super::tensor::Proximal;
#[cfg(feature = "wgpu")]
use crate::Wgpu;
use crate::rules::Assigned;
use crate::{Error, Rules};

/// The settings of an optimizer.
pub(super) trait Settings {
    type Optimizer: Optimizer;

    fn clipping(&self) -> Option<&GradientClippingConfig>;

    /// Every how many steps the weights are reported, if at all.
    fn report_every(&self) -> Option<NonZeroU64>;

    /// The optimizer of one parameter.
    fn of(&self, proximal: Proximal) -> Result<Self::Optimizer, Error>;
}

/// Where the steps of a module run.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    #[cfg(feature = "wgpu")]
    pub(super) wgpu: Option<Wgpu>,
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

    /// An optimizer whose groups are the penalized parameters, and what its steps report.
    pub(super) fn module_optimizer<M: Module>(
        &self,
        settings: &impl Settings,
        rules: &Rules,
        module: &M,
    ) -> Result<(ModuleOptimizer, Statistics), Error> {
        let clipping = || settings.clipping().map(GradientClippingConfig::init);
        let others = Cell::new("parameters without a penalty", None);
        let mut optimizer = ModuleOptimizer::from(settings.of(self.proximal(Penalty::none(), others.clone()))?);
        if let Some(clipping) = clipping() {
            optimizer = optimizer.with_grad_clipping(clipping);
        }
        let mut cells = Vec::new();
        for Assigned { path, penalty, schedule, element_weights } in rules.assign(module)? {
            let cell = Cell::new(&path, settings.report_every());
            let proximal = self.proximal(penalty, cell.clone());
            let parameter = settings.of(Proximal { schedule, element_weights, ..proximal })?;
            optimizer = optimizer.with_group(ParamGroup::from_path(path), parameter, clipping());
            cells.push(cell);
        }
        cells.push(others);
        Ok((optimizer, Statistics::new(cells)))
    }
}
