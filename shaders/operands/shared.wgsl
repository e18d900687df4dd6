// The weights and the output in one binding: in place, or two ranges of one buffer.

@group(0) @binding(2) var<storage, read_write> data: array<Word>;

const SOURCE: u32 = 0u;
const OUTPUT: u32 = 1u;

fn word_at(operand: u32, index: u32) -> Word {
    return data[index];
}

fn set_output(index: u32, word: Word) {
    data[index] = word;
}
