// Reads a window of the source, and reads and writes the same window of up to three targets. Nothing changes.
// A line that ends in the number of a target is left out where there are fewer.

const THREADS: u32 = 256;
// Vectors of each buffer that a thread asks for before it stores the first.
const DEEP: u32 = 2;
// Workgroups along x.
const ROW: u32 = 32768;
// How often a thread does so; more where workgroups are expensive.
override STEPS: u32;

@group(0) @binding(0) var<storage, read> source: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> first: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> second: array<vec4<u32>>; // target 2
@group(0) @binding(3) var<storage, read_write> third: array<vec4<u32>>; // target 3

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let group = id.y * ROW + id.x;
    let length = arrayLength(&source);
    let size = THREADS * DEEP * STEPS;
    let start = group * size;
    let end = min(start + size, length);
    // Always zero, which the compiler does not know.
    let mask = vec4(u32(length == 0u));
    var i = start + thread;
    for (; i + (DEEP - 1u) * THREADS < end; i += DEEP * THREADS) {
        let a = source[i];
        let b = source[i + THREADS];
        let first_a = first[i];
        let first_b = first[i + THREADS];
        let second_a = second[i]; // target 2
        let second_b = second[i + THREADS]; // target 2
        let third_a = third[i]; // target 3
        let third_b = third[i + THREADS]; // target 3
        first[i] = first_a ^ (a & mask);
        first[i + THREADS] = first_b ^ (b & mask);
        second[i] = second_a ^ (a & mask); // target 2
        second[i + THREADS] = second_b ^ (b & mask); // target 2
        third[i] = third_a ^ (a & mask); // target 3
        third[i + THREADS] = third_b ^ (b & mask); // target 3
    }
    for (; i < end; i += THREADS) {
        let a = source[i] & mask;
        first[i] ^= a;
        second[i] ^= a; // target 2
        third[i] ^= a; // target 3
    }
}
