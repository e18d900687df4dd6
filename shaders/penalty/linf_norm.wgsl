// The norm ‖θ‖∞. Twin of src/penalty/linf_norm.rs.

fn gradient(theta: vec4<f32>, c: Coefficients) -> vec4<f32> {
    let a = abs(theta);
    return select(vec4<f32>(0.0), signed(c[4], theta), (a > vec4<f32>(0.0)) & (a == c[3]));
}

fn gradient_limits(c: Coefficients) -> Limits {
    let limit = bitcast<vec4<u32>>(c[0]);
    return Limits(limit | vec4<u32>(0x80000000u), limit);
}

fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> {
    return signed(min(abs(v), opaque(c[3] + c[4])), v);
}
