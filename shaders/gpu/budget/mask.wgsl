// Writes a mask of a span's weights: 1 where a weight is not 0, else 0.

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let index = span_index(workgroup);
    if (index >= parameters.spans) {
        return;
    }
    let span = span_at(index);
    let one = encode(vec4<u32>(0x3f800000u));
    for (var at = 4u * thread; at < span.len; at += 4u * THREADS) {
        let have = existing(span.len, at);
        let magnitudes = decode(read_four(SOURCE, span.words.x, at, have)) & vec4<u32>(MAGNITUDE);
        write_four(OUTPUT, span.words.y, at, have, select(one, vec4<u32>(0u), magnitudes == vec4<u32>(0u)));
    }
}
