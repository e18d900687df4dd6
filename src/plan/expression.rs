//! An optimizer's step with a penalty's prox, as an expression.

use super::optimizer::{Adam, Momentum, Sgd};
use crate::formula::expression::{Expression, Input};
use crate::formula::scalars::{Metric, Scalars};
use crate::formula::symbol::{Graph, Symbol};
use crate::formula::{adam, sgd};
use crate::numeric::element::Dtype;
use crate::numeric::float::Float;
use crate::{Penalty, Result};

impl Expression {
    /// The step of [`Sgd`] on weights of this type. The results are θ and, with momentum, v.
    ///
    /// The prox's coefficients are those of the type: it can hold the bounds of an interval.
    ///
    /// ```
    /// use penalty::{Dtype, Expression, Momentum, Penalty, Sgd};
    ///
    /// let sgd = Sgd { step: 0.1, momentum: Momentum::None };
    /// let step = Expression::sgd(&sgd, &Penalty::l1(0.5)?, Dtype::F32)?;
    /// assert_eq!(step.results(), [step.nodes().len() - 1]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoExpression`](crate::Error::NoExpression) for a group penalty and for a custom one, and
    /// [`Error::Parameter`](crate::Error::Parameter) as [`Sgd`] and the penalty have it.
    pub fn sgd(optimizer: &Sgd, penalty: &Penalty, dtype: Dtype) -> Result<Expression> {
        let s = symbols(optimizer.scalars()?);
        let prox = penalty.prox_in_symbols(optimizer.prox_step()?, Metric::Plain, dtype)?;
        let graph = Graph::default();
        let [theta, g] = [Input::Weight, Input::Gradient].map(|input| graph.input(input));
        if optimizer.momentum == Momentum::None {
            return Ok(graph.expression([prox.of(&graph, sgd::usual_step(theta, g, &s), None)]));
        }
        let next = sgd::usual_momentum(graph.input(Input::First), g, &s);
        let direction = match optimizer.momentum {
            Momentum::Nesterov { .. } => sgd::usual_nesterov(next, g, &s),
            _ => next,
        };
        Ok(graph.expression([prox.of(&graph, sgd::usual_step(theta, direction, &s), None), next]))
    }

    /// The step of [`Adam`] on weights of this type. The results are θ, m and v.
    ///
    /// ```
    /// use penalty::{Adam, Dtype, Expression, Penalty};
    ///
    /// let step = Expression::adam(&Adam::default(), &Penalty::l1(0.5)?, Dtype::F32)?;
    /// assert_eq!(step.results().len(), 3);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoExpression`](crate::Error::NoExpression) for a group penalty and for a custom one, and
    /// [`Error::Parameter`](crate::Error::Parameter) as [`Adam`] and the penalty have it.
    pub fn adam(optimizer: &Adam, penalty: &Penalty, dtype: Dtype) -> Result<Expression> {
        let s = symbols(optimizer.scalars()?);
        let prox = penalty.prox_in_symbols(optimizer.step, optimizer.metric, dtype)?;
        let graph = Graph::default();
        let inputs = [Input::Weight, Input::Gradient, Input::First, Input::Second].map(|input| graph.input(input));
        let [theta, first, second, metric] = adam::usual_step(inputs, &s);
        let d = (optimizer.metric == Metric::Adam).then_some(metric);
        Ok(graph.expression([prox.of(&graph, theta, d), first, second]))
    }
}

fn symbols<'g>(scalars: Scalars) -> Scalars<Symbol<'g>> {
    scalars.map(|scalar| Symbol::of(scalar.into()))
}
