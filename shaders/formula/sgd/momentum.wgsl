// The next momentum: μv + (1−d)g.

fn next_momentum(span: Span, at: u32, have: u32, g: vec4<u32>) -> vec4<u32> {
    let v = decode(read_four(FIRST, span.words.z, at, have));
    let next = add_bits(scale_bits(v, span.scalars[0].x), scale_bits(g, span.scalars[0].z));
    write_four(FIRST, span.words.z, at, have, encode(next));
    return next;
}
