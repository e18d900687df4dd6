//! Weights for tests: every scale, every trap, every edge. They are the same on every machine.

use penalty::exact::TILE;
use penalty::half::{bf16, f16};
use penalty::{Penalty, Result};

/// Lengths around every edge of vectors, workgroups, lanes and tiles.
pub(crate) const LENGTHS: [usize; 22] = [
    0,
    1,
    2,
    3,
    4,
    5,
    7,
    64,
    65,
    255,
    256,
    257,
    512,
    513,
    1023,
    1024,
    1025,
    4095,
    4096,
    4097,
    2 * 4096 + 1024,
    3 * 4096 + 17,
];

/// Some weights with a name.
pub(crate) type Case = (String, Vec<f32>);

/// 2^k as `f64`, exactly, even if it is outside the range of `f32`.
pub(crate) fn power(k: i32) -> f64 {
    2f64.powi(k)
}

/// Random numbers in [-1, 1) with 24 bits (SplitMix64).
pub(crate) fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0xd134_2543_de82_ef95) ^ 0x5851_f42d_4c95_7f2d;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    };
    (0..len).map(|_| ((next() >> 40) as f64 / power(23) - 1.0) as f32).collect()
}

/// Random numbers in [-2^k, 2^k).
pub(crate) fn at_scale(k: i32, len: usize) -> Vec<f32> {
    noise(len, k as u64).iter().map(|&x| (f64::from(x) * power(k)) as f32).collect()
}

/// Every scale of `f32`, and one below, where most weights round to zero.
pub(crate) fn scales(len: usize) -> Vec<Case> {
    (-150..=127).map(|k| (format!("scale 2^{k}"), at_scale(k, len))).collect()
}

/// What may trip a sum. Each case is a bit longer than two tiles.
pub(crate) fn traps() -> Vec<Case> {
    let len = 2 * TILE + 333;
    let plain = noise(len, 1);
    let one_per_tile = |x: f32| {
        let mut weights = plain.clone();
        weights.iter_mut().skip(5).step_by(TILE).for_each(|w| *w = x);
        weights
    };
    let decades = |top: i32, modulus: usize| {
        let scaled = |(i, &x): (usize, &f32)| (f64::from(x) * power(top - (i % modulus) as i32)) as f32;
        plain.iter().enumerate().map(scaled).collect::<Vec<f32>>()
    };
    let bits = f32::from_bits;
    let cases: [(&str, Vec<f32>); 31] = [
        ("one 2^127 a tile", one_per_tile(2f32.powi(127))),
        ("one -2^127 a tile", one_per_tile(-(2f32.powi(127)))),
        ("one 2^57 a tile", one_per_tile(2f32.powi(57))),
        ("one just below 2^57 a tile", one_per_tile(bits(2f32.powi(57).to_bits() - 1))),
        ("one 2^-40 a tile", one_per_tile(2f32.powi(-40))),
        ("one just below 2^-40 a tile", one_per_tile(bits(2f32.powi(-40).to_bits() - 1))),
        ("one smallest subnormal a tile", one_per_tile(bits(1))),
        ("one +0 a tile", one_per_tile(0.0)),
        ("one -0 a tile", one_per_tile(-0.0)),
        ("one quiet NaN a tile", one_per_tile(bits(0x7fc0_0000))),
        ("one signalling NaN with a payload a tile", one_per_tile(bits(0x7f80_1234))),
        ("one negative NaN of all ones a tile", one_per_tile(bits(0xffff_ffff))),
        ("one infinity a tile", one_per_tile(f32::INFINITY)),
        ("one -infinity a tile", one_per_tile(f32::NEG_INFINITY)),
        ("all NaN", vec![bits(0xffc0_dead); len]),
        ("all infinite", vec![f32::NEG_INFINITY; len]),
        ("all MAX", vec![f32::MAX; len]),
        ("all -MAX", vec![f32::MIN; len]),
        ("all smallest subnormal", vec![bits(1); len]),
        ("all largest subnormal", vec![bits(0x807f_ffff); len]),
        ("all smallest normal", vec![f32::MIN_POSITIVE; len]),
        ("all +0", vec![0.0; len]),
        ("all -0", vec![-0.0; len]),
        ("140 decades downwards", decades(0, 140)),
        ("270 decades", decades(127, 270)),
        ("MAX among smallest subnormals", (0..len).map(|i| if i % 7 == 0 { f32::MAX } else { bits(1) }).collect()),
        (
            "just within 2^40 of the largest",
            (0..len).map(|i| if i % 5 == 0 { 2f32.powi(70) } else { 2f32.powi(30) }).collect(),
        ),
        (
            "just outside 2^40 of the largest",
            (0..len).map(|i| if i % 5 == 0 { 2f32.powi(71) } else { 2f32.powi(30) }).collect(),
        ),
        ("every kind beside every other", {
            let kinds = [0.0, -0.0, 1.5, -2f32.powi(100), bits(3), f32::INFINITY, bits(0x7f80_0001), -2f32.powi(-130)];
            (0..len).map(|i| kinds[(i + i / 8 + i / 64) % 8]).collect()
        }),
        ("carries through many limbs", carries(1)),
        ("all significand bits set", vec![bits(0x3fff_ffff); len]),
    ];
    cases.map(|(name, weights)| (name.to_string(), weights)).into()
}

/// Tiles of one weight each that set 168 consecutive bits of Σ|θ|. A last tile carries through all of them.
pub(crate) fn carries(repeats: usize) -> Vec<f32> {
    let ones = |i: i32| ((power(24) - 1.0) * power(24 * i - 100)) as f32;
    let mut weights = Vec::new();
    for _ in 0..repeats {
        for x in (0..7).map(ones).chain([power(-100) as f32]) {
            weights.push(x);
            weights.resize(weights.len().next_multiple_of(TILE), 0.0);
        }
    }
    weights
}

/// Weights, and as many others, at the edges of elementwise results: every scale, thresholds, NaN, infinities.
pub(crate) fn elementwise() -> (Vec<f32>, Vec<f32>) {
    let mut weights: Vec<f32> = (-150..=127).flat_map(|k| at_scale(k, 16)).collect();
    let specials = [
        0,
        1,
        0x007f_ffff,
        0x0080_0000,
        0x037f_ffff,
        0x0380_0000,
        0x0380_0001,
        0x3f80_0000,
        0x3d80_0000,
        0x3d7f_ffff,
        0x3d80_0001,
        0x7f7f_ffff,
        0x7f80_0000,
        0x7f80_0001,
        0x7fbf_ffff,
        0x7fc0_0000,
        0x7fc0_1234,
        0x7fff_ffff,
    ];
    weights.extend(specials.iter().flat_map(|&b| [f32::from_bits(b), f32::from_bits(b | 1 << 31)]));
    weights.extend(noise(TILE, 3));
    // Each special value beside each other one.
    let specials: Vec<f32> = specials.iter().flat_map(|&b| [b, b | 1 << 31]).map(f32::from_bits).collect();
    let mut others: Vec<f32> = weights.iter().rev().copied().collect();
    for &a in &specials {
        weights.extend(std::iter::repeat_n(a, specials.len()));
        others.extend(&specials);
    }
    (weights, others)
}

/// The same, cut to a multiple of four, so that no tail needs another kernel.
pub(crate) fn edges() -> (Vec<f32>, Vec<f32>) {
    let (mut weights, mut others) = elementwise();
    weights.truncate(weights.len() / 4 * 4);
    others.truncate(weights.len());
    (weights, others)
}

/// Ordinary tiles, a tile of large weights and a partial tile; and as many other weights.
pub(crate) fn tiles() -> (Vec<f32>, Vec<f32>) {
    let mut tiles = noise(2 * TILE + 76, 11);
    tiles.extend(at_scale(127, TILE));
    let others = noise(tiles.len(), 12);
    (tiles, others)
}

/// λ₁, λ₂ and the step: ordinary and extreme values.
pub(crate) const COEFFICIENTS: [(f64, f64, f64); 13] = [
    (0.0625, 0.0, 1.0),
    (0.0, 0.3, 0.7),
    (0.1, 0.05, 0.01),
    (1e-4, 1e-4, 1e-3),
    (3.0, 0.0, 1e30),
    (0.0, 1e30, 1e-20),
    (1e-30, 1e-30, 1.0),
    (1e-40, 1e-40, 1.0),
    (1.5e38, 1.5e38, 1e-3),
    (0.0, 1.5e38, 1e-4),
    (0.5, 0.25, 0.0),
    (1.0, 0.0, 7.5e-37),
    (0.0, 0.0, 1.0),
];

/// Penalties with a step, for every formula but the elastic net's. They reach every branch, and have extreme parameters
/// too.
pub(crate) fn family_by_formula() -> Vec<Vec<(Penalty, f64)>> {
    let family: [&[(Result<Penalty>, f64)]; 8] = [
        &[(Penalty::l0(0.1), 0.5), (Penalty::l0(1e30), 1e9), (Penalty::l0(0.0), 1.0)],
        &[(Penalty::l_half(0.3), 0.5), (Penalty::l_half(1e-30), 1e-6), (Penalty::l_half(1e38), 1e3)],
        &[
            (Penalty::log_sum(0.1, 0.5), 0.5),
            (Penalty::log_sum(0.7, 0.01), 0.9),
            (Penalty::log_sum(1e38, 1e-30), 1.0),
            (Penalty::log_sum(1e-3, 1e30), 10.0),
        ],
        &[
            (Penalty::mcp(0.1, 3.0), 0.5),
            (Penalty::mcp(0.1, 0.7), 1.5),
            (Penalty::mcp(0.1, 0.5), 0.5),
            (Penalty::mcp(1e-10, 1e30), 0.5),
            (Penalty::mcp(1e38, 1e10), 1e-3),
        ],
        &[
            (Penalty::scad(0.1, 3.7), 0.5),
            (Penalty::scad(0.1, 1.5), 0.7),
            (Penalty::scad(0.1, 1.2), 9.0),
            (Penalty::scad(1e-30, 1e30), 0.5),
            (Penalty::scad(1e38, 1e10), 1e-3),
        ],
        &[(Penalty::huber(0.4, 0.25), 0.5), (Penalty::huber(1e30, 1e-20), 1.0), (Penalty::huber(1e-30, 1e30), 1.0)],
        &[
            (Penalty::nonnegative_l1(0.1), 0.5),
            (Penalty::nonnegative_l1(0.0), 1.0),
            (Penalty::nonnegative_l1(1e38), 1e3),
        ],
        &[
            (Penalty::interval(-0.5, 0.3), 1.0),
            (Penalty::interval(0.1, 0.1), 1.0),
            (Penalty::interval(f64::NEG_INFINITY, 0.0), 1.0),
            (Penalty::interval(-1e300, 1e-39), 0.0),
        ],
    ];
    let valid = |(penalty, step): &(Result<Penalty>, f64)| (penalty.clone().expect("its parameters are valid"), *step);
    family.iter().map(|cases| cases.iter().map(valid).collect()).collect()
}

/// The same in one list.
pub(crate) fn family() -> Vec<(Penalty, f64)> {
    family_by_formula().concat()
}

/// Every `f16`, and as many others in another order.
pub(crate) fn every_f16() -> (Vec<f16>, Vec<f16>) {
    let others = (0..=u16::MAX).map(|i| f16::from_bits(i.wrapping_mul(0x9e3b)));
    ((0..=u16::MAX).map(f16::from_bits).collect(), others.collect())
}

/// Every `bf16`, and as many others in another order.
pub(crate) fn every_bf16() -> (Vec<bf16>, Vec<bf16>) {
    let others = (0..=u16::MAX).map(|i| bf16::from_bits(i.wrapping_mul(0x9e3b)));
    ((0..=u16::MAX).map(bf16::from_bits).collect(), others.collect())
}
