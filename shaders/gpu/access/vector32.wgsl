// Four 32-bit elements in one load, from a range aligned to 16 bytes that holds a multiple of four.

alias Word = vec4<u32>;

fn read_four(operand: u32, word: u32, at: u32, have: u32) -> vec4<u32> {
    // If no element exists, these are the range's first ones.
    return word_at(operand, (word + select(at, 0u, have == 0u)) >> 2u);
}
