// Finds the next digit of a tensor's cut, and clears its row of counts. One workgroup for each tensor.
//
// Twin of the second half of `narrow` in src/formula/budget.rs.

const OWN: u32 = BINS / THREADS;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let segment = span_index(workgroup);
    if (segment >= parameters.spans) {
        return;
    }
    let level = parameters.dispatch;
    let shift = shift_of(level);
    let digits = 1u << (above_of(level) - shift);
    var cut = cut_of(segment);
    let row = counts_at(segment);
    let pruned = vec2<u32>(word(0u), word(1u));
    var last = 0u;
    for (var i = 0u; i < OWN; i++) {
        let digit = OWN * thread + i;
        let sum = before_at(level, digit);
        if (digit < digits && is_at_most(vec2<u32>(word(sum), word(sum + 1u)), pruned)) {
            last = digit;
        }
    }
    let joint = workgroup_max(thread, last);
    let all = cut.below + cut.equal;
    // The joint place may lie where the tensor has pruned too few or too many: it is then cut at its own.
    if (smaller_than(row, joint + 1u, digits, all) <= cut.least) {
        cut.most = cut.least;
    } else if (smaller_than(row, joint, digits, all) >= cut.most) {
        cut.least = cut.most;
    }
    last = 0u;
    for (var i = 0u; i < OWN; i++) {
        let digit = OWN * thread + i;
        if (digit < digits && word(row + digit) <= cut.least) {
            last = digit;
        }
    }
    let own = workgroup_max(thread, last);
    let digit = select(joint, own, cut.least == cut.most);
    let below = word(row + digit);
    let equal = smaller_than(row, digit + 1u, digits, all) - below;
    // Every thread has read what others write now.
    storageBarrier();
    workgroupBarrier();
    for (var i = 0u; i < OWN; i++) {
        atomicStore(&memory[row + OWN * thread + i], 0u);
    }
    if (thread == 0u) {
        let at = RECORDS + CUT * segment;
        atomicStore(&memory[at], cut.magnitude | (digit << shift));
        atomicStore(&memory[at + 1u], below);
        atomicStore(&memory[at + 2u], equal);
        atomicStore(&memory[at + 3u], cut.least);
        atomicStore(&memory[at + 4u], cut.most);
    }
}

// How many of the tensor's weights are smaller than a digit; beyond the last one, than the digit before it says.
fn smaller_than(row: u32, digit: u32, digits: u32, all: u32) -> u32 {
    return select(all, word(row + min(digit, digits - 1u)), digit < digits);
}
