//! Are quotients and roots correctly rounded on a device, where rounding is hard?
//!
//! A processor rounds them correctly, so the host is the reference. A step of Adam with βs of ½ and gradients of 0 halves
//! its states exactly. Late in a run, without a penalty and decay, it makes −(m/2)/√(v/2) of a weight that is 0.

use penalty::{Adam, Dtype, Metric, Penalty};

use crate::common::adapters::{Device, DeviceTest};
use crate::common::buffers::{Layout, equal};
use crate::common::tensors::{Call, Tensors};

pub(crate) const ON_DEVICES: &[DeviceTest] = named![hard_quotients, hard_roots, quotients_and_roots_of_every_exponent];

/// Takes a/√x for these pairs, in a step alone and in one with a report.
fn check(device: &Device, pairs: &[(f32, f32)]) {
    let l1 = Penalty::l1(1e-30).expect("the λ is valid");
    let mut tensors = Tensors::with(&[pairs.len()], |_| Dtype::F32, &[l1]);
    tensors.words[0][0].fill(0);
    tensors.words[1][0].fill(0);
    tensors.words[2][0] = pairs.iter().map(|(a, _)| (2.0 * a).to_bits()).collect();
    tensors.words[3][0] = pairs.iter().map(|(_, x)| (2.0 * x).to_bits()).collect();
    let adam =
        Adam { step: 1.0, beta1: 0.5, beta2: 0.5, epsilon: 1e-36, decay: 0.0, iteration: 90, metric: Metric::Plain };
    for metric in [Metric::Plain, Metric::Adam] {
        let adam = Adam { metric, ..adam };
        equal(device.plain(), &tensors, Layout::PagePerRole, Call::Adam(adam));
        equal(device.plain(), &tensors, Layout::PagePerRole, Call::AdamAndEvaluate(adam));
    }
}

/// Words that look random.
fn words(count: u32) -> impl Iterator<Item = u64> {
    (0..count).map(|i| u64::from(i.wrapping_mul(2_654_435_769) ^ i.wrapping_mul(0x85eb_ca6b).rotate_right(13)))
}

const SIGNIFICANDS: std::ops::Range<u64> = 1 << 23..1 << 24;

/// Quotients next to the middle of two floats: m·2^24 = (2q + 1)·n ± 1. The root of n² rounded is n.
fn hard_quotients(device: &Device) {
    let mut pairs = Vec::new();
    for word in words(40_000) {
        let twice = 1 << 24 | word & 0xff_ffff | 1;
        // Newton's iteration doubles the bits of an inverse modulo a power of two.
        let inverse = (0..5).fold(twice, |y, _| y.wrapping_mul(2u64.wrapping_sub(twice.wrapping_mul(y)))) % (1 << 24);
        for (n, off) in [(inverse, -1), ((1 << 24) - inverse, 1)] {
            let product = (twice * n).wrapping_add_signed(off);
            assert_eq!(product % (1 << 24), 0);
            let m = product >> 24;
            let fits = m < 1 << 24 || m % 2 == 0;
            if SIGNIFICANDS.contains(&n) && fits {
                let root = n as f32;
                pairs.push((m as f32, root * root));
                assert_eq!((root * root).sqrt(), root);
            }
        }
    }
    assert!(pairs.len() > 10_000, "{} pairs", pairs.len());
    check(device, &pairs);
}

/// Roots next to the middle of two floats: m·2^24 = s² + s − j for a small even j has two solutions s modulo 2^24.
fn hard_roots(device: &Device) {
    let mut pairs = Vec::new();
    for j in (-2000i64..=2000).step_by(2) {
        for start in [0i64, 1] {
            // Hensel's lifting, one bit after the other.
            let s = (1..24).fold(start, |s, bit| if (s * s + s - j) >> bit & 1 == 0 { s } else { s + (1 << bit) });
            let square = s * s + s - j;
            assert_eq!(square % (1 << 24), 0);
            if SIGNIFICANDS.contains(&(s as u64)) {
                // Both parities of the exponent. The quotient is 1 if the root is s.
                pairs.push((s as f32, (square >> 24) as f32 * 2f32.powi(24)));
                pairs.push((1.0, (square >> 24) as f32 * 2f32.powi(-17)));
            }
        }
    }
    assert!(pairs.len() > 1000, "{} pairs", pairs.len());
    check(device, &pairs);
}

fn quotients_and_roots_of_every_exponent(device: &Device) {
    let number = |exponent: u64, word: u64| {
        let significand = [word & 0x7f_ffff, 0, 0x7f_ffff][(word >> 24) as usize % 3];
        f32::from_bits((exponent << 23 | significand) as u32)
    };
    let pairs: Vec<(f32, f32)> = (0..)
        .zip(words(60_000))
        .map(|(i, word)| (number(8 + word % 246, word), number(8 + i % 246, word.wrapping_mul(0x9e37_79b1))))
        .collect();
    check(device, &pairs);
}
