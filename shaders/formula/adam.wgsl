// Adam's step, as bits, from what it is if all numbers are finite. Twin of src/formula/adam.rs.

// g².
fn square_special(finite_square: vec4<f32>, g: vec4<u32>) -> vec4<u32> {
    let magnitude = magnitude_of(g);
    let ordered = select(magnitude, bitcast<vec4<u32>>(finite_square), magnitude < vec4<u32>(INFINITY));
    return select(ordered, g, magnitude > vec4<u32>(INFINITY));
}

fn second_root(second: vec4<u32>) -> vec4<f32> {
    return root(bitcast<vec4<f32>>(select(vec4<u32>(0u), second, second < vec4<u32>(INFINITY))));
}

// m/(√v̂ + ε) for a finite m and v.
fn finite_ratio(first: vec4<u32>, metric: vec4<f32>) -> vec4<u32> {
    let size = bitcast<vec4<u32>>(quotient(bitcast<vec4<f32>>(magnitude_of(first)), metric));
    return select(size | (first & vec4<u32>(0x80000000u)), vec4<u32>(0u), size == vec4<u32>(0u));
}

// m/(√v̂ + ε): a NaN keeps its bits, ∞/∞ is 0x7fc00000, and a finite m over ∞ is 0.
fn ratio_special(finite_ratio: vec4<u32>, first: vec4<u32>, second: vec4<u32>) -> vec4<u32> {
    let m = magnitude_of(first);
    let v = magnitude_of(second);
    let infinity = vec4<u32>(INFINITY);
    var ratio = select(finite_ratio, vec4<u32>(0u), v == infinity);
    ratio = select(ratio, select(first, vec4<u32>(NAN), v == infinity), m == infinity);
    ratio = select(ratio, second, v > infinity);
    return select(ratio, first, m > infinity);
}
