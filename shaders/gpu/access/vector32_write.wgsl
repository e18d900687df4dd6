fn write_four(operand: u32, word: u32, at: u32, have: u32, elements: vec4<u32>) {
    if (have != 0u) {
        set_word(operand, (word + at) >> 2u, elements);
    }
}
