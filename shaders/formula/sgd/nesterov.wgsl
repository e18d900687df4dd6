fn direction(span: Span, at: u32, have: u32, g: vec4<u32>, v: vec4<u32>) -> vec4<u32> {
    let next = next_momentum(span, at, have, g, v);
    return add_bits(g, scale_bits(next, span.scalars[0].x));
}
