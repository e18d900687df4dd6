// A formula's gradient at any weight. Not every formula has one, so it is apart from shaders/formula/pointwise.wgsl.
//
// Twin of `gradient` in src/formula/pointwise.rs.

// The gradient at a weight: a NaN keeps its bits, and an infinity gives the limit there.
fn gradient_bits(theta: vec4<u32>, c: Coefficients) -> vec4<u32> {
    let magnitude = theta & vec4<u32>(MAGNITUDE);
    let slope = bitcast<vec4<u32>>(flush(gradient(finite_floats(theta, magnitude), c)));
    let limits = gradient_limits(c);
    let limit = flush_bits(select(limits[1], limits[0], theta > vec4<u32>(MAGNITUDE)));
    let ordered = select(limit, slope, magnitude < vec4<u32>(INFINITY));
    return select(ordered, theta, magnitude > vec4<u32>(INFINITY));
}
