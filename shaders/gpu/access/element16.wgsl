// One 16-bit element.

alias Word = u32;

fn read_one(operand: u32, word: u32, index: u32) -> u32 {
    return (word_at(operand, word + (index >> 1u)) >> ((index & 1u) * 16u)) & 0xffffu;
}
