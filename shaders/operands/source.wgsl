// The weights, only read.

@group(0) @binding(2) var<storage, read> source: array<Word>;

const SOURCE: u32 = 0u;

fn word_at(operand: u32, index: u32) -> Word {
    return source[index];
}
