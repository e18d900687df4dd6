//! A penalty's prox in symbols.

use super::Penalty;
use crate::formula::Coefficients;
use crate::formula::expression::Input;
use crate::formula::scalars::Metric;
use crate::formula::symbol::{Graph, Prox, Symbol};
use crate::numeric::element::Dtype;
use crate::numeric::float::Float;
use crate::{Error, Result};

/// A prox at one step: one formula after the other, if the penalty is a sum.
pub(crate) struct ProxInSymbols(Vec<(Prox, Coefficients)>);

impl Penalty {
    /// The prox for weights of this type.
    pub(crate) fn prox_in_symbols(&self, step: f64, metric: Metric, dtype: Dtype) -> Result<ProxInSymbols> {
        if metric == Metric::Adam {
            self.admits_stages_in_metric()?;
        }
        let stages = if self.is_sum() { self.stages().to_vec() } else { vec![self.clone()] };
        let stage = |penalty: Penalty| {
            let prox = penalty.formula.prox_in_symbols.ok_or(Error::NoExpression { penalty: self.name() })?;
            Ok((prox, penalty.prox_coefficients(step, metric, dtype)?))
        };
        stages.into_iter().map(stage).collect::<Result<_>>().map(ProxInSymbols)
    }
}

impl ProxInSymbols {
    /// The prox of v, in the metric d if there is one. A v that is not finite stays as it is; if d is infinite, every v
    /// does.
    pub(crate) fn of<'g>(&self, graph: &'g Graph, v: Symbol<'g>, d: Option<Symbol<'g>>) -> Symbol<'g> {
        let element_weight = graph.input(Input::ElementWeight);
        let shrunk = self.0.iter().fold(v, |v, (prox, coefficients)| prox([v, element_weight], d, coefficients));
        let finite = Symbol::at_most(v.abs(), Symbol::MAX);
        let finite = d.map_or(finite, |d| finite & Symbol::at_most(d, Symbol::MAX));
        Symbol::select(finite, shrunk, v)
    }
}
