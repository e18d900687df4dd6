// Huber's penalty: quadratic near 0, linear beyond δ. Twin of src/penalty/huber.rs.

// θ²/(2δ) up to δ; beyond it, |θ| − δ/2.
fn term(theta: vec4<f32>, t: TermCoefficients) -> vec4<f32> {
    let a = abs(theta);
    let w = min(a, t[0]);
    return opaque(opaque(opaque(w * t[1]) * w) + opaque(a - w));
}

fn gradient(theta: vec4<f32>, c: Coefficients) -> vec4<f32> {
    return signed(opaque(c[0] * min(abs(theta), c[1])), theta);
}

fn gradient_limits(c: Coefficients) -> Limits {
    let limit = bitcast<vec4<u32>>(c[0] * c[1]);
    return Limits(limit | vec4<u32>(0x80000000u), limit);
}

fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> {
    return select(threshold(v, c[2]), v * c[1], abs(v) <= c[0]);
}

fn metric_prox(v: vec4<f32>, d: vec4<f32>, c: Coefficients) -> vec4<f32> {
    let t = quotient(c[2], d);
    let inner = opaque(v * quotient(d, opaque(d + c[0])));
    return select(threshold(v, t), inner, abs(v) <= opaque(c[1] + t));
}
