//! Quotients, roots and logarithms that have the same bits on every backend.
//!
//! Twin of `shaders/numeric/arithmetic.wgsl`. A processor rounds quotients and roots correctly. Devices do not, so
//! their results are corrected by an exact integer remainder. The logarithm uses additions and multiplications only.
//! All numbers are finite, and +0 or at least 2^-120.

use super::bits::bounded;

/// a/b for finite a ≥ 0 and b > 0, correctly rounded on every backend: at most `f32::MAX`, and +0 below 2^-120.
///
/// Here and in the other functions, a number that is not 0 must be at least 2^-120.
///
/// ```
/// use penalty::custom::quotient;
///
/// assert_eq!(quotient(3.0, 2.0), 1.5);
/// assert_eq!(quotient(f32::MAX, 0.5), f32::MAX); // not ∞
/// ```
#[inline(always)]
pub fn quotient(a: f32, b: f32) -> f32 {
    bounded(a / b)
}

/// √x for a finite x ≥ 0, correctly rounded on every backend.
///
/// ```
/// use penalty::custom::root;
///
/// assert_eq!(root(9.0), 3.0);
/// ```
#[inline(always)]
pub fn root(x: f32) -> f32 {
    x.sqrt()
}

/// x times a wide factor, which may lie outside the range of `f32`. [`wide_float`](crate::numeric::fixed::wide_float) encodes it
/// as c: the factor is |c| times the power of two in |c|, and twice that if c is negative. We multiply by two halves on
/// the same side of 1, so no intermediate result leaves the range of x and the product. Only the last product is
/// rounded.
#[inline(always)]
pub(crate) fn times_wide(x: f32, c: f32) -> f32 {
    let magnitude = c.to_bits() & 0x7fff_ffff;
    let power = f32::from_bits(magnitude & 0x7f80_0000);
    let rest = f32::from_bits(magnitude + (c.to_bits() >> 31 << 23));
    (x * power) * rest
}

/// ln(x + lost) for a finite x > 0, with the same bits on every backend and an error of at most 3 units in the last
/// place. `lost` is what rounding took from x, at most half a unit in x's last place.
///
/// x = 2ᵏ(1 + f) with 1 + f from √½ to √2. The polynomial for ln(1 + f) is that of `logf` in Moshier's Cephes.
///
/// ```
/// use penalty::custom::ln;
///
/// assert_eq!(ln(1.0, 0.0), 0.0);
/// assert_eq!(ln(1.0, 2f32.powi(-25)), 2f32.powi(-25)); // 1 + 2^-25 is no f32
/// ```
#[inline(always)]
pub fn ln(x: f32, lost: f32) -> f32 {
    let power = (x.to_bits() as i32 - 0x3f35_04f3) >> 23;
    let f = f32::from_bits((x.to_bits() as i32 - (power << 23)) as u32) - 1.0;
    let k = power as f32;
    let mut p = 0.070_376_836_f32;
    p = p * f + -0.115_146_1;
    p = p * f + 0.116_769_99;
    p = p * f + -0.124_201_41;
    p = p * f + 0.142_493_23;
    p = p * f + -0.166_680_58;
    p = p * f + 0.200_007_15;
    p = p * f + -0.249_999_94;
    p = p * f + 0.333_333_3;
    let square = f * f;
    let cube = square * f;
    let curved = cube * p + (-0.5 * square);
    // `lost` divided by x. Near x = 1, where this matters, these terms of the series give 1/(1 + f).
    let mut inverse = 1.0 + -f;
    inverse = 1.0 + -(f * inverse);
    inverse = 1.0 + -(f * inverse);
    let scale = f32::from_bits(((127 - if power < 126 { power } else { 126 }) << 23) as u32);
    let share = (lost * scale) * inverse;
    // ln 2 in two parts; k times the first is exact.
    let low = (k * -0.000_212_194_44 + curved) + share;
    k * 0.693_359_4 + (f + low)
}

/// ln(1 + u) for a finite u ≥ 0, with the same bits on every backend and an error of at most 3 units in the last place.
///
/// ```
/// use penalty::custom::ln_1p;
///
/// assert_eq!(ln_1p(0.0), 0.0);
/// assert_eq!(ln_1p(1e-10), 1e-10); // 1 + 1e-10 is no f32
/// ```
#[inline(always)]
pub fn ln_1p(u: f32) -> f32 {
    let y = 1.0 + u;
    ln(y, u - (y - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of every scale, close to the powers of two and far from them.
    fn numbers() -> impl Iterator<Item = f32> {
        let significands = [0, 1, 0x35_04f2, 0x35_04f3, 0x35_04f4, 0x40_0000, 0x7f_fffe, 0x7f_ffff];
        (7..255u32).flat_map(move |exponent| {
            let noise = (0..40u32).map(move |i| (exponent * 40 + i).wrapping_mul(2_654_435_761) >> 9);
            significands.into_iter().chain(noise).map(move |m| f32::from_bits(exponent << 23 | m))
        })
    }

    #[test]
    fn logarithms_keep_their_bound() {
        let check = |name: &str, x: f32, found: f32, want: f64| {
            let unit = 2f64.powf(want.abs().log2().floor() - 23.0);
            assert!((f64::from(found) - want).abs() <= 3.0 * unit, "{name} of {x:e}: {found:e}, not {want:e}");
        };
        for x in numbers() {
            check("ln", x, ln(x, 0.0), f64::from(x).ln());
            if x < 2f32.powi(31) {
                check("ln_1p", x, ln_1p(x), f64::from(x).ln_1p());
            }
        }
        assert_eq!(ln_1p(0.0).to_bits(), 0);
        assert_eq!(ln(1.0, 0.0).to_bits(), 0);
    }

    #[test]
    fn quotients_end_where_floats_do() {
        assert_eq!(quotient(f32::MAX, 0.5), f32::MAX);
        assert_eq!(quotient(0.0, 0.5).to_bits(), 0);
        assert_eq!(quotient(2f32.powi(-119), 2.0), 2f32.powi(-120));
        assert_eq!(quotient(2f32.powi(-119), 2.5).to_bits(), 0);
    }
}
