// The loop of the other kernels that do not sum: one workgroup for each span, four elements for each thread at a time.
//
// `load` and `visit` come from the operation's file.

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let index = span_index(workgroup);
    if (index >= parameters.spans) {
        return;
    }
    let span = span_at(index);
    let part = part_of(span, thread);
    for (var at = part.first; at < part.end; at += part.step) {
        let have = existing(span.len, at);
        visit(span, at, have, load(span, at, have));
    }
}
