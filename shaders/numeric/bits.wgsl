// Bits of f32, and arithmetic on them with the same results everywhere: the rules for tiny, infinite and NaN numbers.
//
// Twin of src/numeric/bits.rs, for four weights at a time.

// +0 for a number below 2^-120 in magnitude, −0 included.
fn flush_bits(bits: vec4<u32>) -> vec4<u32> {
    return select(bits, vec4<u32>(0u), (bits & vec4<u32>(MAGNITUDE)) < vec4<u32>(SMALLEST));
}

fn flush(x: vec4<f32>) -> vec4<f32> {
    return bitcast<vec4<f32>>(flush_bits(bitcast<vec4<u32>>(opaque(x))));
}

// Element weights from their bits: the largest f32 for an infinity, +0 for a NaN, a negative number or one below
// 2^-120.
fn element_weights(bits: vec4<u32>) -> vec4<f32> {
    let weighs = bits - vec4<u32>(SMALLEST) <= vec4<u32>(INFINITY - SMALLEST);
    return bitcast<vec4<f32>>(select(vec4<u32>(0u), min(bits, vec4<u32>(LARGEST_FLOAT)), weighs));
}

// A product or a sum ≥ 0, limited to the range of later steps: at most the largest f32, and +0 below 2^-120.
fn bounded(x: vec4<f32>) -> vec4<f32> {
    return bitcast<vec4<f32>>(min(bitcast<vec4<u32>>(flush(x)), vec4<u32>(LARGEST_FLOAT)));
}

// If a number `must` not be rounded away from 0, clears the last bits of its significand. It then fits a shorter type
// exactly.
fn toward_zero(x: vec4<f32>, lost_bits: vec4<f32>, must: vec4<bool>) -> vec4<f32> {
    let kept = vec4<u32>(0xffffffffu) << (vec4<u32>(lost_bits) & vec4<u32>(31u));
    return bitcast<vec4<f32>>(bitcast<vec4<u32>>(x) & select(vec4<u32>(0xffffffffu), kept, must));
}

// The floats of finite bits, +0 for all others.
fn finite_floats(bits: vec4<u32>, magnitude: vec4<u32>) -> vec4<f32> {
    let finite = select(vec4<u32>(0u), bits, magnitude < vec4<u32>(INFINITY));
    return bitcast<vec4<f32>>(flush_bits(finite));
}

fn magnitude_of(bits: vec4<u32>) -> vec4<u32> {
    return bits & vec4<u32>(MAGNITUDE);
}

// The floats of bits that are finite, or whose float is not used.
fn flushed(bits: vec4<u32>) -> vec4<f32> {
    return bitcast<vec4<f32>>(flush_bits(bits));
}

// Whether one of four numbers is not finite, from their magnitudes.
fn any_special(magnitude: vec4<u32>) -> bool {
    return max(max(magnitude.x, magnitude.y), max(magnitude.z, magnitude.w)) >= INFINITY;
}

// An existing gradient plus another. A NaN keeps its bits, and the existing NaN wins; ∞ − ∞ is 0x7fc00000.
fn add_bits(existing: vec4<u32>, more: vec4<u32>) -> vec4<u32> {
    let sum = finite_sum(flush_bits(existing), flush_bits(more));
    if (any_special(max(magnitude_of(existing), magnitude_of(more)))) {
        return add_special(sum, existing, more);
    }
    return sum;
}

// The sum of numbers that are finite, and +0 or at least 2^-120 in magnitude.
fn finite_sum(a: vec4<u32>, b: vec4<u32>) -> vec4<u32> {
    return bitcast<vec4<u32>>(flush(bitcast<vec4<f32>>(a) + bitcast<vec4<f32>>(b)));
}

// `add_bits` from the sum that it is if both numbers are finite.
fn add_special(finite: vec4<u32>, existing: vec4<u32>, more: vec4<u32>) -> vec4<u32> {
    let e = magnitude_of(existing);
    let m = magnitude_of(more);
    let infinity = vec4<u32>(INFINITY);
    var sum = select(finite, more, m == infinity);
    sum = select(sum, existing, e == infinity);
    sum = select(sum, vec4<u32>(NAN), (e == infinity) & (m == infinity) & (existing != more));
    sum = select(sum, more, m > infinity);
    return select(sum, existing, e > infinity);
}

// A number times a finite factor. A NaN keeps its bits. An infinity times 0 is 0, else it stays infinite.
fn scale_bits(x: vec4<u32>, factor: f32) -> vec4<u32> {
    let product = flush(flushed(x) * factor);
    if (any_special(magnitude_of(x))) {
        return scale_special(product, x, factor);
    }
    return bitcast<vec4<u32>>(product);
}

// `scale_bits` from the product that it is if the number is finite.
fn scale_special(finite_product: vec4<f32>, x: vec4<u32>, factor: f32) -> vec4<u32> {
    let magnitude = magnitude_of(x);
    let bits = bitcast<u32>(factor);
    let infinite = select(x ^ vec4<u32>(bits & 0x80000000u), vec4<u32>(0u), (bits & MAGNITUDE) == 0u);
    let ordered = select(infinite, bitcast<vec4<u32>>(finite_product), magnitude < vec4<u32>(INFINITY));
    return select(ordered, x, magnitude > vec4<u32>(INFINITY));
}

// Soft thresholding: v − clamp(v, −t, t), rounded once.
fn threshold(v: vec4<f32>, t: vec4<f32>) -> vec4<f32> {
    return opaque(v - clamp(v, -t, t));
}

// A magnitude ≥ 0 with the sign of `like`.
fn signed(magnitude: vec4<f32>, like: vec4<f32>) -> vec4<f32> {
    let sign = bitcast<vec4<u32>>(like) & vec4<u32>(0x80000000u);
    return bitcast<vec4<f32>>(bitcast<vec4<u32>>(magnitude) | sign);
}
