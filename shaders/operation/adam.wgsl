// Adam's step, then writes the prox: `stepped_prox` comes from one of the files in shaders/adam.
//
// Twin of src/optimizer/adam.rs.

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

// m/(√v̂ + ε): a NaN is itself, ∞/∞ is 0x7fc00000, and what is finite over ∞ is 0.
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

fn visit(span: Span, at: u32, have: u32) -> vec4<u32> {
    let s = span.scalars;
    let g = decode(read_four(SOURCE, span.words.x, at, have));
    let theta = decode(read_four(OUTPUT, span.words.y, at, have));
    let m = decode(read_four(FIRST, span.words.z, at, have));
    let v = decode(read_four(SECOND, span.words.w, at, have));
    let first = add_bits(scale_bits(m, s[0].x), scale_bits(g, s[0].y));
    let second = add_bits(scale_bits(v, s[0].z), scale_bits(square_bits(g), s[0].w));
    write_four(FIRST, span.words.z, at, have, encode(first));
    write_four(SECOND, span.words.w, at, have, encode(second));
    let metric = opaque(opaque(second_root(second) * s[1].x) + s[1].y);
    let ratio = ratio_bits(first, second, metric);
    let stepped = add_bits(scale_bits(theta, s[1].w), scale_bits(ratio, s[1].z));
    let shrunk = encode(stepped_prox(stepped, second, metric, own_numbers(span, at, have)));
    write_four(OUTPUT, span.words.y, at, have, shrunk);
    return decode(shrunk);
}
