fn write_four(operand: u32, word: u32, at: u32, have: u32, elements: vec4<u32>) {
    let to = word + (at >> 1u);
    let pair = elements.xz | (elements.yw << vec2<u32>(16u));
    if (have > 1u) {
        set_word(operand, to, pair.x);
    }
    if (have > 3u) {
        set_word(operand, to + 1u, pair.y);
    }
    // An odd tail: the upper half of its word belongs to whatever comes next.
    if (have == 1u) {
        set_word(operand, to, (word_at(operand, to) & 0xffff0000u) | elements.x);
    }
    if (have == 3u) {
        set_word(operand, to + 1u, (word_at(operand, to + 1u) & 0xffff0000u) | elements.z);
    }
}
