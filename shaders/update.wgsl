// The loop of the elementwise kernels: one workgroup a span, four elements a thread at a time.
//
// `updated(source, output, coefficients)` comes from the kernel's own file.

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let index = span_index(workgroup);
    if (index >= parameters.spans) {
        return;
    }
    let span = table[parameters.first_span + index];
    let c = bitcast<vec4<f32>>(table[span.x]);
    for (var at = 4u * thread; at < span.w; at += 4u * THREADS) {
        let have = existing(span.w, at);
        let elements = updated(span, at, have, c);
        write_four(span.z, at, have, encode(elements));
    }
}
