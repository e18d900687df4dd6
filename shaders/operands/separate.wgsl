// The weights in one binding, only read, and the output in another.

@group(0) @binding(2) var<storage, read> source: array<Word>;
