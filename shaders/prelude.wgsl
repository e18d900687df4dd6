// What every kernel begins with: its parameters, the table of coefficients and spans, and the rules for floats.
//
// A module is the strings prelude + access + operands + element + formula + kernel, joined by src/gpu/kernel.rs.

struct Parameters {
    // Where this dispatch's spans begin in the table, and how many there are.
    first_span: u32,
    spans: u32,
    // 0, which no compiler can know.
    zero: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
// First the coefficient record of every segment, then the spans: (segment, first word of the source, first word of the
// output, elements). Words count from the beginning of the binding.
@group(0) @binding(1) var<storage, read> table: array<vec4<u32>>;

const TILE: u32 = 4096u;
const THREADS: u32 = 256u;
// Workgroups along x; more continue along y.
const ROW: u32 = 32768u;
const MAGNITUDE: u32 = 0x7fffffffu;
const INFINITY: u32 = 0x7f800000u;

// Hides how a float came about, so that no compiler reassociates the additions or fuses the products that lead to it.
fn opaque(v: vec4<f32>) -> vec4<f32> {
    return bitcast<vec4<f32>>(bitcast<vec4<u32>>(v) ^ vec4<u32>(parameters.zero));
}

// The span of a workgroup in a dispatch of `count.x` by `count.y`.
fn span_index(workgroup: vec3<u32>) -> u32 {
    return workgroup.x + workgroup.y * ROW;
}

// How many of the four elements from `at` on exist.
fn existing(count: u32, at: u32) -> u32 {
    return min(max(count, at) - at, 4u);
}
