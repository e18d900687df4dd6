// Twin of src/numeric/element.rs: f32 is its own bits.

fn decode(elements: vec4<u32>) -> vec4<u32> {
    return elements;
}

fn encode(bits: vec4<u32>) -> vec4<u32> {
    return bits;
}
