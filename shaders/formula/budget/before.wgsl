// Adds up, for each digit, how many weights of all tensors are pruned if the order is cut before it. A tensor's row of
// counts then holds how many of its weights are smaller than each digit. One workgroup for each tensor.
//
// Twin of the first half of `narrow` in src/formula/budget.rs.

const OWN: u32 = BINS / THREADS;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let segment = span_index(workgroup);
    if (segment >= parameters.spans) {
        return;
    }
    let cut = cut_of(segment);
    let first = counts_at(segment) + OWN * thread;
    var own = 0u;
    for (var i = 0u; i < OWN; i++) {
        own += word(first + i);
    }
    var smaller = cut.below + scan(thread, own).x;
    for (var i = 0u; i < OWN; i++) {
        let count = word(first + i);
        atomicStore(&memory[first + i], smaller);
        let pruned = clamp(smaller, cut.least, cut.most);
        let sum = before_at(parameters.dispatch, OWN * thread + i);
        let old = atomicAdd(&memory[sum], pruned);
        if (old + pruned < old) {
            atomicAdd(&memory[sum + 1u], 1u);
        }
        smaller += count;
    }
}
