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
    // Everything is computed as if it were finite, and put right where it is not.
    let finite_g = flushed(g);
    let kept_m = flush(flushed(m) * s[0].x);
    let new_m = flush(finite_g * s[0].y);
    var first = bitcast<vec4<u32>>(flush(kept_m + new_m));
    let square = flush(finite_g * finite_g);
    let kept_v = flush(flushed(v) * s[0].z);
    let new_v = flush(square * s[0].w);
    var second = bitcast<vec4<u32>>(flush(kept_v + new_v));
    let given = max(max(magnitude_of(g), magnitude_of(theta)), max(magnitude_of(m), magnitude_of(v)));
    let made = max(bitcast<vec4<u32>>(square), max(magnitude_of(first), magnitude_of(second)));
    let special = any_special(max(given, made));
    if (special) {
        first = add_bits(scale_special(kept_m, m, s[0].x), scale_special(new_m, g, s[0].y));
        let new_second = scale_special(new_v, square_special(square, g), s[0].w);
        second = add_bits(scale_special(kept_v, v, s[0].z), new_second);
    }
    write_four(FIRST, span.words.z, at, have, encode(first));
    write_four(SECOND, span.words.w, at, have, encode(second));
    let metric = opaque(opaque(second_root(second) * s[1].x) + s[1].y);
    let ratio = finite_ratio(first, metric);
    let kept_theta = flush(flushed(theta) * s[1].w);
    let moved = flush(bitcast<vec4<f32>>(ratio) * s[1].z);
    var stepped = bitcast<vec4<u32>>(flush(kept_theta + moved));
    if (special || any_special(magnitude_of(bitcast<vec4<u32>>(moved)))) {
        // Over an infinite v, a finite m moves nothing.
        let finite_step = select(moved, vec4<f32>(0.0), magnitude_of(second) == vec4<u32>(INFINITY));
        let step = scale_special(finite_step, ratio_special(ratio, first, second), s[1].z);
        stepped = add_bits(scale_special(kept_theta, theta, s[1].w), step);
    }
    let shrunk = encode(stepped_prox(stepped, second, metric, coefficients_of(span, at, have)));
    write_four(OUTPUT, span.words.y, at, have, shrunk);
    return decode(shrunk);
}

// The same for weights that are usual. Returns whether they are; if not, nothing is written.
fn visit_usual(span: Span, at: u32, have: u32, loaded: Loaded) -> bool {
    let s = span.scalars;
    let g = bitcast<vec4<f32>>(decode(loaded.g));
    let first = usual_sum(bitcast<vec4<f32>>(decode(loaded.first)) * s[0].x, g * s[0].y);
    let second = usual_sum(bitcast<vec4<f32>>(decode(loaded.second)) * s[0].z, opaque(g * g) * s[0].w);
    let metric = opaque(opaque(root(second) * s[1].x) + s[1].y);
    let ratio = signed(quotient(abs(first), metric), first);
    let stepped = usual_sum(bitcast<vec4<f32>>(decode(loaded.theta)) * s[1].w, ratio * s[1].z);
    // As bits, a `second` below 0 is above all finite numbers.
    let states = joined(extremes_of(bitcast<vec4<u32>>(second)), extremes_of_sum(first));
    let sums = joined(states, extremes_of_sum(stepped));
    let usual = are_small(s[0]) && are_small(vec4<f32>(s[1].zw, 0.0, 0.0)) && are_usual(sums);
    if (usual) {
        let shrunk = bitcast<vec4<u32>>(flush(usual_prox(stepped, metric, coefficients_of(span, at, have))));
        write_four(FIRST, span.words.z, at, have, encode(bitcast<vec4<u32>>(first)));
        write_four(SECOND, span.words.w, at, have, encode(bitcast<vec4<u32>>(second)));
        write_four(OUTPUT, span.words.y, at, have, encode(shrunk));
    }
    return usual;
}
