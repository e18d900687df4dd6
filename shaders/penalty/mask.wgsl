// A mask: 0 where each θ whose element weight is 0 is 0, else ∞. Twin of src/penalty/mask.rs.

// 1 if θ is forbidden, else 0.
fn term(theta: vec4<f32>, t: TermCoefficients) -> vec4<f32> {
    let masked = bitcast<vec4<u32>>(t[2]) == vec4<u32>(0u);
    return select(vec4<f32>(0.0), vec4<f32>(1.0), masked & (bitcast<vec4<u32>>(theta) != vec4<u32>(0u)));
}

fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> {
    return select(v, vec4<f32>(0.0), bitcast<vec4<u32>>(c[4]) == vec4<u32>(0u));
}

fn metric_prox(v: vec4<f32>, d: vec4<f32>, c: Coefficients) -> vec4<f32> {
    return prox(v, c);
}
