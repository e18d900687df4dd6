// None, L1, L2² and the elastic net: λ₁Σ|θ| + λ₂Σθ², one formula with two coefficients. Twin of src/penalty/elastic_net.rs.

// c₀·sign θ + c₁·θ.
fn gradient(theta: vec4<f32>, c: Coefficients) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(theta);
    let sign = bits & vec4<u32>(0x80000000u);
    let kink = select(bitcast<vec4<u32>>(c[0]) | sign, vec4<u32>(0u), bits == vec4<u32>(0u));
    let slope = flush(c[1] * theta);
    return bitcast<vec4<f32>>(kink) + slope;
}

fn gradient_limits(c: Coefficients) -> Limits {
    let limit = select(vec4<u32>(INFINITY), bitcast<vec4<u32>>(c[0]), bitcast<vec4<u32>>(c[1]) == vec4<u32>(0u));
    return Limits(limit | vec4<u32>(0x80000000u), limit);
}

// (v − clamp(v, −c₀, c₀))·c₁.
fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> {
    return threshold(v, c[0]) * c[1];
}

// (v − clamp(v, −c₀/d, c₀/d))·d/(d + c₁).
fn metric_prox(v: vec4<f32>, d: vec4<f32>, c: Coefficients) -> vec4<f32> {
    return threshold(v, quotient(c[0], d)) * quotient(d, opaque(d + c[1]));
}
