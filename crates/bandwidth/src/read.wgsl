// Reads a window once: one word a workgroup, the exclusive or of what it read.

const THREADS: u32 = 256;
// Vectors that a thread asks for before it uses the first.
const DEEP: u32 = 8;
// Workgroups along x.
const ROW: u32 = 32768;
// How often a thread does so; more where workgroups are expensive.
override STEPS: u32;

@group(0) @binding(0) var<storage, read> source: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;

var<workgroup> sums: array<u32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let group = id.y * ROW + id.x;
    let length = arrayLength(&source);
    let size = THREADS * DEEP * STEPS;
    let start = group * size;
    let end = min(start + size, length);
    var sum = vec4<u32>();
    var i = start + thread;
    for (; i + (DEEP - 1u) * THREADS < end; i += DEEP * THREADS) {
        let a = source[i];
        let b = source[i + THREADS];
        let c = source[i + 2u * THREADS];
        let d = source[i + 3u * THREADS];
        let e = source[i + 4u * THREADS];
        let f = source[i + 5u * THREADS];
        let g = source[i + 6u * THREADS];
        let h = source[i + 7u * THREADS];
        sum ^= ((a ^ b) ^ (c ^ d)) ^ ((e ^ f) ^ (g ^ h));
    }
    for (; i < end; i += THREADS) {
        sum ^= source[i];
    }
    sums[thread] = (sum.x ^ sum.y) ^ (sum.z ^ sum.w);
    for (var width = THREADS / 2u; width > 0u; width /= 2u) {
        workgroupBarrier();
        if thread < width {
            sums[thread] ^= sums[thread + width];
        }
    }
    // The last row of workgroups may be longer than what is left.
    if thread == 0u && start < length {
        words[group] = sums[0];
    }
}
