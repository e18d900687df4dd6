// The loop of an optimizer's steps that are not summed: one workgroup for each span, four weights for each thread at a
// time.
//
// `load`, `visit` and `visit_usual` come from the operation's file. From its first four weights that are not usual on,
// a thread takes the way that all weights can go. llvmpipe runs both sides of a branch, so each way has its own loop.

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let index = span_index(workgroup);
    if (index >= parameters.spans) {
        return;
    }
    let span = span_at(index);
    let part = part_of(span, thread);
    var at = part.first;
    for (; at < part.end; at += part.step) {
        let have = existing(span.len, at);
        if (!visit_usual(span, at, have, load(span, at, have))) {
            break;
        }
    }
    for (; at < part.end; at += part.step) {
        let have = existing(span.len, at);
        visit(span, at, have, load(span, at, have));
    }
}
