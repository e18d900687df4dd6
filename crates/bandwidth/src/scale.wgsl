// Multiplies a window in place.

const THREADS: u32 = 256;
// Vectors that a thread asks for before it stores the first.
const DEEP: u32 = 4;
// Workgroups along x.
const ROW: u32 = 32768;
// How often a thread does so; more where workgroups are expensive.
override STEPS: u32;
override FACTOR: f32;

@group(0) @binding(0) var<storage, read_write> data: array<vec4<f32>>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let group = id.y * ROW + id.x;
    let size = THREADS * DEEP * STEPS;
    let start = group * size;
    let end = min(start + size, arrayLength(&data));
    var i = start + thread;
    for (; i + (DEEP - 1u) * THREADS < end; i += DEEP * THREADS) {
        let a = data[i];
        let b = data[i + THREADS];
        let c = data[i + 2u * THREADS];
        let d = data[i + 3u * THREADS];
        data[i] = a * FACTOR;
        data[i + THREADS] = b * FACTOR;
        data[i + 2u * THREADS] = c * FACTOR;
        data[i + 3u * THREADS] = d * FACTOR;
    }
    for (; i < end; i += THREADS) {
        data[i] *= FACTOR;
    }
}
