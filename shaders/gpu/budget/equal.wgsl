// Counts the weights of a span that have its cut's magnitude, if some of the tensor's are pruned and some are kept.

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let index = span_index(workgroup);
    if (index >= parameters.spans) {
        return;
    }
    let span = span_at(index);
    let cut = cut_of(span.segment);
    let len = select(0u, span.len, cut.ties > 0u && cut.ties < cut.equal);
    var count = 0u;
    for (var at = 4u * thread; at < len; at += 4u * THREADS) {
        let have = existing(len, at);
        let magnitudes = decode(read_four(SOURCE, span.words.x, at, have)) & vec4<u32>(MAGNITUDE);
        let equal = vec4<u32>(exists(have) & (magnitudes == vec4<u32>(cut.magnitude)));
        count += equal.x + equal.y + equal.z + equal.w;
    }
    let all = workgroup_sum(thread, vec4<u32>(count, 0u, 0u, 0u)).x;
    if (thread == 0u) {
        atomicStore(&memory[equal_at(span.words.z)], all);
    }
}
