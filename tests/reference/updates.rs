//! Are gradients and proxes right? Checked for every type, length and scale, against formulas in `f64`.

use penalty::exact::TILE;
use penalty::half::{bf16, f16};
use penalty::{Backend, Penalty, Result};

use super::sums::FORMULA;
use crate::common::cases::{self, COEFFICIENTS, LENGTHS, at_scale};
use crate::common::oracle::{Formula, Weight};

#[test]
fn gradients_follow_the_convention_of_each_constructor() -> Result<()> {
    let of = |penalty: Penalty| Backend::cpu().gradient(&penalty, &[2.0f32, -2.0]);
    assert_eq!(of(Penalty::none())?, [0.0, 0.0]);
    assert_eq!(of(Penalty::l1(0.5)?)?, [0.5, -0.5]);
    assert_eq!(of(Penalty::l2_squared(0.5)?)?, [2.0, -2.0]);
    assert_eq!(of(Penalty::weight_decay(0.5)?)?, [1.0, -1.0]);
    assert_eq!(of(Penalty::elastic_net(0.5, 0.25)?)?, [1.625, -1.625]);
    assert_eq!(of(Penalty::scikit_learn(0.5, 0.25)?)?, [0.875, -0.875]);
    assert_eq!(of(Penalty::glmnet(0.5, 0.25)?)?, [0.875, -0.875]);
    assert_eq!(of(Penalty::keras(0.5, 0.25)?)?, [1.5, -1.5]);
    Ok(())
}

fn check_updates<E: Weight>(weights: &[E], others: &[E]) -> Result<()> {
    let cpu = Backend::cpu();
    for (l1, l2_squared, step) in COEFFICIENTS {
        let (formula, penalty) = (Formula { l1, l2_squared }, Penalty::keras(l1, l2_squared)?);
        let gradient = cpu.gradient(&penalty, weights)?;
        let mut sum = others.to_vec();
        cpu.gradient_add(&penalty, weights, &mut sum)?;
        let prox = cpu.prox(&penalty, weights, step)?;
        for (i, &x) in weights.iter().enumerate() {
            let at = |operation| {
                move |error| panic!("{operation}, {formula:?}, step {step:e}, {}, at {x:?}: {error}", E::DTYPE)
            };
            formula.check_gradient(x, gradient[i]).unwrap_or_else(at("gradient"));
            formula.check_prox(step, x, prox[i]).unwrap_or_else(at("prox"));
            if penalty.is_none() {
                assert_eq!(sum[i].to_u32(), others[i].to_u32(), "none() adds nothing, not even to {:?}", others[i]);
            } else {
                formula.check_gradient_add(x, others[i], sum[i]).unwrap_or_else(at("gradient_add"));
            }
        }
    }
    Ok(())
}

#[test]
fn gradients_and_proxes_of_f32_are_right() -> Result<()> {
    let (weights, others) = cases::elementwise();
    check_updates(&weights, &others)
}

#[test]
fn gradients_and_proxes_of_every_half_are_right() -> Result<()> {
    // Multiplying by an odd factor permutes all numbers.
    let other = |i: u16| i.wrapping_mul(0x9e3b);
    let all = || 0..=u16::MAX;
    check_updates::<f16>(
        &all().map(f16::from_bits).collect::<Vec<_>>(),
        &all().map(|i| f16::from_bits(other(i))).collect::<Vec<_>>(),
    )?;
    check_updates::<bf16>(
        &all().map(bf16::from_bits).collect::<Vec<_>>(),
        &all().map(|i| bf16::from_bits(other(i))).collect::<Vec<_>>(),
    )
}

#[test]
fn gradients_and_proxes_are_right_at_every_length() -> Result<()> {
    let penalty = Penalty::keras(FORMULA.l1, FORMULA.l2_squared)?;
    for len in LENGTHS.into_iter().chain([64 * TILE - 1, 64 * TILE, 64 * TILE + 1]) {
        let weights = at_scale(2, len);
        let gradient = Backend::cpu().gradient(&penalty, &weights)?;
        let prox = Backend::cpu().prox(&penalty, &weights, 0.5)?;
        assert_eq!((gradient.len(), prox.len()), (len, len));
        for (i, &x) in weights.iter().enumerate() {
            FORMULA.check_gradient(x, gradient[i]).unwrap_or_else(|error| panic!("{i} of {len}: {error}"));
            FORMULA.check_prox(0.5, x, prox[i]).unwrap_or_else(|error| panic!("{i} of {len}: {error}"));
        }
    }
    Ok(())
}
