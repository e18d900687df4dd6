//! How does a factor change value, gradient and prox? Powers of two keep significands, so the bits agree.

use penalty::{Backend, Error, Groups, Penalty, Result};
use proptest::prelude::*;

use super::any::bits;

/// Penalties that are multiplied if λ is: all with a λ except MCP and SCAD.
fn homogeneous() -> Result<Vec<Penalty>> {
    Ok(vec![
        Penalty::l1(0.75)?,
        Penalty::l2_squared(0.75)?,
        Penalty::elastic_net(0.75, 0.3)?,
        Penalty::scikit_learn(0.75, 0.3)?,
        Penalty::glmnet(0.75, 0.3)?,
        Penalty::keras(0.75, 0.3)?,
        Penalty::weight_decay(0.75)?,
        Penalty::l0(0.75)?,
        Penalty::l_half(0.75)?,
        Penalty::log_sum(0.75, 0.1)?,
        Penalty::huber(0.75, 0.7)?,
        Penalty::nonnegative_l1(0.75)?,
        Penalty::l2_norm(0.75)?,
        Penalty::linf_norm(0.75)?,
        Penalty::group_lasso(0.75, Groups::runs(4)?)?,
        Penalty::sparse_group_lasso(0.75, 0.3, Groups::columns(4)?)?,
    ])
}

fn power() -> impl Strategy<Value = f64> {
    (-6..=6i32).prop_map(|k| f64::from(k).exp2())
}

fn value(penalty: &Penalty, theta: &[f32]) -> Result<f64> {
    Ok(Backend::cpu().evaluate(penalty, theta)?.value)
}

fn times(factor: f64, theta: &[f32]) -> Vec<f32> {
    theta.iter().map(|x| x * factor as f32).collect()
}

proptest! {
    /// f·R: its value and gradient are f times R's. Its prox is R's with f times the step.
    #[test]
    fn a_factor_of_lambda_is_one_of_the_penalty(theta in prop::collection::vec(-8.0f32..8.0, 16), f in power(), step in 0.0..2.0) {
        let cpu = Backend::cpu();
        for penalty in homogeneous().expect("their parameters are valid") {
            let scaled = penalty.scaled(f).expect("it is in range");
            prop_assert_eq!(value(&scaled, &theta)?, f * value(&penalty, &theta)?, "{}", penalty);
            let proxes = [cpu.prox(&scaled, &theta, step)?, cpu.prox(&penalty, &theta, f * step)?];
            prop_assert_eq!(bits(&proxes[0]), bits(&proxes[1]), "{}", penalty);
            match cpu.gradient(&penalty, &theta) {
                Err(error) => prop_assert!(matches!(error, Error::NoGradient { .. }), "{}", error),
                Ok(gradient) => {
                    prop_assert_eq!(bits(&cpu.gradient(&scaled, &theta)?), bits(&times(f, &gradient)), "{}", penalty);
                }
            }
        }
    }

    /// MCP and SCAD become f²·R(θ/f). For f·R, MCP would need γ/f.
    #[test]
    fn a_factor_of_lambda_bends_mcp_and_scad(theta in prop::collection::vec(-8.0f32..8.0, 16), f in power()) {
        for penalty in [Penalty::mcp(0.75, 3.0)?, Penalty::scad(0.75, 3.7)?] {
            let scaled = value(&penalty.scaled(f)?, &times(f, &theta))?;
            prop_assert_eq!(scaled, f * f * value(&penalty, &theta)?, "{}", penalty);
        }
        let multiplied = Penalty::mcp(0.75 * f, 3.0 / f)?;
        prop_assert_eq!(value(&multiplied, &theta)?, f * value(&Penalty::mcp(0.75, 3.0)?, &theta)?);
    }

    /// λ = 0 leaves no penalty, except for constraints.
    #[test]
    fn a_factor_of_zero_leaves_constraints(theta in prop::collection::vec(-8.0f32..8.0, 16)) {
        let cpu = Backend::cpu();
        let penalties = homogeneous()?.into_iter().chain([Penalty::mcp(0.75, 3.0)?, Penalty::scad(0.75, 3.7)?]);
        for penalty in penalties.filter(|penalty| penalty.name() != "nonnegative_l1") {
            let none = penalty.scaled(0.0)?;
            prop_assert_eq!(value(&none, &theta)?, 0.0, "{}", penalty);
            prop_assert_eq!(bits(&cpu.prox(&none, &theta, 1.0)?), bits(&theta), "{}", penalty);
        }
        let positive: Vec<f32> = theta.iter().map(|x| x.max(0.0)).collect();
        let nonnegative = Penalty::nonnegative_l1(0.75)?.scaled(0.0)?;
        prop_assert_eq!(bits(&cpu.prox(&nonnegative, &theta, 1.0)?), bits(&positive));
        prop_assert_eq!(value(&nonnegative, &positive)?, 0.0);
        prop_assert_eq!(value(&nonnegative, &[-1.0])?, f64::INFINITY);
        for constraint in [
            Penalty::interval(-1.0, 0.5)?, Penalty::l1_ball(1.5)?, Penalty::l2_ball(1.5)?, Penalty::simplex(1.5)?,
            Penalty::top_k(3)?, Penalty::n_of_m(2, 4)?,
        ] {
            prop_assert_eq!(&constraint.scaled(0.0)?, &constraint);
            prop_assert_eq!(&constraint.scaled(f64::MAX)?, &constraint);
        }
    }
}
