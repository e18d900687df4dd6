// Fixed-point numbers: a group's weights as integers in units of a power of two. So sums over the group are exact and
// do not depend on their order.
//
// Twin of src/numeric/fixed.rs. Integers of 64 and 96 bits are vectors of 32-bit words, the lowest first. Weights are
// bits of finite f32s, +0 or at least 2^-120 in magnitude. Where a function rounds up, a sum is an upper bound, and a
// smaller unit gives a tighter one.

const MOST: vec3<u32> = vec3<u32>(0xffffffffu);

// The exponent of a non-zero weight.
fn exponent_below(bits: u32) -> i32 {
    return i32((bits & MAGNITUDE) >> 23u) - 127;
}

// |x|·2^(places − e), rounded up or down. For places = FINE and |x| ≥ 2^(e + 2), the result is only known to be ≥ 2^57.
fn units_of(bits: u32, e: i32, places: i32, up: bool) -> vec2<u32> {
    let significand = select((bits & 0x7fffffu) | 0x800000u, 0u, (bits & MAGNITUDE) == 0u);
    let shift = exponent_below(bits) - 23 + places - e;
    if (shift >= 32) {
        return vec2<u32>(0u, significand << u32(min(shift - 32, 2)));
    }
    if (shift >= 0) {
        let left = u32(shift);
        return vec2<u32>(significand << left, (significand >> 1u) >> (31u - left));
    }
    let right = u32(clamp(-shift, 0, 25));
    return vec2<u32>((significand + select(0u, (1u << right) - 1u, up)) >> right, 0u);
}

fn fine(bits: u32, e: i32) -> vec2<u32> {
    return units_of(bits, e, FINE, true);
}

fn coarse(bits: u32, e: i32) -> u32 {
    return units_of(bits, e, COARSE, true).x;
}

fn product(a: u32, b: u32) -> vec2<u32> {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
    let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
    return vec2<u32>((other << 16u) | (low & 0xffffu), (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u));
}

fn add_wide(a: vec3<u32>, b: vec3<u32>) -> vec3<u32> {
    let x = a.x + b.x;
    let carry = select(0u, 1u, x < a.x);
    let partial = a.y + b.y;
    let y = partial + carry;
    let carries = select(0u, 1u, partial < a.y) + select(0u, 1u, y < carry);
    return vec3<u32>(x, y, a.z + b.z + carries);
}

// a − b, for a ≥ b.
fn subtract_wide(a: vec3<u32>, b: vec3<u32>) -> vec3<u32> {
    let borrow = select(0u, 1u, a.x < b.x);
    let partial = a.y - b.y;
    let borrows = select(0u, 1u, a.y < b.y) + select(0u, 1u, partial < borrow);
    return vec3<u32>(a.x - b.x, partial - borrow, a.z - b.z - borrows);
}

fn at_most(a: vec3<u32>, b: vec3<u32>) -> bool {
    if (a.z != b.z) {
        return a.z < b.z;
    }
    if (a.y != b.y) {
        return a.y < b.y;
    }
    return a.x <= b.x;
}

// The number of bits up to the highest that is set.
fn bits_in(x: vec3<u32>) -> u32 {
    if (x.z != 0u) {
        return 96u - countLeadingZeros(x.z);
    }
    if (x.y != 0u) {
        return 64u - countLeadingZeros(x.y);
    }
    return 32u - countLeadingZeros(x.x);
}

// x·2^shift for a shift below 96; no bits may be lost.
fn shifted_left(x: vec3<u32>, shift: u32) -> vec3<u32> {
    var y = x;
    for (var words = shift >> 5u; words > 0u; words--) {
        y = vec3<u32>(0u, y.x, y.y);
    }
    let bits = shift & 31u;
    let carried = (y >> vec3<u32>(1u)) >> vec3<u32>(31u - bits);
    return (y << vec3<u32>(bits)) | vec3<u32>(0u, carried.x, carried.y);
}

fn shifted_right(x: vec3<u32>, shift: u32) -> vec3<u32> {
    var y = x;
    for (var words = min(shift >> 5u, 3u); words > 0u; words--) {
        y = vec3<u32>(y.y, y.z, 0u);
    }
    let bits = shift & 31u;
    let carried = (y << vec3<u32>(1u)) << vec3<u32>(31u - bits);
    return (y >> vec3<u32>(bits)) | vec3<u32>(carried.y, carried.z, 0u);
}

// The words of a bound, the limit of a group reduction: the upper and the lower half of its mantissa, then its
// exponent.
alias Bound = vec3<u32>;

// The exponent of a bound's highest bit; the smallest i32 for 0.
fn log2_of(bound: Bound) -> i32 {
    let bits = i32(bits_in(vec3<u32>(bound.y, bound.x, 0u)));
    return select(bitcast<i32>(bound.z) + bits - 1, -0x7fffffff - 1, bits == 0);
}

// The bound times an integer, in units of 2^-places, rounded down; at most what a sum can hold.
fn in_units(bound: Bound, times: u32, places: i32) -> vec3<u32> {
    let low = product(bound.y, times);
    let high = product(bound.x, times);
    let whole = add_wide(vec3<u32>(low, 0u), vec3<u32>(0u, high));
    let bits = bits_in(whole);
    let shift = bitcast<i32>(bound.z) + places;
    if (bits == 0u || shift <= -96) {
        return vec3<u32>(0u);
    }
    if (shift <= 0) {
        return shifted_right(whole, u32(-shift));
    }
    if (i32(bits) + shift > 96) {
        return MOST;
    }
    return shifted_left(whole, u32(shift));
}

// The significand of the f32 nearest to an integer, ties to even, at most 2^24; and by how many places it is shifted.
fn rounded(x: vec3<u32>) -> vec2<u32> {
    let bits = bits_in(x);
    if (bits <= 24u) {
        return vec2<u32>(x.x, 0u);
    }
    let cut = bits - 24u;
    var significand = shifted_right(x, cut).x;
    let rest = subtract_wide(x, shifted_left(vec3<u32>(significand, 0u, 0u), cut));
    let half = shifted_left(vec3<u32>(1u, 0u, 0u), cut - 1u);
    if (!at_most(rest, half) || (all(rest == half) && (significand & 1u) == 1u)) {
        significand++;
    }
    return vec2<u32>(significand, cut);
}

// The f32 nearest to an integer, ties to even.
fn nearest(x: vec3<u32>) -> f32 {
    let parts = rounded(x);
    if (parts.y == 0u) {
        return f32(parts.x);
    }
    // The significand's highest bit adds one to the exponent.
    return bitcast<f32>((((149u + parts.y) << 23u) + parts.x) ^ parameters.zero);
}

// x·2^e for x ≥ 0: at most the largest f32, and 0 below 2^-120.
fn scaled(x: f32, e: i32) -> f32 {
    let bits = bitcast<u32>(x);
    let exponent = i32(bits >> 23u) + clamp(e, -512, 512);
    if (bits < SMALLEST || exponent < 7) {
        return 0.0;
    }
    if (exponent >= 255) {
        return bitcast<f32>(0x7f7fffffu);
    }
    return bitcast<f32>((u32(exponent) << 23u) | (bits & 0x7fffffu));
}

// x·2^e as the sum of two f32s: the nearest one, and the one nearest to the rest.
fn two_floats(x: vec3<u32>, e: i32) -> vec2<f32> {
    // Anything above the largest f32 goes to the second.
    let most = shifted_left(vec3<u32>(LARGEST_SIGNIFICAND, 0u, 0u), u32(clamp(LARGEST_PLACES - e, 0, 72)));
    let parts = rounded(x);
    var first = shifted_left(vec3<u32>(parts.x, 0u, 0u), parts.y);
    first = select(most, first, at_most(first, most));
    let below = at_most(first, x);
    let rest = nearest(subtract_wide(select(first, x, below), select(x, first, below)));
    return vec2<f32>(scaled(nearest(first), e), select(-scaled(rest, e), scaled(rest, e), below));
}

// The significand of x > 0, from 1 to 2.
fn significand_of(x: f32) -> f32 {
    return bitcast<f32>((bitcast<u32>(x) & 0x7fffffu) | 0x3f800000u);
}

// The wide factor m·2^k for m > 0 as an integer: 9 bits of exponent, then 23 bits of fraction. It is 0 below 2^-250,
// and the largest factor from 2^251 on.
fn wide_factor(m: f32, k: i32) -> u32 {
    let exponent = i32(bitcast<u32>(m) >> 23u) - 127 + k;
    if (exponent < -WIDEST) {
        return 0u;
    }
    if (exponent > WIDEST) {
        return (u32(WIDEST + WIDE_BIAS) << 23u) | 0x7fffffu;
    }
    return (u32(exponent + WIDE_BIAS) << 23u) | (bitcast<u32>(m) & 0x7fffffu);
}

// A wide factor as an f32 c: the factor is |c| times the power of two in |c|, and twice that if c < 0.
fn wide_float(factor: u32) -> f32 {
    let half = (factor >> 24u) + 127u - (u32(WIDE_BIAS) >> 1u);
    let bits = ((factor << 8u) & 0x80000000u) | (half << 23u) | (factor & 0x7fffffu);
    return bitcast<f32>(select(bits, 0u, factor == 0u));
}

fn quotient_of(a: f32, b: f32) -> f32 {
    return quotient(vec4<f32>(a), vec4<f32>(b)).x;
}

fn root_of(x: f32) -> f32 {
    return root(vec4<f32>(x)).x;
}
