//! Which steps, lengths and weights do calls on slices take?

use penalty::exact::TILE;
use penalty::half::f16;
use penalty::{Backend, Error, Penalty, Result};

use super::constructors::HALF_MAX;

#[test]
fn steps_are_finite_and_not_negative() -> Result<()> {
    let cpu = Backend::cpu();
    for penalty in [Penalty::none(), Penalty::l1(1.0)?, Penalty::l2_squared(1.0)?] {
        for (step, found) in [(-0.5, "-0.5"), (f64::NAN, "NaN"), (f64::INFINITY, "inf"), (f64::NEG_INFINITY, "-inf")] {
            let want = format!("step must be a finite number ≥ 0, found {found}");
            let mut weights = [1.0f32, 2.0];
            assert_eq!(cpu.prox(&penalty, &weights, step).expect_err("a bad step").to_string(), want);
            assert_eq!(cpu.prox_in_place(&penalty, &mut weights, step).expect_err("a bad step").to_string(), want);
            assert_eq!(weights, [1.0, 2.0], "nothing is written");
            assert!(cpu.prox::<f32>(&penalty, &[], step).is_err(), "also where there is no weight");
        }
        assert!(cpu.prox(&penalty, &[1.0f32], -0.0).is_ok());
    }
    Ok(())
}

#[test]
fn a_step_whose_shrinkage_leaves_f32_is_rejected() -> Result<()> {
    let cpu = Backend::cpu();
    let limit = 2f64.powi(119);
    let l2 = Penalty::l2_squared(0.5)?;
    let error = cpu.prox(&l2, &[1.0f32], limit).expect_err("2·step·λ is 2^119");
    assert_eq!(error.to_string(), "2·step·lambda must be below 2^119, found 6.64613997892458e35");
    assert!(cpu.prox(&l2, &[1.0f32], limit.next_down()).is_ok());
    // A threshold may be arbitrarily large. Then everything becomes 0.
    assert_eq!(cpu.prox(&Penalty::l1(1e38)?, &[f32::MAX, -1.0], 1e300)?, [0.0, 0.0]);
    Ok(())
}

#[test]
fn slices_of_different_lengths_are_rejected_and_left_alone() -> Result<()> {
    let cpu = Backend::cpu();
    for penalty in [Penalty::none(), Penalty::l1(1.0)?] {
        for len in [0, 2, 4, 5000] {
            let want = format!("the gradient must have 3 elements, found {len}");
            let mut gradient = vec![7.0f32; len];
            let into = cpu.gradient_into(&penalty, &[1.0, 2.0, 3.0], &mut gradient);
            assert_eq!(into.expect_err("the lengths differ").to_string(), want);
            let add = cpu.gradient_add(&penalty, &[1.0, 2.0, 3.0], &mut gradient);
            assert_eq!(add.expect_err("the lengths differ").to_string(), want);
            let add = pollster::block_on(cpu.gradient_add_async(&penalty, &[1.0, 2.0, 3.0], &mut gradient));
            assert_eq!(add, Err(Error::Length { operand: "the gradient", expected: 3, found: len as u64 }));
            assert!(gradient.iter().all(|&x| x == 7.0));
        }
    }
    Ok(())
}

#[test]
fn a_chunk_starts_on_a_tile() {
    let cpu = Backend::cpu();
    for start in [0, TILE as u64, 7 * TILE as u64, u64::MAX - 4095] {
        assert!(cpu.partial(start, &[1.0f32]).is_ok(), "{start}");
    }
    for start in [1, 4095, 4097, 6144, u64::MAX] {
        let error = cpu.partial(start, &[f16::ONE]).expect_err("it does not start on a tile");
        assert_eq!(error, Error::ChunkStart { found: start });
        assert_eq!(error.to_string(), format!("a chunk must start at a multiple of 4096 elements, found {start}"));
    }
}

#[test]
fn nothing_is_rejected_for_what_the_weights_are() -> Result<()> {
    let cpu = Backend::cpu();
    let weights = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, f32::from_bits(1), -0.0];
    for penalty in [Penalty::l1(HALF_MAX)?, Penalty::l2_squared(HALF_MAX)?, Penalty::keras(HALF_MAX, HALF_MAX)?] {
        cpu.evaluate(&penalty, &weights)?;
        cpu.gradient(&penalty, &weights)?;
        cpu.prox(&penalty, &weights, 1e-4)?;
    }
    Ok(())
}
