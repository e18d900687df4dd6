// The loop of the kernels that do not sum: one workgroup for each span, four elements for each thread at a time.
//
// `load` and `visit` come from the operation's file.

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let index = span_index(workgroup);
    if (index >= parameters.spans) {
        return;
    }
    let span = span_at(index);
    for (var at = 4u * thread; at < span.len; at += 4u * THREADS) {
        let have = existing(span.len, at);
        visit(span, at, have, load(span, at, have));
    }
}
