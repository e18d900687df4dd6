// The L1 ball. Twin of src/penalty/l1_ball.rs.

// The threshold has two parts. If the rest is small, the first part is subtracted without rounding. The last bit of the
// second part says whether the result is rounded toward 0.
fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> {
    let down = (bitcast<vec4<u32>>(c[4]) & vec4<u32>(1u)) == vec4<u32>(1u);
    let rest = toward_zero(opaque(opaque(abs(v) - c[3]) - c[4]), c[0], down);
    return select(vec4<f32>(0.0), signed(rest, v), rest > vec4<f32>(0.0));
}
