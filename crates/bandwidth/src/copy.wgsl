// Copies a window.

const THREADS: u32 = 256;
// Vectors that a thread asks for before it stores the first.
const DEEP: u32 = 4;
// Workgroups along x.
const ROW: u32 = 32768;
// How often a thread does so; more where workgroups are expensive.
override STEPS: u32;

@group(0) @binding(0) var<storage, read> source: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> goal: array<vec4<u32>>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let group = id.y * ROW + id.x;
    let size = THREADS * DEEP * STEPS;
    let start = group * size;
    let end = min(start + size, arrayLength(&source));
    var i = start + thread;
    for (; i + (DEEP - 1u) * THREADS < end; i += DEEP * THREADS) {
        let a = source[i];
        let b = source[i + THREADS];
        let c = source[i + 2u * THREADS];
        let d = source[i + 3u * THREADS];
        goal[i] = a;
        goal[i + THREADS] = b;
        goal[i + 2u * THREADS] = c;
        goal[i + 3u * THREADS] = d;
    }
    for (; i < end; i += THREADS) {
        goal[i] = source[i];
    }
}
