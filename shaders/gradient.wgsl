// Writes ∂R/∂θ.

fn updated(span: vec4<u32>, at: u32, have: u32, c: vec4<f32>) -> vec4<u32> {
    return gradient_bits(decode(read_four(SOURCE, span.y, at, have)), c);
}
