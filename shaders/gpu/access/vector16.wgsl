// Four 16-bit elements in one load, from a range aligned to 16 bytes that holds a multiple of four.

alias Word = vec2<u32>;

fn read_four(operand: u32, word: u32, at: u32, have: u32) -> vec4<u32> {
    let pair = word_at(operand, (word + (at >> 1u)) >> 1u);
    return vec4<u32>(pair.x & 0xffffu, pair.x >> 16u, pair.y & 0xffffu, pair.y >> 16u);
}
