// What the library adds to a custom penalty's functions. Twin of `Adapted` in src/penalty/custom.rs.

// The last two coefficients of the gradient; the largest float stands for ∞.
fn gradient_limits(c: Coefficients) -> Limits {
    return Limits(custom_limit(bitcast<vec4<u32>>(c[3])), custom_limit(bitcast<vec4<u32>>(c[4])));
}

fn custom_limit(bits: vec4<u32>) -> vec4<u32> {
    let infinite = (bits & vec4<u32>(0x80000000u)) | vec4<u32>(INFINITY);
    return select(bits, infinite, (bits & vec4<u32>(MAGNITUDE)) == vec4<u32>(LARGEST_FLOAT));
}
