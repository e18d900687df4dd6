fn direction(span: Span, at: u32, have: u32, g: vec4<u32>, v: vec4<u32>) -> vec4<u32> {
    let next = next_momentum(span, at, have, g, v);
    return add_bits(g, scale_bits(next, span.scalars[0].x));
}

fn usual_direction(s: array<vec4<f32>, 2>, g: vec4<f32>, v: vec4<f32>) -> Direction {
    let next = usual_momentum(s, g, v);
    let along = usual_sum(g, next * s[0].x);
    return Direction(along, next, joined(extremes_of_sum(next), extremes_of_sum(along)));
}
