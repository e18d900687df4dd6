// Twin of src/numeric/element.rs: bf16 is the upper half of an f32.

fn decode(elements: vec4<u32>) -> vec4<u32> {
    return elements << vec4<u32>(16u);
}

fn encode(bits: vec4<u32>) -> vec4<u32> {
    let upper = bits >> vec4<u32>(16u);
    let nearest = (bits + vec4<u32>(0x7fffu) + (upper & vec4<u32>(1u))) >> vec4<u32>(16u);
    // A NaN is cut, not rounded: rounding could carry it to infinity. If only the lower half made it a NaN, a bit is
    // set.
    let quiet = select(vec4<u32>(0u), vec4<u32>(0x40u), (upper & vec4<u32>(0x7fu)) == vec4<u32>(0u));
    let cut = upper | quiet;
    return select(nearest, cut, (bits & vec4<u32>(MAGNITUDE)) > vec4<u32>(INFINITY));
}
