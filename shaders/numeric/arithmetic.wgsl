// Quotients, roots and logarithms that have the same bits on every backend.
//
// Twin of src/numeric/arithmetic.rs. A device's quotient or root may be off by some units in the last place. The
// remainder of the significand tells by how many: an exact integer, and small, so its lower 32 bits suffice. Divided as
// a float, it gives a correction that leaves at most half a unit and 2^-17 of one. Then integers are compared. All
// numbers are finite, and +0 or at least 2^-120.

// A significand is an integer from 2^23 to 2^24. As a float from 1 to 2, it has these bits more.
const SIGNIFICAND: u32 = 0x3f000000u;
// A significand with the difference of two exponents is above -247 exponents. With so many more it has no sign.
const EXPONENTS: u32 = 247u << 23u;

fn significand_of_bits(bits: vec4<u32>) -> vec4<u32> {
    return (bits & vec4<u32>(0x7fffffu)) | vec4<u32>(0x800000u);
}

// The integer nearest to x, for |x| < 2^22: the lower bits of a sum whose unit is 1.
fn nearest_integer(x: vec4<f32>) -> vec4<u32> {
    return bitcast<vec4<u32>>(x + 12582912.0) - vec4<u32>(0x4b400000u);
}

// 1 for a negative integer, else 0.
fn sign_bit(x: vec4<u32>) -> vec4<u32> {
    return x >> vec4<u32>(31u);
}

// a/b for a ≥ 0 and b > 0, correctly rounded: at most the largest f32, and +0 below 2^-120.
fn quotient(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    let a_bits = bitcast<vec4<u32>>(a);
    let b_bits = bitcast<vec4<u32>>(b);
    let divisor = significand_of_bits(b_bits);
    let m = bitcast<vec4<f32>>(significand_of_bits(a_bits) + vec4<u32>(SIGNIFICAND));
    let n = bitcast<vec4<f32>>(divisor + vec4<u32>(SIGNIFICAND));
    // If m is doubled where it is less, the quotient is from 1 to 2. As an integer q, it is m·2^23/n.
    let less = m < n;
    var q = bitcast<vec4<u32>>(select(m, m + m, less) / n) - vec4<u32>(SIGNIFICAND);
    let dividend = a_bits << vec4<u32>(23u);
    let rest = select(dividend, dividend + dividend, less) - q * divisor;
    let correction = nearest_integer(vec4<f32>(bitcast<vec4<i32>>(rest)) * (1.1920929e-7 / n));
    q += correction;
    // Twice what is left is never the divisor: the dividend would have 25 bits.
    let twice = 2u * (rest - correction * divisor);
    q += sign_bit(divisor - twice) - sign_bit(divisor + twice);
    let borrowed = select(vec4<u32>(0u), vec4<u32>(0x800000u), less);
    let exponent = (a_bits & vec4<u32>(INFINITY)) - (b_bits & vec4<u32>(INFINITY)) - borrowed;
    let above = min(q + exponent + vec4<u32>(EXPONENTS), vec4<u32>(LARGEST_FLOAT - SIGNIFICAND + EXPONENTS));
    let zero = (above < vec4<u32>(SMALLEST - SIGNIFICAND + EXPONENTS)) | (a_bits == vec4<u32>(0u));
    return bitcast<vec4<f32>>(select(above - vec4<u32>(EXPONENTS - SIGNIFICAND), vec4<u32>(0u), zero));
}

// √x for x ≥ 0, correctly rounded.
fn root(x: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(x);
    // x times a power of 4, from 1 to 4. As an integer s, its root is √(m·2^23); m is doubled if the exponent is odd.
    let m = ((bits & vec4<u32>(0xffffffu)) ^ vec4<u32>(0x800000u)) + vec4<u32>(0x3f800000u);
    let near = sqrt(bitcast<vec4<f32>>(m));
    var s = bitcast<vec4<u32>>(near) - vec4<u32>(SIGNIFICAND);
    let square = bits << (vec4<u32>(24u) - ((bits >> vec4<u32>(23u)) & vec4<u32>(1u)));
    let rest = square - s * s;
    s += nearest_integer(vec4<f32>(bitcast<vec4<i32>>(rest)) * (5.9604645e-8 / near));
    // The root is above s + ½ if its square is above s² + s, and below s − ½ if its square is at most s² − s.
    let left = square - s * s;
    s += sign_bit(s - left) - sign_bit(s + left - vec4<u32>(1u));
    let exponent = ((bits + vec4<u32>(0x3f800000u)) >> vec4<u32>(1u)) & vec4<u32>(INFINITY);
    return bitcast<vec4<f32>>(select(exponent + s - vec4<u32>(0x800000u), vec4<u32>(0u), bits == vec4<u32>(0u)));
}

// x times a wide factor, which may lie outside the range of f32. The factor is |c| times the power of two in |c|, and
// twice that if c is negative. Only the last product is rounded.
fn times_wide(x: vec4<f32>, c: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(c);
    let magnitude = bits & vec4<u32>(MAGNITUDE);
    let power = bitcast<vec4<f32>>(magnitude & vec4<u32>(INFINITY));
    let rest = bitcast<vec4<f32>>(magnitude + ((bits >> vec4<u32>(31u)) << vec4<u32>(23u)));
    return opaque(opaque(x * power) * rest);
}

// ln(x + lost) for x > 0, with `lost` at most half a unit in x's last place. The error is at most 3 units in the last
// place.
fn ln(x: vec4<f32>, lost: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<i32>>(x);
    let power = (bits - vec4<i32>(0x3f3504f3)) >> vec4<u32>(23u);
    let f = opaque(bitcast<vec4<f32>>(bits - power * vec4<i32>(0x800000)) - 1.0);
    let k = vec4<f32>(power);
    var p = vec4<f32>(0.070376836);
    p = opaque(opaque(p * f) + -0.1151461);
    p = opaque(opaque(p * f) + 0.11676999);
    p = opaque(opaque(p * f) + -0.12420141);
    p = opaque(opaque(p * f) + 0.14249323);
    p = opaque(opaque(p * f) + -0.16668058);
    p = opaque(opaque(p * f) + 0.20000715);
    p = opaque(opaque(p * f) + -0.24999994);
    p = opaque(opaque(p * f) + 0.3333333);
    let square = opaque(f * f);
    let cube = opaque(square * f);
    let curved = opaque(opaque(cube * p) + opaque(-0.5 * square));
    // `lost` divided by x. Near x = 1, where this matters, these terms of the series give 1/(1 + f).
    var inverse = opaque(1.0 + -f);
    inverse = opaque(1.0 + -opaque(f * inverse));
    inverse = opaque(1.0 + -opaque(f * inverse));
    let scale = bitcast<vec4<f32>>((vec4<i32>(127) - min(power, vec4<i32>(126))) * vec4<i32>(0x800000));
    let share = opaque(opaque(lost * scale) * inverse);
    // ln 2 in two parts; k times the first is exact.
    let low = opaque(opaque(opaque(k * -0.00021219444) + curved) + share);
    return opaque(opaque(k * 0.6933594) + opaque(f + low));
}

// ln(1 + u) for u ≥ 0, within 3 units in the last place.
fn ln_1p(u: vec4<f32>) -> vec4<f32> {
    let y = opaque(1.0 + u);
    return ln(y, opaque(u - opaque(y - 1.0)));
}
