// Steps against the gradient, then writes the prox.
//
// `load_state` and `direction` come from files in shaders/formula/sgd.

struct Loaded {
    g: vec4<u32>,
    theta: vec4<u32>,
    state: vec4<u32>,
}

fn load(span: Span, at: u32, have: u32) -> Loaded {
    return Loaded(
        read_four(SOURCE, span.words.x, at, have),
        read_four(OUTPUT, span.words.y, at, have),
        load_state(span, at, have),
    );
}

fn weights_in(loaded: Loaded) -> vec4<u32> {
    return decode(loaded.theta);
}

fn visit(span: Span, at: u32, have: u32, loaded: Loaded) -> vec4<u32> {
    let d = direction(span, at, have, decode(loaded.g), decode(loaded.state));
    let stepped = add_bits(decode(loaded.theta), scale_bits(d, span.scalars[0].y));
    let shrunk = encode(prox_bits(stepped, coefficients_of(span, at, have)));
    write_four(OUTPUT, span.words.y, at, have, shrunk);
    return decode(shrunk);
}
