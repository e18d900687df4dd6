//! The numeric contract, written down a second time: naive, sharing no code with `src`. The backends agree with each other
//! elsewhere; this holds them to the bits that were promised, so that they cannot drift together.

mod common;

use common::cases::{self, LENGTHS, at_scale, noise};
use penalty::own::Elementwise;
use penalty::{Backend, Groups, Partial, Penalty, TILE};

/// The bits of Σ|θ| from 2^-149 and of Σθ² from 2^-298, the lowest first.
struct Sums {
    l1: [bool; 12 * 32],
    l2_squared: [bool; 20 * 32],
}

/// Adds x·2^`exponent`, where the accumulator's lowest bit stands for 2^`lowest`.
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

/// Σ|θ| and Σθ² of a tile in the contract's order of additions.
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
        // Exact: f64 has the range.
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

/// Θ² of a user's own.
enum Square {}

impl Elementwise for Square {
    const NAME: &'static str = "square";
    const WGSL: &'static str = "";

    fn gradient_limits(_: [f64; 2]) -> [f64; 2] {
        [f64::NEG_INFINITY, f64::INFINITY]
    }

    fn term(theta: f32, _: &[f32; 3]) -> f32 {
        theta * theta
    }

    fn gradient(theta: f32, c: &[f32; 3]) -> f32 {
        2.0 * c[0] * theta
    }

    fn prox(v: f32, c: &[f32; 5]) -> f32 {
        v / (1.0 + 2.0 * c[0])
    }
}

/// A partial of every formula, and of every kind of groups, with what it is called in `tests/data/partials.txt`.
fn serialized() -> penalty::Result<Vec<(&'static str, Vec<u8>)>> {
    let theta = [0.5f32, -2.0, 0.0, 1.0, -0.125, 3.0, 0.25, -1.0];
    let over = |penalty: penalty::Result<Penalty>, groups: penalty::Result<Groups>| penalty?.over(groups?);
    let penalties = [
        ("nothing", Ok(Penalty::none())),
        ("elastic_net", Penalty::elastic_net(0.5, 0.25)),
        ("l0", Penalty::l0(0.5)),
        ("l_half", Penalty::l_half(0.5)),
        ("log_sum", Penalty::log_sum(0.5, 0.25)),
        ("mcp", Penalty::mcp(0.5, 3.0)),
        ("scad", Penalty::scad(0.5, 3.5)),
        ("huber", Penalty::huber(0.5, 0.25)),
        ("nonnegative_l1", Penalty::nonnegative_l1(0.5)),
        ("box", Penalty::interval(-1.0, 2.0)),
        ("weighted_l1", Penalty::weighted_l1(0.5)),
        ("l2_norm of all", Penalty::l2_norm(0.5)),
        ("group_lasso of runs", over(Penalty::group_lasso(0.5, Groups::whole()), Groups::runs(2))),
        ("l2_ball of rows", over(Penalty::l2_ball(2.5), Groups::rows(4))),
        ("linf_norm of columns", over(Penalty::linf_norm(0.5), Groups::columns(2))),
        ("l1_ball of tiles", over(Penalty::l1_ball(1.5), Groups::tiles(4, 2, 2))),
        ("simplex of all", Penalty::simplex(1.0)),
        ("top_k of lists", over(Penalty::top_k(3), Groups::lists(&[vec![7, 1, 2], vec![4, 5, 6, 0, 3]]))),
        ("square, a user's own", Penalty::own::<Square>([0.5, 0.25])),
    ];
    let mut partials = Vec::new();
    for (name, penalty) in penalties {
        let penalty = penalty?;
        let weights: &[f32] = if name == "nothing" { &[] } else { &theta };
        let partial = if penalty.is_weighted() {
            Backend::cpu().partial_for(
                penalty.with_weights(&[1.0f32, 2.0, 0.0, 0.5, 1.0, 1.0, 4.0, 0.25])?,
                0,
                weights,
            )?
        } else {
            Backend::cpu().partial_for(&penalty, 0, weights)?
        };
        partials.push((name, partial.to_bytes().to_vec()));
    }
    Ok(partials)
}

/// Partials travel between releases.
#[test]
fn serialized_partials_stay_as_they_are() -> penalty::Result<()> {
    let golden: Vec<(&str, &str)> =
        include_str!("data/partials.txt").lines().filter_map(|line| line.split_once(": ")).collect();
    let found = serialized()?;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for (i, (name, bytes)) in found.iter().enumerate() {
        let hex = hex(bytes);
        assert_eq!(golden.get(i), Some(&(*name, &hex[..])));
        assert_eq!(Partial::from_bytes(bytes).map(|partial| partial.to_bytes().to_vec()).as_ref(), Ok(bytes));
    }
    assert_eq!(golden.len(), found.len());
    Ok(())
}

/// Behind the sums, the counts and the value's own sum: whose it is.
#[test]
fn corrupt_partials_are_refused_or_come_back_as_they_are() -> penalty::Result<()> {
    const KIND: usize = 212;
    const NAME: std::ops::Range<usize> = 216..224;
    for (name, bytes) in serialized()? {
        let built_in = bytes[KIND] == 2;
        for at in 0..bytes.len() {
            for flip in [1, 0x80, 0xff] {
                let mut corrupt = bytes.clone();
                corrupt[at] ^= flip;
                match Partial::from_bytes(&corrupt) {
                    Ok(partial) => {
                        assert_eq!(partial.to_bytes().to_vec(), corrupt, "{name}: {at}");
                        assert!(!(built_in && NAME.contains(&at)), "{name}: an unknown name at {at}");
                        let _ = partial.report(&Penalty::none())?;
                    }
                    Err(error) => assert!(error.to_string().starts_with("not a serialized partial: "), "{error}"),
                }
            }
            assert!(Partial::from_bytes(&bytes[..at]).is_err());
        }
    }
    Ok(())
}
