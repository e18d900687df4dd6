// What a formula gives for any weight, also one that is too small, infinite or no number.
//
// Twin of src/formula/pointwise.rs; four weights at a time, as bits. Its gradient is in formula/pointwise/gradient.wgsl.

// The prox of a weight: one that is not finite comes back as it is.
fn prox_bits(v: vec4<u32>, c: Coefficients) -> vec4<u32> {
    let magnitude = v & vec4<u32>(MAGNITUDE);
    let shrunk = bitcast<vec4<u32>>(flush(prox(finite_floats(v, magnitude), c)));
    return select(v, shrunk, magnitude < vec4<u32>(INFINITY));
}
