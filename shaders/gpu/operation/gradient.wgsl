// Writes ∂R/∂θ.

fn visit(span: Span, at: u32, have: u32) -> vec4<u32> {
    let theta = decode(read_four(SOURCE, span.words.x, at, have));
    write_four(OUTPUT, span.words.y, at, have, encode(gradient_bits(theta, coefficients_of(span, at, have))));
    return theta;
}
