// The L2 ball. Twin of src/penalty/l2_ball.rs.

fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> {
    return toward_zero(times_wide(v, c[3]), c[1], c[4] != vec4<f32>(0.0));
}
