//! A penalty's prox in symbols.

use super::Penalty;
use crate::formula::Coefficients;
use crate::formula::expression::Input;
use crate::formula::scalars::Metric;
use crate::formula::symbol::{Graph, Prox, Symbol};
use crate::numeric::element::Dtype;
use crate::numeric::float::Float;
use crate::{Error, Result};

/// A prox at one step.
pub(crate) struct ProxInSymbols {
    prox: Prox,
    coefficients: Coefficients,
}

impl Penalty {
    /// The prox for weights of this type.
    pub(crate) fn prox_in_symbols(&self, step: f64, metric: Metric, dtype: Dtype) -> Result<ProxInSymbols> {
        let prox = self.formula.prox_in_symbols.ok_or(Error::NoExpression { penalty: self.name() })?;
        Ok(ProxInSymbols { prox, coefficients: self.prox_coefficients(step, metric, dtype)? })
    }
}

impl ProxInSymbols {
    /// The prox of v, in the metric d if there is one. A v that is not finite stays as it is; if d is infinite, every v
    /// does.
    pub(crate) fn of<'g>(&self, graph: &'g Graph, v: Symbol<'g>, d: Option<Symbol<'g>>) -> Symbol<'g> {
        let shrunk = (self.prox)([v, graph.input(Input::ElementWeight)], d, &self.coefficients);
        let finite = Symbol::at_most(v.abs(), Symbol::MAX);
        let finite = d.map_or(finite, |d| finite & Symbol::at_most(d, Symbol::MAX));
        Symbol::select(finite, shrunk, v)
    }
}
