// Adam's step, as bits. Twin of src/formula/adam.rs.

// g².
fn square_bits(g: vec4<u32>) -> vec4<u32> {
    let magnitude = g & vec4<u32>(MAGNITUDE);
    let x = finite_floats(g, magnitude);
    let product = bitcast<vec4<u32>>(flush(x * x));
    let ordered = select(magnitude, product, magnitude < vec4<u32>(INFINITY));
    return select(ordered, g, magnitude > vec4<u32>(INFINITY));
}

fn second_root(second: vec4<u32>) -> vec4<f32> {
    return root(bitcast<vec4<f32>>(select(vec4<u32>(0u), second, second < vec4<u32>(INFINITY))));
}

// m/(√v̂ + ε): a NaN keeps its bits, ∞/∞ is 0x7fc00000, and a finite m over ∞ is 0.
fn ratio_bits(first: vec4<u32>, second: vec4<u32>, metric: vec4<f32>) -> vec4<u32> {
    let m = first & vec4<u32>(MAGNITUDE);
    let v = second & vec4<u32>(MAGNITUDE);
    let infinity = vec4<u32>(INFINITY);
    let size = bitcast<vec4<u32>>(quotient(finite_floats(m, m), metric));
    let finite = select(size | (first & vec4<u32>(0x80000000u)), vec4<u32>(0u), size == vec4<u32>(0u));
    var ratio = select(finite, vec4<u32>(0u), v == infinity);
    ratio = select(ratio, select(first, vec4<u32>(NAN), v == infinity), m == infinity);
    ratio = select(ratio, second, v > infinity);
    return select(ratio, first, m > infinity);
}
