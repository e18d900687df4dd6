// Sums of usual weights, which need no test but one of the sums: each is 0 or at least USUAL in magnitude, and finite.
// src/formula/steps.rs says why nothing else need be flushed.

// a + b. −0 becomes +0, as the flushed sum does.
fn usual_sum(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return opaque(opaque(a) + opaque(b) + bitcast<f32>(parameters.zero));
}

// The smallest of sums' bits, from which 1 is subtracted so that 0 is the largest, and the largest of them.
struct Extremes {
    least: vec4<u32>,
    most: vec4<u32>,
}

fn extremes_of(magnitude: vec4<u32>) -> Extremes {
    return Extremes(magnitude - vec4<u32>(1u), magnitude);
}

fn extremes_of_sum(sum: vec4<f32>) -> Extremes {
    return extremes_of(magnitude_of(bitcast<vec4<u32>>(sum)));
}

fn joined(a: Extremes, b: Extremes) -> Extremes {
    return Extremes(min(a.least, b.least), max(a.most, b.most));
}

// Whether sums with these extremes are usual.
fn are_usual(e: Extremes) -> bool {
    let least = min(min(e.least.x, e.least.y), min(e.least.z, e.least.w));
    return least >= USUAL - 1u && !any_special(e.most);
}

// The steps' factors must be at most 1 in magnitude: else no weight is usual.
fn are_small(factors: vec4<f32>) -> bool {
    return all(abs(factors) <= vec4<f32>(1.0));
}
