// Sets the weights of a span that are pruned to +0, and leaves every other bit.

var<workgroup> divided: u32;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let index = span_index(workgroup);
    if (index >= parameters.spans) {
        return;
    }
    let span = span_at(index);
    let cut = cut_of(span.segment);
    if (thread == 0u) {
        divided = select(0u, 1u, cut.ties > 0u && cut.ties < cut.equal);
    }
    if (workgroupUniformLoad(&divided) == 0u) {
        let kept = cut.magnitude + select(0u, 1u, cut.ties > 0u);
        for (var at = 4u * thread; at < span.len; at += 4u * THREADS) {
            let have = existing(span.len, at);
            let elements = read_four(SOURCE, span.words.x, at, have);
            let magnitudes = decode(elements) & vec4<u32>(MAGNITUDE);
            clear(span, at, have, elements, magnitudes < vec4<u32>(kept));
        }
        return;
    }
    // The first weights of that magnitude are pruned. How many of them the tensor's earlier spans have:
    var earlier = 0u;
    for (var slot = span.words.w + thread; slot < span.words.z; slot += THREADS) {
        earlier += word(equal_at(slot));
    }
    earlier = workgroup_sum(thread, vec4<u32>(earlier, 0u, 0u, 0u)).x;
    for (var from_at = 0u; from_at < span.len; from_at += 4u * THREADS) {
        let at = from_at + 4u * thread;
        let have = existing(span.len, at);
        let elements = read_four(SOURCE, span.words.x, at, have);
        let magnitudes = decode(elements) & vec4<u32>(MAGNITUDE);
        let equal = vec4<u32>(exists(have) & (magnitudes == vec4<u32>(cut.magnitude)));
        let first = vec4<u32>(0u, equal.x, equal.x + equal.y, equal.x + equal.y + equal.z);
        let places = scan(thread, first.w + equal.w);
        let pruned = vec4<u32>(earlier + places.x) + first < vec4<u32>(cut.ties);
        let smaller = magnitudes < vec4<u32>(cut.magnitude);
        clear(span, at, have, elements, smaller | ((equal != vec4<u32>(0u)) & pruned));
        earlier += places.y;
    }
}

fn clear(span: Span, at: u32, have: u32, elements: vec4<u32>, pruned: vec4<bool>) {
    let left = select(elements, vec4<u32>(0u), pruned);
    if (any(left != elements)) {
        write_four(OUTPUT, span.words.y, at, have, left);
    }
}
