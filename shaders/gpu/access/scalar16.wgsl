// Four 16-bit elements in up to two loads, from any range that begins on a word.

alias Word = u32;

fn read_four(operand: u32, word: u32, at: u32, have: u32) -> vec4<u32> {
    let first_word = word + (at >> 1u);
    var pair = vec2<u32>(0u);
    if (have > 0u) {
        pair.x = word_at(operand, first_word);
    }
    if (have > 2u) {
        pair.y = word_at(operand, first_word + 1u);
    }
    let elements = vec4<u32>(pair.x & 0xffffu, pair.x >> 16u, pair.y & 0xffffu, pair.y >> 16u);
    return select(vec4<u32>(0u), elements, vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(have));
}
