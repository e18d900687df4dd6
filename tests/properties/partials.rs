//! Which properties do sums have that are split, merged, scaled and serialized?

use penalty::exact::{Partial, TILE};
use penalty::{Backend, Penalty, Report};
use proptest::collection::vec;
use proptest::prelude::*;

use super::any::{any_bits, coefficients, penalty};
use crate::common::cases::{noise, power};

pub(crate) fn partial(weights: &[f32]) -> Partial {
    Backend::cpu().partial(0, weights).expect("it starts at a tile")
}

fn merged(a: &Partial, b: &Partial) -> Partial {
    let mut sum = a.clone();
    sum.merge(b);
    sum
}

/// Long enough for several tiles, although proptest makes only the seeds.
fn tiled(seeds: &[f32], len: usize) -> Vec<f32> {
    (0..len).map(|i| seeds[(i * 7 + i / 64) % seeds.len()]).collect()
}

/// Random weights in [-2^k, 2^k).
pub(crate) fn at_scale(k: i32, len: usize, seed: u64) -> Vec<f32> {
    noise(len, seed).iter().map(|&x| (f64::from(x) * power(k)) as f32).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_call_over_a_list_is_many_calls(
        (l1, l2, _) in coefficients(), tensors in vec(vec(any_bits(), 0..30), 0..8)
    ) {
        let (penalty, cpu) = (penalty(l1, l2), Backend::cpu());
        let all = cpu.evaluate_all(&penalty, &tensors)?;
        let each: Vec<Report> = tensors.iter().map(|t| cpu.evaluate(&penalty, t)).collect::<penalty::Result<_>>()?;
        prop_assert_eq!(&all.tensors, &each);
        let whole = tensors.iter().fold(Partial::default(), |sum, t| merged(&sum, &partial(t))).report(&penalty)?;
        let value = each.iter().fold(0.0, |sum, r| sum + r.value);
        let spoilt = whole.nan + whole.inf > 0;
        prop_assert_eq!(all.total, Report { value: if spoilt { whole.l1 } else { value }, ..whole });
    }

    #[test]
    fn chunks_merge_to_the_whole(seeds in vec(any_bits(), 1..50), tiles in vec(1..4usize, 1..5), rest in 0..TILE) {
        let len = tiles.iter().sum::<usize>() * TILE + rest;
        let weights = tiled(&seeds, len);
        let (mut sum, mut start) = (Partial::default(), 0);
        for chunk in tiles.iter().map(|t| t * TILE).chain([rest]) {
            let part = Backend::cpu().partial(start as u64, &weights[start..start + chunk])?;
            // The parts may arrive in any order.
            sum = if chunk % (2 * TILE) == 0 { merged(&sum, &part) } else { merged(&part, &sum) };
            start += chunk;
        }
        prop_assert_eq!(sum, partial(&weights));
    }

    #[test]
    fn merging_is_associative_and_commutative(
        a in vec(any_bits(), 0..20), b in vec(any_bits(), 0..20), c in vec(any_bits(), 0..20)
    ) {
        let [a, b, c] = [a, b, c].map(|weights| partial(&weights));
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        prop_assert_eq!(merged(&a, &Partial::default()), a);
    }

    #[test]
    fn bytes_round_trip(weights in vec(any_bits(), 0..50)) {
        let partial = partial(&weights);
        let bytes = partial.to_bytes();
        let back = Partial::from_bytes(&bytes)?;
        prop_assert_eq!(back.to_bytes(), bytes);
        prop_assert_eq!(back, partial);
    }

    #[test]
    fn any_bytes_are_a_partial_or_an_error(bytes in vec(any::<u8>(), Partial::BYTES)) {
        // Partials come from outside, so no bytes may cause a panic.
        if let Ok(partial) = Partial::from_bytes(&bytes) {
            prop_assert_eq!(partial.to_bytes().to_vec(), bytes);
            let _ = partial.report(&penalty(1.0, 1.0)).map(|report| report.zeros());
        }
    }

    #[test]
    fn sums_scale_with_powers_of_two_to_the_bit(k in -126i32..=126, len in 1usize..9000) {
        // Holds for ordinary and scaled tiles, and across the limits between them.
        let (plain, scaled) = (at_scale(0, len, 7), at_scale(k, len, 7));
        let report = |weights: &[f32]| partial(weights).report(&Penalty::none()).expect("it has no sum of its own");
        let (plain, scaled) = (report(&plain), report(&scaled));
        prop_assert_eq!(scaled.l1, plain.l1 * power(k));
        prop_assert_eq!(scaled.l2_squared, plain.l2_squared * power(2 * k));
        prop_assert_eq!(scaled.max_abs, plain.max_abs * power(k));
        prop_assert_eq!(scaled.nonzero, plain.nonzero);
    }
}

#[test]
fn a_chunk_that_starts_elsewhere_would_give_other_sums() {
    // `Backend::partial` rejects such a chunk, because the order of additions depends on tiles.
    let differ = (0..50).filter(|&seed| {
        let weights = at_scale(0, 3 * TILE, seed);
        merged(&partial(&weights[..TILE / 2]), &partial(&weights[TILE / 2..])) != partial(&weights)
    });
    assert!(differ.count() > 0);
}

#[test]
fn merging_counts_that_no_weights_have_does_not_panic() -> penalty::Result<()> {
    // Other programs may write any bytes.
    let mut bytes = Backend::cpu().partial(0, &[0.0f32])?.to_bytes();
    bytes[128..136].fill(0xff);
    let all = Partial::from_bytes(&bytes)?;
    let _ = merged(&all, &all).report(&Penalty::none());
    Ok(())
}
