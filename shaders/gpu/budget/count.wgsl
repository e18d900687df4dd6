// Counts the next digits of those weights of a span that share the digits of its tensor's cut.

var<workgroup> table_of_counts: array<atomic<u32>, BINS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let index = span_index(workgroup);
    if (index >= parameters.spans) {
        return;
    }
    let span = span_at(index);
    for (var bin = thread; bin < BINS; bin += THREADS) {
        atomicStore(&table_of_counts[bin], 0u);
    }
    workgroupBarrier();
    let found = cut_of(span.segment).magnitude;
    let shift = shift_of(parameters.dispatch);
    let above = above_of(parameters.dispatch);
    for (var at = 4u * thread; at < span.len; at += 4u * THREADS) {
        let have = existing(span.len, at);
        let magnitudes = decode(read_four(SOURCE, span.words.x, at, have)) & vec4<u32>(MAGNITUDE);
        let matches = ((magnitudes ^ vec4<u32>(found)) >> vec4<u32>(above)) == vec4<u32>(0u);
        let digits = (magnitudes >> vec4<u32>(shift)) & vec4<u32>((1u << (above - shift)) - 1u);
        for (var i = 0u; i < have; i++) {
            if (matches[i]) {
                atomicAdd(&table_of_counts[digits[i]], 1u);
            }
        }
    }
    workgroupBarrier();
    let row = counts_at(span.segment);
    for (var bin = thread; bin < BINS; bin += THREADS) {
        let count = atomicLoad(&table_of_counts[bin]);
        if (count != 0u) {
            atomicAdd(&memory[row + bin], count);
        }
    }
}
