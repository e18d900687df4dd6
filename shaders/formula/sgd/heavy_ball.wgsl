fn direction(span: Span, at: u32, have: u32, g: vec4<u32>, v: vec4<u32>) -> vec4<u32> {
    return next_momentum(span, at, have, g, v);
}

fn usual_direction(s: array<vec4<f32>, 2>, g: vec4<f32>, v: vec4<f32>) -> Direction {
    let next = usual_momentum(s, g, v);
    return Direction(next, next, extremes_of_sum(next));
}
