// L0: λ·#{θ ≠ 0}; its prox is the hard threshold. Twin of src/penalty/l0.rs.

fn term(theta: vec4<f32>, t: TermCoefficients) -> vec4<f32> {
    return select(vec4<f32>(1.0), vec4<f32>(0.0), theta == vec4<f32>(0.0));
}

fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> {
    return select(vec4<f32>(0.0), v, abs(v) > c[0]);
}

fn metric_prox(v: vec4<f32>, d: vec4<f32>, c: Coefficients) -> vec4<f32> {
    return select(vec4<f32>(0.0), v, abs(v) > root(quotient(c[0], d)));
}
