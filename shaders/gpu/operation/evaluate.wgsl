// Only reads θ.

struct Loaded {
    theta: vec4<u32>,
}

fn load(span: Span, at: u32, have: u32) -> Loaded {
    return Loaded(read_four(SOURCE, span.words.x, at, have));
}

fn weights_in(loaded: Loaded) -> vec4<u32> {
    return decode(loaded.theta);
}

fn visit(span: Span, at: u32, have: u32, loaded: Loaded) -> vec4<u32> {
    return decode(loaded.theta);
}
