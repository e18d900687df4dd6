//! A penalty with another λ.

use super::Penalty;
use super::validate::finite;
use crate::{Error, Result};

impl Penalty {
    /// The same penalty with its λ times a factor, for schedules and paths of λ.
    ///
    /// Its name, its groups and its other parameters stay. With f the factor and R the penalty, the result is
    ///
    /// | penalties | of | result |
    /// | --- | --- | --- |
    /// | those not named below | λ; α of [`scikit_learn`](Penalty::scikit_learn), l1 and l2 of [`keras`](Penalty::keras) | f·R(θ) |
    /// | [`mcp`](Penalty::mcp), [`scad`](Penalty::scad) | λ, at the same γ or a | f²·R(θ/f), not f·R(θ) |
    /// | [`nonnegative_l1`](Penalty::nonnegative_l1) | λ | fλΣθ where every θ ≥ 0, else ∞ |
    /// | constraints: balls, simplex, box, [`top_k`](Penalty::top_k), [`n_of_m`](Penalty::n_of_m) | nothing | R(θ) |
    ///
    /// λ is also in the shape of MCP and SCAD, so a path over λ bends them, as it does in the literature (Breheny and
    /// Huang 2011). f·R is MCP with fλ and γ/f, and is no SCAD.
    ///
    /// A factor of 0 gives λ = 0: the value is 0, and the prox leaves weights as they are. It lifts no constraint:
    /// constraints stay, and `nonnegative_l1` still rejects negative weights. A factor of 1 gives the same bits.
    ///
    /// ```
    /// use penalty::Penalty;
    ///
    /// let full = Penalty::elastic_net(0.5, 0.9)?;
    /// for step in 0..100 {
    ///     let warm = full.scaled((f64::from(step) / 50.0).min(1.0))?; // λ rises to 0.5 within 50 steps
    /// }
    /// assert_eq!(full.scaled(0.5)?, Penalty::elastic_net(0.25, 0.9)?);
    /// assert_eq!(Penalty::mcp(0.5, 3.0)?.scaled(0.5)?.parameters(), [("lambda", 0.25), ("gamma", 3.0)]);
    /// assert_eq!(Penalty::l2_ball(1.0)?.scaled(0.0)?, Penalty::l2_ball(1.0)?);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] unless the factor is finite and ≥ 0, and if its product with λ is more than the constructor
    /// takes. [`Error::NotBuiltIn`] for a [`custom`](Penalty::custom) penalty: make it anew with other parameters.
    pub fn scaled(&self, factor: f64) -> Result<Penalty> {
        finite("factor", factor)?;
        if self.is_sum() {
            return self.map_parts(|part| part.scaled(factor));
        }
        self.with_lambdas("scaled", |lambda| lambda * factor)
    }

    /// The same penalty with this λ in place of each of its own.
    pub(crate) fn with_lambda(&self, lambda: f64) -> Result<Penalty> {
        self.with_lambdas("given another λ", |_| lambda)
    }

    fn with_lambdas(&self, asked: &'static str, change: impl Fn(f64) -> f64) -> Result<Penalty> {
        if self.is_sum() {
            return Err(Error::OfSum { asked });
        }
        let Some(constructor) = self.constructor() else {
            return Err(Error::NotBuiltIn { penalty: self.name(), asked });
        };
        let mut values = [0.0; 2];
        let values = &mut values[..self.origin.keys.len()];
        values.copy_from_slice(self.origin.values());
        values[..constructor.lambdas].iter_mut().for_each(|lambda| *lambda = change(*lambda));
        Ok(Penalty { groups: self.groups.clone(), ..(constructor.new)(values)? })
    }
}
