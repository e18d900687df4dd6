// The loop of the kernels that do not sum: one workgroup for each span, four elements for each thread at a time.
//
// `visit` comes from the operation's file.

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let index = span_index(workgroup);
    if (index >= parameters.spans) {
        return;
    }
    let span = span_at(index);
    for (var at = 4u * thread; at < span.len; at += 4u * THREADS) {
        visit(span, at, existing(span.len, at));
    }
}
