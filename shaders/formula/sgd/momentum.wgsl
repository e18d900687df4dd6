// The next momentum: μv + (1−d)g.

fn load_state(span: Span, at: u32, have: u32) -> vec4<u32> {
    return read_four(FIRST, span.words.z, at, have);
}

fn next_momentum(span: Span, at: u32, have: u32, g: vec4<u32>, v: vec4<u32>) -> vec4<u32> {
    let next = add_bits(scale_bits(v, span.scalars[0].x), scale_bits(g, span.scalars[0].z));
    write_four(FIRST, span.words.z, at, have, encode(next));
    return next;
}

fn usual_momentum(s: array<vec4<f32>, 2>, g: vec4<f32>, v: vec4<f32>) -> vec4<f32> {
    return usual_sum(v * s[0].x, g * s[0].z);
}

fn store_usual(span: Span, at: u32, have: u32, next: vec4<f32>) {
    write_four(FIRST, span.words.z, at, have, encode(bitcast<vec4<u32>>(next)));
}
