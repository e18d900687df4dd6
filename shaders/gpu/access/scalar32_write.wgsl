fn write_four(operand: u32, word: u32, at: u32, have: u32, elements: vec4<u32>) {
    let to = word + at;
    if (have > 0u) {
        set_word(operand, to, elements.x);
    }
    if (have > 1u) {
        set_word(operand, to + 1u, elements.y);
    }
    if (have > 2u) {
        set_word(operand, to + 2u, elements.z);
    }
    if (have > 3u) {
        set_word(operand, to + 3u, elements.w);
    }
}
