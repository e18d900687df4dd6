// Four 32-bit elements in one load, from a range aligned to 16 bytes that holds a multiple of four.

alias Word = vec4<u32>;

fn read_four(operand: u32, word: u32, at: u32, have: u32) -> vec4<u32> {
    return word_at(operand, (word + at) >> 2u);
}
