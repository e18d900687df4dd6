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

// Where usual weights go: along this, with this momentum, and the extremes of the sums that led to both.
struct Direction {
    along: vec4<f32>,
    momentum: vec4<f32>,
    sums: Extremes,
}

// The same for weights that are usual. Returns whether they are; if not, nothing is written.
fn visit_usual(span: Span, at: u32, have: u32, loaded: Loaded) -> bool {
    let s = span.scalars;
    let d = usual_direction(s, bitcast<vec4<f32>>(decode(loaded.g)), bitcast<vec4<f32>>(decode(loaded.state)));
    let stepped = usual_sum(bitcast<vec4<f32>>(decode(loaded.theta)), d.along * s[0].y);
    let usual = are_small(s[0]) && are_usual(joined(d.sums, extremes_of_sum(stepped)));
    if (usual) {
        store_usual(span, at, have, d.momentum);
        let shrunk = bitcast<vec4<u32>>(flush(prox(stepped, coefficients_of(span, at, have))));
        write_four(OUTPUT, span.words.y, at, have, encode(shrunk));
    }
    return usual;
}
