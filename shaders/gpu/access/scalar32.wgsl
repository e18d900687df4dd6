// Four 32-bit elements in up to four loads, from any range.

alias Word = u32;

fn read_four(operand: u32, word: u32, at: u32, have: u32) -> vec4<u32> {
    let first_word = word + at;
    var elements = vec4<u32>(0u);
    if (have > 0u) {
        elements.x = word_at(operand, first_word);
    }
    if (have > 1u) {
        elements.y = word_at(operand, first_word + 1u);
    }
    if (have > 2u) {
        elements.z = word_at(operand, first_word + 2u);
    }
    if (have > 3u) {
        elements.w = word_at(operand, first_word + 3u);
    }
    return elements;
}
