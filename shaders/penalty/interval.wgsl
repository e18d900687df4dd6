// The box: 0 where every weight is in an interval, else ∞. Twin of src/penalty/interval.rs.

// 1 if θ is forbidden, else 0.
fn term(theta: vec4<f32>, t: TermCoefficients) -> vec4<f32> {
    let forbidden = (theta < t[0]) | (theta > t[1]);
    return select(vec4<f32>(0.0), vec4<f32>(1.0), forbidden);
}

fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> {
    return min(max(v, c[0]), c[1]);
}

fn metric_prox(v: vec4<f32>, d: vec4<f32>, c: Coefficients) -> vec4<f32> {
    return prox(v, c);
}
