fn load_state(span: Span, at: u32, have: u32) -> vec4<u32> {
    return vec4<u32>(0u);
}

fn direction(span: Span, at: u32, have: u32, g: vec4<u32>, v: vec4<u32>) -> vec4<u32> {
    return g;
}

fn usual_direction(s: array<vec4<f32>, 2>, g: vec4<f32>, v: vec4<f32>) -> Direction {
    return Direction(g, v, extremes_of(vec4<u32>(0u)));
}

fn store_usual(span: Span, at: u32, have: u32, next: vec4<f32>) {}
