// Finds how many of a tensor's weights of its cut's magnitude are pruned: the first tensors' come first. One workgroup
// for each tensor.
//
// Twin of `ties` in src/formula/budget.rs.

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let segment = span_index(workgroup);
    if (segment >= parameters.spans) {
        return;
    }
    // What all tensors prune at least, and how many more those before this one can prune.
    var least = vec2<u32>(0u);
    var room = vec2<u32>(0u);
    for (var other = thread; other < parameters.spans; other += THREADS) {
        let range = range_of(cut_of(other));
        least = plus(least, range.x);
        if (other < segment) {
            room = plus(room, range.y - range.x);
        }
    }
    let in_all = workgroup_sum(thread, vec4<u32>(least, 0u, 0u)).xy;
    let earlier = workgroup_sum(thread, vec4<u32>(room, 0u, 0u)).xy;
    if (thread == 0u) {
        let cut = cut_of(segment);
        let range = range_of(cut);
        let missing = minus(vec2<u32>(word(0u), word(1u)), in_all);
        var more = 0u;
        if (!is_at_most(missing, earlier)) {
            let left = minus(missing, earlier);
            more = select(min(left.x, range.y - range.x), range.y - range.x, left.y != 0u);
        }
        atomicStore(&memory[RECORDS + CUT * segment + 5u], range.x + more - cut.below);
    }
}

// How many of a tensor's weights are pruned at least and at most.
fn range_of(cut: Cut) -> vec2<u32> {
    let ends = vec2<u32>(cut.below, cut.below + cut.equal);
    return clamp(ends, vec2<u32>(cut.least), vec2<u32>(cut.most));
}
