// Writes prox(θ).

fn visit(span: Span, at: u32, have: u32) -> vec4<u32> {
    let elements = read_four(SOURCE, span.words.x, at, have);
    if (span.untouched) {
        return decode(elements);
    }
    let shrunk = encode(prox_bits(decode(elements), coefficients_of(span, at, have)));
    write_four(OUTPUT, span.words.y, at, have, shrunk);
    return decode(shrunk);
}
