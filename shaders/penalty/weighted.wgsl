// Weighted L1 and the weighted elastic net: the elastic net with an element weight w ≥ 0 for each θ. Twin of
// src/penalty/weighted.rs.

// 2^57 and 2^115.
const LARGE_FROM: f32 = 144115188075855872.0;
const LARGEST_SHARE: u32 = 0x79000000u;

// The elastic net's coefficients for these element weights.
fn weighed(c: Coefficients) -> array<vec4<f32>, 2> {
    return array(bounded(c[0] * c[4]), bounded(c[1] * c[4]));
}

// w|θ|(α + (1−α)|θ|), limited to what can be summed.
fn term(theta: vec4<f32>, t: TermCoefficients) -> vec4<f32> {
    let a = abs(theta);
    let share = opaque(opaque(t[2] * a) * opaque(t[0] + opaque(t[1] * a)));
    let most = select(vec4<u32>(LARGEST_FLOAT), vec4<u32>(LARGEST_SHARE), a < vec4<f32>(LARGE_FROM));
    return bitcast<vec4<f32>>(min(bitcast<vec4<u32>>(share), most));
}

fn gradient(theta: vec4<f32>, c: Coefficients) -> vec4<f32> {
    let n = weighed(c);
    let bits = bitcast<vec4<u32>>(theta);
    let sign = bits & vec4<u32>(0x80000000u);
    let kink = select(bitcast<vec4<u32>>(n[0]) | sign, vec4<u32>(0u), bits == vec4<u32>(0u));
    let slope = flush(n[1] * theta);
    return bitcast<vec4<f32>>(kink) + slope;
}

fn gradient_limits(c: Coefficients) -> Limits {
    let n = weighed(c);
    let limit = select(vec4<u32>(INFINITY), bitcast<vec4<u32>>(n[0]), bitcast<vec4<u32>>(n[1]) == vec4<u32>(0u));
    return Limits(limit | vec4<u32>(0x80000000u), limit);
}

// (v − clamp(v, −c₀w, c₀w))/(1 + c₁w).
fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> {
    let n = weighed(c);
    return threshold(v, n[0]) * quotient(vec4<f32>(1.0), bounded(1.0 + n[1]));
}

// (v − clamp(v, −c₀w/d, c₀w/d))·d/(d + c₁w).
fn metric_prox(v: vec4<f32>, d: vec4<f32>, c: Coefficients) -> vec4<f32> {
    let n = weighed(c);
    return threshold(v, quotient(n[0], d)) * quotient(d, bounded(d + n[1]));
}
