// The norm ‖θ‖₂, not squared. Twin of src/penalty/l2_norm.rs.

fn gradient(theta: vec4<f32>, c: Coefficients) -> vec4<f32> {
    return times_wide(theta, c[3]);
}

fn gradient_limits(c: Coefficients) -> Limits {
    let limit = bitcast<vec4<u32>>(c[4]);
    return Limits(limit | vec4<u32>(0x80000000u), limit);
}

fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> {
    return v * c[3];
}
