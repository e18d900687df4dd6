// Exact sums: fixed-point accumulators of 32-bit limbs, little-endian.
//
// Twin of src/numeric/accumulator.rs. A segment's result is 52 words: 12 limbs of Σ|θ| from 2^-149, 20 limbs of Σθ²
// from 2^-298, the 64-bit counts of non-zero, NaN and infinite weights, the bits of max|θ|, an unused word, and 12
// limbs of the term sum from 2^-149. A header of the same size comes before the first segment; src/gpu/recorder.rs
// describes it.

@group(0) @binding(2) var<storage, read_write> results: array<atomic<u32>>;

// This workgroup's sums.
var<workgroup> limbs: array<atomic<u32>, WORDS>;

// Adds to a limb, and carries into those above it.
fn add_limb(first: u32, bound: u32) {
    var limb = first;
    var carry = bound;
    while (carry != 0u) {
        let old = atomicAdd(&limbs[limb], carry);
        carry = select(0u, 1u, old + carry < old);
        limb++;
    }
}

// The same for the device's memory. An atomic addition returns the old value, which tells the carry. So every
// interleaving of workgroups ends in the same integer.
fn add_result(first: u32, bound: u32) {
    var word = first;
    var carry = bound;
    while (carry != 0u) {
        let old = atomicAdd(&results[word], carry);
        carry = select(0u, 1u, old + carry < old);
        word++;
    }
}

// Adds a non-negative f32 whose lowest subnormal bit is bit `at` of the accumulator that begins at limb `first`.
fn add_f32(first: u32, x: f32, at: i32) {
    let bits = bitcast<u32>(x);
    if (bits == 0u) {
        return;
    }
    let exponent = i32(max(bits >> 23u, 1u));
    var significand = select((bits & 0x7fffffu) | 0x800000u, bits, bits < 0x800000u);
    var position = exponent - 1 + at;
    if (position < 0) {
        // This shifts out zeros only: a scaled tile's sum is a multiple of the accumulator's lowest bit.
        significand >>= u32(-position);
        position = 0;
    }
    let limb = first + (u32(position) >> 5u);
    let shift = u32(position) & 31u;
    add_limb(limb, significand << shift);
    if (shift > 8u) {
        add_limb(limb + 1u, significand >> (32u - shift));
    }
}
