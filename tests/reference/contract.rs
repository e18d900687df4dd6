//! Do sums have the bits of the numeric contract? The contract is written here a second time, naively, without code
//! from `src`. Other tests compare backends with each other. This one compares them with the promised bits, so that
//! they cannot drift together.

use penalty::Backend;
use penalty::exact::TILE;

use crate::common::cases::{self, LENGTHS, at_scale, noise};

/// The bits of Σ|θ| from 2^-149 on, and of Σθ² from 2^-298 on, the lowest first.
struct Sums {
    l1: [bool; 12 * 32],
    l2_squared: [bool; 20 * 32],
}

/// Adds x·2^`exponent`. The accumulator's lowest bit stands for 2^`lowest`.
fn add(bits: &mut [bool], x: f32, exponent: i32, lowest: i32) {
    let (mut significand, mut power) = (u64::from(x.to_bits() & 0x7f_ffff), -149);
    if x >= f32::MIN_POSITIVE {
        significand |= 1 << 23;
        power = (x.to_bits() >> 23) as i32 - 150;
    }
    for bit in (0..24).filter(|bit| significand >> bit & 1 == 1) {
        let mut at = (power + bit + exponent - lowest) as usize;
        while bits[at] {
            bits[at] = false;
            at += 1;
        }
        bits[at] = true;
    }
}

/// A tile's Σ|θ| and Σθ², added in the contract's order.
fn tile(weights: &[f32]) -> [f32; 2] {
    let weight = |i: usize| weights.get(i).copied().unwrap_or(0.0);
    let (mut l1, mut l2_squared) = ([0f32; 1024], [0f32; 1024]);
    for (lane, (l1, l2_squared)) in l1.iter_mut().zip(&mut l2_squared).enumerate() {
        let [mut sum, mut hh, mut hl, mut ll] = [0f32; 4];
        for row in 0..4 {
            let v = weight(lane + 1024 * row);
            let h = f32::from_bits(v.to_bits() & !0xfff);
            let l = v - h;
            sum += v;
            hh += h * h;
            hl += 2.0 * h * l;
            ll += l * l;
        }
        (*l1, *l2_squared) = (sum, hh + (hl + ll));
    }
    [l1, l2_squared].map(|mut a| {
        for width in [512, 256, 128, 64, 32, 16, 8, 4] {
            for lane in 0..width {
                a[lane] += a[lane + width];
            }
        }
        (a[0] + a[1]) + (a[2] + a[3])
    })
}

fn contract(weights: &[f32]) -> Sums {
    let mut sums = Sums { l1: [false; 12 * 32], l2_squared: [false; 20 * 32] };
    for weights in weights.chunks(4096) {
        let magnitudes: Vec<f32> = weights.iter().map(|w| if w.is_finite() { w.abs() } else { 0.0 }).collect();
        let ordinary = |w: &f32| *w == 0.0 || (2f32.powi(-40)..2f32.powi(57)).contains(w);
        let max = magnitudes.iter().copied().fold(0.0, f32::max);
        if magnitudes.iter().all(ordinary) {
            let [l1, l2_squared] = tile(&magnitudes);
            add(&mut sums.l1, l1, 0, -149);
            add(&mut sums.l2_squared, l2_squared, 0, -298);
            continue;
        }
        // Exact: the product is inside the range of `f64`.
        let exponent = (f64::from(max).to_bits() >> 52) as i32 - 1023;
        let scaled = |w: &f32| (f64::from(*w) * cases::power(-exponent)) as f32;
        let kept = |x: f32| if x < 2f32.powi(-40) { 0.0 } else { x };
        let [l1, l2_squared] = tile(&magnitudes.iter().map(scaled).map(kept).collect::<Vec<_>>());
        add(&mut sums.l1, l1, exponent, -149);
        add(&mut sums.l2_squared, l2_squared, 2 * exponent, -298);
    }
    sums
}

#[track_caller]
fn check(name: &str, weights: &[f32]) {
    let want = contract(weights);
    let bytes = Backend::cpu().partial(0, weights).expect("the CPU does not fail").to_bytes();
    let bit = |at: usize| bytes[at / 8] >> (at % 8) & 1 == 1;
    let differ = |bits: &[bool], from: usize| (0..bits.len()).any(|i| bits[i] != bit(from + i));
    assert!(!differ(&want.l1, 0), "Σ|θ| of {name}, {} weights", weights.len());
    assert!(!differ(&want.l2_squared, 12 * 32), "Σθ² of {name}, {} weights", weights.len());
}

#[test]
fn sums_have_the_contracts_bits_at_every_length() {
    for len in LENGTHS.into_iter().chain([100 * TILE + 1]) {
        check("noise", &noise(len, len as u64));
    }
}

#[test]
fn sums_have_the_contracts_bits_at_every_scale() {
    for k in -150..=127 {
        check(&format!("scale 2^{k}"), &at_scale(k, TILE + 1025));
    }
}

#[test]
fn sums_have_the_contracts_bits_where_they_are_easy_to_get_wrong() {
    for (name, weights) in cases::traps() {
        check(&name, &weights);
    }
    check("many carries", &cases::carries(20));
}
