// Only reads θ.

fn visit(span: Span, at: u32, have: u32) -> vec4<u32> {
    return decode(read_four(SOURCE, span.words.x, at, have));
}
