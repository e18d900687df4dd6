// The numeric contract inside a tile: one order of floating-point additions for every backend.
//
// Twin of src/numeric/tile.rs. Thread t of 256 holds the lanes 4t … 4t+3 of 1024, so halving the lanes halves the
// threads.

// A thread's elements in rows 0, 1, 2, 3 of a tile, as the bits of |θ|.
alias Rows = array<vec4<u32>, 4>;

// The sums of four lanes before any halving.
struct Lanes {
    l1: vec4<f32>,
    l2_squared: vec4<f32>,
}

fn lanes(rows: Rows) -> Lanes {
    var bits = rows;
    var l1 = vec4<f32>(0.0);
    var hh = vec4<f32>(0.0);
    var hl = vec4<f32>(0.0);
    var ll = vec4<f32>(0.0);
    for (var row = 0u; row < 4u; row++) {
        let v = bitcast<vec4<f32>>(bits[row]);
        let h = bitcast<vec4<f32>>(bits[row] & vec4<u32>(UPPER));
        let l = v - h;
        l1 = opaque(l1 + v);
        hh = opaque(hh + h * h);
        hl = opaque(hl + h * l);
        ll = opaque(ll + l * l);
    }
    // Σ2h·l is twice Σh·l: nothing here is near the ends of the exponent range.
    return Lanes(l1, hh + opaque(2.0 * hl + ll));
}

// Every thread's lanes of Σ|θ|, of Σθ², then of the term sum.
var<workgroup> held_lanes: array<array<vec4<f32>, THREADS>, SUMS>;
// The bits of the smallest and of the largest |θ|, each less one, so that 0 becomes the largest.
var<workgroup> ranges: array<vec2<u32>, THREADS>;

fn keep(thread: u32, held: Lanes, range: vec2<u32>) {
    held_lanes[0][thread] = held.l1;
    held_lanes[1][thread] = held.l2_squared;
    ranges[thread] = range;
}

// Halves sixteen threads' lanes of one sum four times: thread i += thread i+8·stride, then 4, 2, 1.
fn halve(sum: u32, first: u32, stride: u32) -> vec4<f32> {
    var v = array<vec4<f32>, 8>();
    for (var i = 0u; i < 8u; i++) {
        v[i] = opaque(held_lanes[sum][first + i * stride] + held_lanes[sum][first + (i + 8u) * stride]);
    }
    let even = opaque(opaque(v[0] + v[4]) + opaque(v[2] + v[6]));
    let odd = opaque(opaque(v[1] + v[5]) + opaque(v[3] + v[7]));
    return opaque(even + odd);
}

fn widest(first: u32, stride: u32) -> vec2<u32> {
    var range = ranges[first];
    for (var i = 1u; i < 16u; i++) {
        let other = ranges[first + i * stride];
        range = vec2<u32>(min(range.x, other.x), max(range.y, other.y));
    }
    return range;
}

// Halves 256 threads' lanes to 16, with a barrier before and after. Two steps of sixteen instead of eight of two:
// barriers are expensive on software adapters.
fn halve_to_sixteen(thread: u32) {
    if (thread < 16u) {
        let held = Lanes(halve(0u, thread, 16u), halve(1u, thread, 16u));
        keep(thread, held, widest(thread, 16u));
    }
}

// The tile's Σ|θ| and Σθ², once sixteen threads' lanes are left.
fn tile_sums() -> vec2<f32> {
    let l1 = halve(0u, 0u, 1u);
    let l2_squared = halve(1u, 0u, 1u);
    let pairs = opaque(vec4<f32>(l1.x + l1.y, l1.z + l1.w, l2_squared.x + l2_squared.y, l2_squared.z + l2_squared.w));
    return vec2<f32>(pairs.x + pairs.y, pairs.z + pairs.w);
}

// The exponent of the largest finite |θ|; 0 if all are 0.
fn exponent_of(largest: u32) -> i32 {
    if (largest >= 0x800000u) {
        return i32(largest >> 23u) - 127;
    }
    if (largest > 0u) {
        return i32(firstLeadingBit(largest)) - 149;
    }
    return 0;
}

// |θ|·2^-exponent in integers; +0 for non-finite weights and for those below 2^-40 of the tile's largest.
fn scale(bits: vec4<u32>, exponent: i32) -> vec4<u32> {
    // A subnormal's bits are an integer times 2^-149. Converting an integer below 2^23 is exact.
    let subnormal = bits < vec4<u32>(0x800000u);
    let significand = select(bits, bitcast<vec4<u32>>(vec4<f32>(bits)), subnormal);
    let shift = select(vec4<i32>(exponent), vec4<i32>(exponent + 149), subnormal);
    let scaled = bitcast<vec4<i32>>(significand) - shift * vec4<i32>(0x800000);
    let kept = (bits != vec4<u32>(0u)) & (bits < vec4<u32>(INFINITY)) & (scaled >= vec4<i32>(i32(ORDINARY_FROM)));
    return select(vec4<u32>(0u), bitcast<vec4<u32>>(scaled), kept);
}
