// The simplex. Twin of src/penalty/simplex.rs.

// As the prox of the L1 ball, for signed weights.
fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> {
    let down = (bitcast<vec4<u32>>(c[4]) & vec4<u32>(1u)) == vec4<u32>(1u);
    let rest = toward_zero(opaque(opaque(v - c[3]) - c[4]), c[0], down);
    return select(vec4<f32>(0.0), rest, rest > vec4<f32>(0.0));
}
