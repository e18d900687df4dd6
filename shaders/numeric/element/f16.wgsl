// Twin of src/numeric/element.rs: f16 by integer arithmetic, since unpack2x16float flushes subnormals and changes NaN
// payloads.

fn decode(elements: vec4<u32>) -> vec4<u32> {
    let sign = (elements & vec4<u32>(0x8000u)) << vec4<u32>(16u);
    let a = elements & vec4<u32>(0x7fffu);
    let normal = (a << vec4<u32>(13u)) + vec4<u32>(0x38000000u);
    let non_finite = (a << vec4<u32>(13u)) + vec4<u32>(0x70000000u);
    // A subnormal is its integer times 2^-24. The conversion is exact, and the product is a change of exponent.
    let converted = bitcast<vec4<u32>>(vec4<f32>(a));
    let subnormal = select(converted - vec4<u32>(0x0c000000u), vec4<u32>(0u), a == vec4<u32>(0u));
    let finite = select(normal, subnormal, a < vec4<u32>(0x400u));
    return sign | select(non_finite, finite, a < vec4<u32>(0x7c00u));
}

fn encode(bits: vec4<u32>) -> vec4<u32> {
    let sign = (bits >> vec4<u32>(16u)) & vec4<u32>(0x8000u);
    let a = bits & vec4<u32>(MAGNITUDE);
    let tie = (a >> vec4<u32>(13u)) & vec4<u32>(1u);
    let normal = min((a - vec4<u32>(0x38000000u) + vec4<u32>(0x0fffu) + tie) >> vec4<u32>(13u), vec4<u32>(0x7c00u));
    // Below 2^-14: the significand is shifted to units of 2^-24 and rounded. After 25 places, nothing is left.
    let exponent = a >> vec4<u32>(23u);
    let shift = clamp(vec4<u32>(126u) - min(exponent, vec4<u32>(126u)), vec4<u32>(1u), vec4<u32>(25u));
    let m = (a & vec4<u32>(0x7fffffu)) | vec4<u32>(0x800000u);
    let half = vec4<u32>(1u) << (shift - vec4<u32>(1u));
    let subnormal = (m + half - vec4<u32>(1u) + ((m >> shift) & vec4<u32>(1u))) >> shift;
    let quiet = select(vec4<u32>(0u), vec4<u32>(0x200u), (a & vec4<u32>(0x7fe000u)) == vec4<u32>(0u));
    let nan = vec4<u32>(0x7c00u) | ((a >> vec4<u32>(13u)) & vec4<u32>(0x3ffu)) | quiet;
    var magnitude = select(subnormal, normal, a >= vec4<u32>(0x38800000u));
    magnitude = select(magnitude, vec4<u32>(0x7c00u), a >= vec4<u32>(0x47800000u));
    magnitude = select(magnitude, nan, a > vec4<u32>(INFINITY));
    // −0, and what rounds to it, becomes +0.
    return select(sign | magnitude, vec4<u32>(0u), magnitude == vec4<u32>(0u));
}
