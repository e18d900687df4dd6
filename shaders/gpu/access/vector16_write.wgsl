fn write_four(operand: u32, word: u32, at: u32, have: u32, elements: vec4<u32>) {
    if (have != 0u) {
        set_word(operand, (word + (at >> 1u)) >> 1u, elements.xz | (elements.yw << vec2<u32>(16u)));
    }
}
