// Resolves a set's exact results on the device: each tensor's value, Σ|θ|, Σθ² and max|θ| as f32, and the total.
//
// One workgroup is enough: there are far fewer tensors than weights. A sum is its exact integer rounded once to f32, to
// nearest even. The total's sums come from the exact total. Only the value needs floats: a tensor's is its products and
// their sum, and the total's is the sum of the tensors' values, added in one order.

@group(0) @binding(3) var<storage, read_write> finished: array<vec4<u32>>;

// Each thread's part of the total value.
var<workgroup> values: array<f32, THREADS>;

// A limb of a segment's result, or of the total that this workgroup has summed.
fn limb_of(segment: u32, limb: u32) -> u32 {
    if (segment == parameters.spans) {
        return atomicLoad(&limbs[limb]);
    }
    return atomicLoad(&results[(segment + 1u) * WORDS + limb]);
}

// The accumulator of `count` limbs whose lowest bit is 2^lowest, rounded to f32. Below 2^-120 it is 0.
fn rounded(segment: u32, first: u32, count: u32, lowest: i32) -> f32 {
    var top = count;
    var high = 0u;
    while (top > 0u && high == 0u) {
        top--;
        high = limb_of(segment, first + top);
    }
    if (high == 0u) {
        return 0.0;
    }
    // The 32 bits from the highest set bit on, and whether any bit below them is set.
    var low = 0u;
    if (top > 0u) {
        low = limb_of(segment, first + top - 1u);
    }
    let zeros = countLeadingZeros(high);
    let leading = select((high << zeros) | (low >> ((32u - zeros) & 31u)), high, zeros == 0u);
    var rest = low << zeros;
    for (var limb = 0u; limb + 1u < top; limb++) {
        rest |= limb_of(segment, first + limb);
    }
    let cut = leading & 0xffu;
    var significand = leading >> 8u;
    if (cut > 0x80u || (cut == 0x80u && (rest != 0u || (significand & 1u) == 1u))) {
        significand++;
    }
    // The significand's highest bit adds one to the exponent, and a carry out of the significand adds another.
    let exponent = 126 + 31 + 32 * i32(top) - i32(zeros) + lowest;
    if (exponent >= 254) {
        return bitcast<f32>(INFINITY ^ parameters.zero);
    }
    let bits = (u32(max(exponent, 0)) << 23u) + significand;
    return bitcast<f32>(select(bits, 0u, bits < SMALLEST) ^ parameters.zero);
}

// λ₁Σ|θ| + λ₂Σθ² + λ₃Σterm. A summand whose λ or whose sum is 0 is left out. One whose λ is infinite is infinite.
fn value_of(segment: u32, sums: vec3<f32>) -> f32 {
    var value = 0.0;
    for (var i = 0u; i < 3u; i++) {
        let weight = table[COEFFICIENTS + RECORD * segment + 2u][i + 1u];
        if (weight != 0u && bitcast<u32>(sums[i]) != 0u) {
            if (weight == INFINITY) {
                return bitcast<f32>(INFINITY ^ parameters.zero);
            }
            value = opaque_one(value + opaque_one(bitcast<f32>(weight) * sums[i]));
        }
    }
    return value;
}

fn write_finished(segment: u32, row: u32, value: f32, l1: f32, l2_squared: f32) {
    let nans = limb_of(segment, NANS) | limb_of(segment, NANS + 1u);
    let infinities = limb_of(segment, INFINITIES) | limb_of(segment, INFINITIES + 1u);
    let finite = vec4<u32>(
        bitcast<u32>(value), bitcast<u32>(l1), bitcast<u32>(l2_squared), limb_of(segment, LARGEST),
    );
    let special = select(INFINITY, NAN, nans != 0u);
    finished[parameters.first_span + row] = select(finite, vec4<u32>(special), (nans | infinities) != 0u);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) thread: u32) {
    let segments = parameters.spans;
    if (thread < WORDS) {
        atomicStore(&limbs[thread], 0u);
    }
    workgroupBarrier();
    var value = 0.0;
    for (var segment = thread; segment < segments; segment += THREADS) {
        let l1 = rounded(segment, L1, L2_SQUARED - L1, -149);
        let l2_squared = rounded(segment, L2_SQUARED, NONZERO - L2_SQUARED, -298);
        let terms = rounded(segment, TERMS, WORDS - TERMS, -149);
        let of_segment = value_of(segment, vec3<f32>(l1, l2_squared, terms));
        value = opaque_one(value + of_segment);
        write_finished(segment, segment + 1u, of_segment, l1, l2_squared);
        // Counts are added as limbs are: a count's upper word never overflows.
        for (var limb = 0u; limb < WORDS; limb++) {
            if (limb == LARGEST) {
                continue;
            }
            let bound = limb_of(segment, limb);
            if (bound != 0u) {
                add_limb(limb, bound);
            }
        }
        atomicMax(&limbs[LARGEST], limb_of(segment, LARGEST));
    }
    values[thread] = value;
    for (var width = 128u; width > 0u; width >>= 1u) {
        workgroupBarrier();
        if (thread < width) {
            values[thread] = opaque_one(values[thread] + values[thread + width]);
        }
    }
    workgroupBarrier();
    if (thread == 0u) {
        let l1 = rounded(segments, L1, L2_SQUARED - L1, -149);
        let l2_squared = rounded(segments, L2_SQUARED, NONZERO - L2_SQUARED, -298);
        write_finished(segments, 0u, values[0], l1, l2_squared);
    }
    if (thread < WORDS) {
        atomicStore(&results[(segments + 1u) * WORDS + thread], atomicLoad(&limbs[thread]));
    }
}
