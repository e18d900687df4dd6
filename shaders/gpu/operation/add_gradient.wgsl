// Adds ∂R/∂θ to what the output holds.

fn visit(span: Span, at: u32, have: u32) -> vec4<u32> {
    let theta = decode(read_four(SOURCE, span.words.x, at, have));
    if (!span.untouched) {
        let existing = decode(read_four(OUTPUT, span.words.y, at, have));
        let more = gradient_bits(theta, coefficients_of(span, at, have));
        write_four(OUTPUT, span.words.y, at, have, encode(add_bits(existing, more)));
    }
    return theta;
}
