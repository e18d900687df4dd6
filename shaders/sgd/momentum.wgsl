// The next momentum: μb + g.

fn next_momentum(span: Span, at: u32, have: u32, g: vec4<u32>) -> vec4<u32> {
    let b = decode(read_four(FIRST, span.words.z, at, have));
    let next = add_bits(scale_bits(b, span.scalars[0].x), g);
    write_four(FIRST, span.words.z, at, have, encode(next));
    return next;
}
