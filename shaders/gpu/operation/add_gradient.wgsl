// Adds ∂R/∂θ to what the output holds.

struct Loaded {
    theta: vec4<u32>,
    existing: vec4<u32>,
}

fn load(span: Span, at: u32, have: u32) -> Loaded {
    var loaded = Loaded(read_four(SOURCE, span.words.x, at, have), vec4<u32>(0u));
    if (!span.untouched) {
        loaded.existing = read_four(OUTPUT, span.words.y, at, have);
    }
    return loaded;
}

fn weights_in(loaded: Loaded) -> vec4<u32> {
    return decode(loaded.theta);
}

fn visit(span: Span, at: u32, have: u32, loaded: Loaded) -> vec4<u32> {
    let theta = decode(loaded.theta);
    if (!span.untouched) {
        let more = gradient_bits(theta, coefficients_of(span, at, have));
        write_four(OUTPUT, span.words.y, at, have, encode(add_bits(decode(loaded.existing), more)));
    }
    return theta;
}
