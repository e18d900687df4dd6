// Non-negative L1: λΣθ where every θ ≥ 0, else ∞. Twin of src/penalty/nonnegative_l1.rs.

// 1 if θ is forbidden, else 0.
fn term(theta: vec4<f32>, t: TermCoefficients) -> vec4<f32> {
    return select(vec4<f32>(0.0), vec4<f32>(1.0), theta < vec4<f32>(0.0));
}

fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> {
    return select(vec4<f32>(0.0), opaque(v - c[0]), v > c[0]);
}

fn metric_prox(v: vec4<f32>, d: vec4<f32>, c: Coefficients) -> vec4<f32> {
    let t = quotient(c[0], d);
    return select(vec4<f32>(0.0), opaque(v - t), v > t);
}
