// Quotients, roots and logarithms that have the same bits on every backend.
//
// Twin of src/numeric/arithmetic.rs. A device's quotient or root may be off by some units in the last place. The
// remainder of the significand corrects it: an exact integer, and small, so its lower 32 bits suffice. All numbers are
// finite, and +0 or at least 2^-120.

// The f32 with a significand from 2^23 to 2^24 and an exponent from -382: at most the largest f32, and +0 below 2^-120.
fn assembled(significand: vec4<i32>, exponent: vec4<i32>) -> vec4<f32> {
    let bits = (min(exponent, vec4<i32>(128)) + vec4<i32>(126)) * vec4<i32>(0x800000) + significand;
    let bounded = min(bits, vec4<i32>(0x7f7fffff));
    return bitcast<vec4<f32>>(select(bounded, vec4<i32>(0), bounded < vec4<i32>(i32(SMALLEST))));
}

// a/b for a ≥ 0 and b > 0, correctly rounded: at most the largest f32, and +0 below 2^-120.
fn quotient(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    let a_bits = bitcast<vec4<u32>>(a);
    let b_bits = bitcast<vec4<u32>>(b);
    var m = vec4<i32>((a_bits & vec4<u32>(0x7fffffu)) | vec4<u32>(0x800000u));
    let n = vec4<i32>((b_bits & vec4<u32>(0x7fffffu)) | vec4<u32>(0x800000u));
    var exponent = vec4<i32>(a_bits >> vec4<u32>(23u)) - vec4<i32>(b_bits >> vec4<u32>(23u));
    let less = m < n;
    m = select(m, m * vec4<i32>(2), less);
    exponent = select(exponent, exponent - vec4<i32>(1), less);
    // m·2^23/n is between 2^23 and 2^24.
    let divisor = vec4<f32>(n);
    var q = vec4<i32>(vec4<f32>(m) / divisor * 8388608.0);
    var rest = m * vec4<i32>(0x800000) - q * n;
    let correction = vec4<i32>(round(vec4<f32>(rest) / divisor));
    q += correction;
    rest -= correction * n;
    q += select(vec4<i32>(0), vec4<i32>(1), 2 * rest > n) - select(vec4<i32>(0), vec4<i32>(1), 2 * rest < -n);
    return select(assembled(q, exponent), vec4<f32>(0.0), a_bits == vec4<u32>(0u));
}

// √x for x ≥ 0, correctly rounded.
fn root(x: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(x);
    var m = vec4<i32>((bits & vec4<u32>(0x7fffffu)) | vec4<u32>(0x800000u));
    var exponent = vec4<i32>(bits >> vec4<u32>(23u)) - vec4<i32>(127);
    let odd = (exponent & vec4<i32>(1)) == vec4<i32>(1);
    m = select(m, m * vec4<i32>(2), odd);
    // Rounded down.
    exponent = exponent >> vec4<u32>(1u);
    // √(m·2^23) is between 2^23 and 2^24.
    var s = vec4<i32>(sqrt(vec4<f32>(m)) * 2896.3093);
    var rest = m * vec4<i32>(0x800000) - s * s;
    s += vec4<i32>(round(vec4<f32>(rest) / vec4<f32>(2 * s)));
    rest = m * vec4<i32>(0x800000) - s * s;
    s += select(vec4<i32>(0), vec4<i32>(1), rest > s) - select(vec4<i32>(0), vec4<i32>(1), rest <= -s);
    // The exponent is at most 64 in magnitude.
    let assembled = bitcast<vec4<f32>>((exponent + vec4<i32>(126)) * vec4<i32>(0x800000) + s);
    return select(assembled, vec4<f32>(0.0), bits == vec4<u32>(0u));
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
