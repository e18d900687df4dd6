// What the kernels of a budget share: where their counts and each tensor's cut lie, and sums over a workgroup.
//
// The memory has, in this order: how many weights are pruned in all, in two words; how many tensors and how many spans
// there are; a record for each tensor; for each level and digit, how many weights are pruned if the order is cut before
// it, in two words; for each span, how many of its weights have its cut's magnitude; a row of counts for each tensor.

@group(0) @binding(8) var<storage, read_write> memory: array<atomic<u32>>;

var<workgroup> scanned: array<u32, THREADS>;

// Where a tensor is cut; see src/formula/budget.rs. The last word is how many weights of its magnitude are pruned.
struct Cut {
    magnitude: u32,
    below: u32,
    equal: u32,
    least: u32,
    most: u32,
    ties: u32,
}

fn word(at: u32) -> u32 {
    return atomicLoad(&memory[at]);
}

fn cut_of(segment: u32) -> Cut {
    let at = RECORDS + CUT * segment;
    return Cut(word(at), word(at + 1u), word(at + 2u), word(at + 3u), word(at + 4u), word(at + 5u));
}

// The words of a digit's sum over all tensors.
fn before_at(level: u32, digit: u32) -> u32 {
    return RECORDS + CUT * word(2u) + 2u * (BINS * level + digit);
}

fn equal_at(slot: u32) -> u32 {
    return before_at(LEVELS, 0u) + slot;
}

fn counts_at(segment: u32) -> u32 {
    return equal_at(word(3u)) + BINS * segment;
}

// How many bits lie below a level's digit, and below the digit before.
fn shift_of(level: u32) -> u32 {
    return select(select(SHIFT2, SHIFT1, level == 1u), SHIFT0, level == 0u);
}

fn above_of(level: u32) -> u32 {
    return select(select(SHIFT1, SHIFT0, level == 1u), 31u, level == 0u);
}

// A number of 64 bits, and one of 32 bits.
fn plus(sum: vec2<u32>, x: u32) -> vec2<u32> {
    let low = sum.x + x;
    return vec2<u32>(low, sum.y + select(0u, 1u, low < x));
}

fn minus(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    return vec2<u32>(a.x - b.x, a.y - b.y - select(0u, 1u, a.x < b.x));
}

fn is_at_most(a: vec2<u32>, b: vec2<u32>) -> bool {
    return a.y < b.y || (a.y == b.y && a.x <= b.x);
}

// The sum of what the threads before this one have, and the sum of all.
fn scan(thread: u32, x: u32) -> vec2<u32> {
    var sum = x;
    workgroupBarrier();
    scanned[thread] = sum;
    for (var width = 1u; width < THREADS; width <<= 1u) {
        workgroupBarrier();
        let more = select(0u, scanned[max(thread, width) - width], thread >= width);
        workgroupBarrier();
        sum += more;
        scanned[thread] = sum;
    }
    workgroupBarrier();
    return vec2<u32>(sum - x, scanned[THREADS - 1u]);
}
