//! The 8-bit floats of safetensors: decoded exactly to `f32`, and encoded to the nearest, of two equally near the even one.

use std::fmt::{self, Display, Formatter};
use std::sync::LazyLock;

/// A type whose weights are read as `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Float8 {
    /// 4 bits of exponent, 3 of mantissa; no infinity, and one NaN of each sign.
    E4M3,
    /// 5 bits of exponent, 2 of mantissa, as the upper half of `f16`.
    E5M2,
}

impl Display for Float8 {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Float8::E4M3 => "F8_E4M3",
            Float8::E5M2 => "F8_E5M2",
        })
    }
}

/// The magnitudes of the numbers of a type, ascending: the index of each is its code. The last is not a number of the
/// type: from halfway to it on, a number is too large.
fn magnitudes(of: Float8) -> &'static [f32] {
    static OF: LazyLock<[Vec<f32>; 2]> = LazyLock::new(|| {
        let table = |codes: u32, mantissa: u32, bias: i32| -> Vec<f32> {
            let number = |code: u32| {
                let (exponent, fraction) = ((code >> mantissa) as i32, (code & ((1 << mantissa) - 1)) as f32);
                let fraction = fraction / (1 << mantissa) as f32;
                match exponent {
                    0 => fraction * 2f32.powi(1 - bias),
                    _ => (1.0 + fraction) * 2f32.powi(exponent - bias),
                }
            };
            (0..=codes).map(number).collect()
        };
        [table(0x7f, 3, 7), table(0x7c, 2, 15)]
    });
    &OF[of as usize]
}

impl Float8 {
    /// The bits of the `f32` that a code means. A NaN keeps its payload.
    pub(crate) fn decode(self, code: u8) -> u32 {
        let (sign, code) = (u32::from(code >> 7) << 31, code & 0x7f);
        let of = magnitudes(self);
        sign | match of[..of.len() - 1].get(usize::from(code)) {
            Some(number) => number.to_bits(),
            None if self == Float8::E4M3 => 0x7fc0_0000,
            None => 0x7f80_0000 | u32::from(code & 3) << 21,
        }
    }

    /// The code of the number that is nearest to an `f32`. What is too large becomes infinite or, since E4M3 has no
    /// infinity, its largest number.
    pub(crate) fn encode(self, bits: u32) -> u8 {
        let (sign, magnitude) = ((bits >> 31 << 7) as u8, bits & 0x7fff_ffff);
        let of = magnitudes(self);
        let largest = of.len() - 2;
        sign | match (self, magnitude) {
            (Float8::E4M3, 0x7f80_0000..) => 0x7f,
            (Float8::E5M2, 0x7f80_0000) => 0x7c,
            (Float8::E5M2, 0x7f80_0001..) => {
                0x7c | ((magnitude >> 21 & 3) as u8).max(u8::from(magnitude & 0x60_0000 == 0) << 1)
            }
            _ => {
                let x = f64::from(f32::from_bits(magnitude));
                let above = of.partition_point(|number| f64::from(*number) < x);
                let code = match above {
                    0 => 0,
                    _ if above == of.len() => above - 1,
                    _ => {
                        // Halfway between two numbers is exact.
                        let half = (f64::from(of[above - 1]) + f64::from(of[above])) / 2.0;
                        let is_below = x < half || (x == half && above % 2 == 1);
                        if is_below { above - 1 } else { above }
                    }
                };
                // After E5M2's largest number comes the code of infinity.
                (if self == Float8::E4M3 { code.min(largest) } else { code }) as u8
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use penalty::half::f16;

    use super::*;

    #[test]
    fn codes_mean_what_the_formats_say() {
        for code in 0..=255u8 {
            // E5M2 is the upper half of an f16.
            let half = f16::from_bits(u16::from(code) << 8);
            let bits = Float8::E5M2.decode(code);
            assert!(half.is_nan() && f32::from_bits(bits).is_nan() || half.to_f32().to_bits() == bits, "{code:#x}");
        }
        let e4m3 = |code| f32::from_bits(Float8::E4M3.decode(code));
        let known = [(0x00, 0.0), (0x01, 2f32.powi(-9)), (0x07, 7.0 * 2f32.powi(-9)), (0x08, 2f32.powi(-6))];
        for (code, number) in known.into_iter().chain([(0x38, 1.0), (0x7e, 448.0), (0xb8, -1.0), (0xfe, -448.0)]) {
            assert_eq!(e4m3(code), number, "{code:#x}");
        }
        assert!(e4m3(0x7f).is_nan() && e4m3(0xff).is_nan() && e4m3(0x80).is_sign_negative());
    }

    #[test]
    fn every_code_comes_back() {
        for of in [Float8::E4M3, Float8::E5M2] {
            (0..=255).for_each(|code| assert_eq!(of.encode(of.decode(code)), code, "{of} {code:#x}"));
        }
    }

    #[test]
    fn numbers_are_rounded_to_the_nearest() {
        for of in [Float8::E4M3, Float8::E5M2] {
            let number = |code| f64::from(f32::from_bits(of.decode(code)));
            let largest = if of == Float8::E4M3 { 0x7e } else { 0x7b };
            for code in 0..largest {
                let half = ((number(code) + number(code + 1)) / 2.0) as f32;
                let even = if code % 2 == 0 { code } else { code + 1 };
                for sign in [0, 0x80] {
                    let encode = |x: u32| of.encode(x | u32::from(sign) << 24);
                    assert_eq!(encode(half.to_bits()), even | sign, "{of} {code:#x}");
                    assert_eq!(encode(half.to_bits() - 1), code | sign, "{of} {code:#x}");
                    assert_eq!(encode(half.to_bits() + 1), (code + 1) | sign, "{of} {code:#x}");
                }
            }
        }
        let codes = |of: Float8, numbers: [f32; 4]| numbers.map(|x| of.encode(x.to_bits()));
        assert_eq!(codes(Float8::E4M3, [448.0, 500.0, 1e30, f32::INFINITY]), [0x7e, 0x7e, 0x7e, 0x7f]);
        assert_eq!(codes(Float8::E5M2, [57344.0, 61439.0, 61440.0, f32::INFINITY]), [0x7b, 0x7b, 0x7c, 0x7c]);
        assert_eq!(codes(Float8::E5M2, [1e30, 1e-30, -1e-30, 0.0]), [0x7c, 0, 0x80, 0]);
        // A NaN with nothing in the upper bits of its payload stays one.
        assert_eq!(Float8::E5M2.encode(0x7f80_0001), 0x7e);
    }
}
