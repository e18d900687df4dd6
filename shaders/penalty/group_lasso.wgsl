// The group lasso and the sparse-group lasso. Twin of src/penalty/group_lasso.rs.

fn gradient(theta: vec4<f32>, c: Coefficients) -> vec4<f32> {
    let kink = select(signed(c[0], theta), vec4<f32>(0.0), theta == vec4<f32>(0.0));
    return opaque(kink + flush(times_wide(theta, c[3])));
}

fn gradient_limits(c: Coefficients) -> Limits {
    let limit = bitcast<vec4<u32>>(opaque(c[0] + c[4]));
    return Limits(limit | vec4<u32>(0x80000000u), limit);
}

fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> {
    return threshold(v, c[0]) * c[3];
}
