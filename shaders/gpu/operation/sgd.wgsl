// Steps against the gradient, then writes the prox.
//
// `direction` comes from one of the files in shaders/formula/sgd.

fn visit(span: Span, at: u32, have: u32) -> vec4<u32> {
    let g = decode(read_four(SOURCE, span.words.x, at, have));
    let theta = decode(read_four(OUTPUT, span.words.y, at, have));
    let d = direction(span, at, have, g);
    let stepped = add_bits(theta, scale_bits(d, span.scalars[0].y));
    let shrunk = encode(prox_bits(stepped, coefficients_of(span, at, have)));
    write_four(OUTPUT, span.words.y, at, have, shrunk);
    return decode(shrunk);
}
