// A formula applied to any weight, also to a tiny, infinite or NaN one.
//
// Twin of src/formula/pointwise.rs; four weights at a time, as bits. The gradient is in
// formula/pointwise/gradient.wgsl.

// The prox of a weight: a non-finite weight keeps its bits.
fn prox_bits(v: vec4<u32>, c: Coefficients) -> vec4<u32> {
    let magnitude = v & vec4<u32>(MAGNITUDE);
    let shrunk = bitcast<vec4<u32>>(flush(prox(finite_floats(v, magnitude), c)));
    return select(v, shrunk, magnitude < vec4<u32>(INFINITY));
}
