// None, L1, L2² and the elastic net: λ₁Σ|θ| + λ₂Σθ², one formula with two coefficients.
//
// Twin of src/penalty/elastic_net.rs. Finite numbers only, below 2^-120 none but +0.

// ∂R/∂θ = c₀·sign θ + c₁·θ with c = (λ₁, 2λ₂); 0 at θ = 0.
fn gradient(theta: vec4<f32>, c: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(theta);
    let sign = bits & vec4<u32>(0x80000000u);
    let kink = select(bitcast<vec4<u32>>(c.xxxx) | sign, vec4<u32>(0u), bits == vec4<u32>(0u));
    let slope = flush(c.yyyy * theta);
    return bitcast<vec4<f32>>(kink) + slope;
}

// The limit of the gradient as θ → +∞, as bits.
fn gradient_at_infinity(c: vec4<f32>) -> u32 {
    return select(INFINITY, bitcast<u32>(c.x), bitcast<u32>(c.y) == 0u);
}

// prox(v) = (v − clamp(v, −c₀, c₀))·c₁ with c = (step·λ₁, 1/(1 + 2·step·λ₂)).
fn prox(v: vec4<f32>, c: vec4<f32>) -> vec4<f32> {
    let clamped = clamp(v, -c.xxxx, c.xxxx);
    let soft = opaque(v - clamped);
    return soft * c.yyyy;
}
