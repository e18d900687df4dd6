// The weights in one binding and the output in another, both of one buffer: wgpu then wants neither read-only.

@group(0) @binding(2) var<storage, read_write> source: array<Word>;
