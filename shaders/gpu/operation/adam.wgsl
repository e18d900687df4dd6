// Takes Adam's step, then writes the prox. `stepped_prox` comes from one of the files in shaders/formula/adam.

struct Loaded {
    g: vec4<u32>,
    theta: vec4<u32>,
    first: vec4<u32>,
    second: vec4<u32>,
}

fn load(span: Span, at: u32, have: u32) -> Loaded {
    return Loaded(
        read_four(SOURCE, span.words.x, at, have),
        read_four(OUTPUT, span.words.y, at, have),
        read_four(FIRST, span.words.z, at, have),
        read_four(SECOND, span.words.w, at, have),
    );
}

fn weights_in(loaded: Loaded) -> vec4<u32> {
    return decode(loaded.theta);
}

fn visit(span: Span, at: u32, have: u32, loaded: Loaded) -> vec4<u32> {
    let s = span.scalars;
    let g = decode(loaded.g);
    let theta = decode(loaded.theta);
    let m = decode(loaded.first);
    let v = decode(loaded.second);
    let first = add_bits(scale_bits(m, s[0].x), scale_bits(g, s[0].y));
    let second = add_bits(scale_bits(v, s[0].z), scale_bits(square_bits(g), s[0].w));
    write_four(FIRST, span.words.z, at, have, encode(first));
    write_four(SECOND, span.words.w, at, have, encode(second));
    let metric = opaque(opaque(second_root(second) * s[1].x) + s[1].y);
    let ratio = ratio_bits(first, second, metric);
    let stepped = add_bits(scale_bits(theta, s[1].w), scale_bits(ratio, s[1].z));
    let shrunk = encode(stepped_prox(stepped, second, metric, coefficients_of(span, at, have)));
    write_four(OUTPUT, span.words.y, at, have, shrunk);
    return decode(shrunk);
}
