// Top-k and n-of-m. Twin of src/penalty/top_k.rs.

// The coefficient is the bits of the smallest magnitude that is kept.
fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> {
    let magnitude = bitcast<vec4<u32>>(v) & vec4<u32>(MAGNITUDE);
    return select(vec4<f32>(0.0), v, magnitude >= bitcast<vec4<u32>>(c[3]));
}
