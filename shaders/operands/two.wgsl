// What the weights and the output have in common where each has a binding.

@group(0) @binding(3) var<storage, read_write> output: array<Word>;

const SOURCE: u32 = 0u;
const OUTPUT: u32 = 1u;

fn word_at(operand: u32, index: u32) -> Word {
    if (operand == OUTPUT) {
        return output[index];
    }
    return source[index];
}

fn set_output(index: u32, word: Word) {
    output[index] = word;
}
