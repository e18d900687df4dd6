// None, L1, L2² and the elastic net: λ₁Σ|θ| + λ₂Σθ², one formula with two coefficients.
//
// Twin of src/penalty/elastic_net.rs. Finite numbers only, below 2^-120 none but +0.

// ∂R/∂θ = c₀·sign θ + c₁·θ with c = (λ₁, 2λ₂); 0 at θ = 0.
fn gradient(theta: vec4<f32>, c: vec2<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(theta);
    let sign = bits & vec4<u32>(0x80000000u);
    let kink = select(vec4<u32>(bitcast<u32>(c.x)) | sign, vec4<u32>(0u), bits == vec4<u32>(0u));
    let slope = flush(c.y * theta);
    return bitcast<vec4<f32>>(kink) + slope;
}

// The limit of the gradient as θ → +∞, as bits.
fn gradient_at_infinity(c: vec2<f32>) -> u32 {
    return select(INFINITY, bitcast<u32>(c.x), bitcast<u32>(c.y) == 0u);
}

// prox(v) = (v − clamp(v, −c₀, c₀))·c₁ with c = (step·λ₁, 1/(1 + 2·step·λ₂)).
fn prox(v: vec4<f32>, c: vec2<f32>) -> vec4<f32> {
    return soft(v, vec4<f32>(c.x)) * c.y;
}

// argmin over x of R(x) + d/2·(x − v)² with d > 0: (v − clamp(v, −c₀/d, c₀/d))·d/(d + c₁), where c = (step·λ₁, 2·step·λ₂).
fn metric_prox(v: vec4<f32>, d: vec4<f32>, c: vec2<f32>) -> vec4<f32> {
    // A device's d/d need not be 1.
    let shrink = select(d / (d + c.y), vec4<f32>(1.0), bitcast<u32>(c.y) == 0u);
    return soft(v, c.x / d) * shrink;
}

fn soft(v: vec4<f32>, threshold: vec4<f32>) -> vec4<f32> {
    return opaque(v - clamp(v, -threshold, threshold));
}
