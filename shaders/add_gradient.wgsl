// Adds ∂R/∂θ to what is there.

fn updated(span: vec4<u32>, at: u32, have: u32, c: vec4<f32>) -> vec4<u32> {
    let more = gradient_bits(decode(read_four(SOURCE, span.y, at, have)), c);
    return add_bits(decode(read_four(OUTPUT, span.z, at, have)), more);
}
