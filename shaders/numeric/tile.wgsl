// The numeric contract inside a tile: one order of floating-point additions for every backend.
//
// Twin of src/numeric/tile.rs. Thread t of 256 holds the lanes 4t … 4t+3 of 1024, so halving the lanes halves the
// threads.

// Sums of four lanes before any halving: of |θ|, and of h², hl and l² of θ = h + l.
struct Lanes {
    l1: vec4<f32>,
    hh: vec4<f32>,
    hl: vec4<f32>,
    ll: vec4<f32>,
}

fn add_row(lanes: Lanes, bits: vec4<u32>) -> Lanes {
    let v = bitcast<vec4<f32>>(bits);
    let h = bitcast<vec4<f32>>(bits & vec4<u32>(UPPER));
    let l = v - h;
    return Lanes(opaque(lanes.l1 + v), opaque(lanes.hh + h * h), opaque(lanes.hl + h * l), opaque(lanes.ll + l * l));
}

// A thread's lanes, from the bits of |θ| in rows 0, 1, 2, 3 of a tile.
fn lanes(row0: vec4<u32>, row1: vec4<u32>, row2: vec4<u32>, row3: vec4<u32>) -> Lanes {
    return add_row(add_row(add_row(add_row(Lanes(), row0), row1), row2), row3);
}

// Every thread's lanes of Σ|θ|, of Σθ², then of the term sum, as bits.
var<workgroup> held_lanes: array<array<vec4<u32>, THREADS>, SUMS>;
// For each tile of a batch, sixteen threads' lanes of each sum.
var<workgroup> saved_lanes: array<array<array<vec4<f32>, 16>, SUMS>, BATCH>;

fn keep(thread: u32, held: Lanes) {
    held_lanes[0][thread] = bitcast<vec4<u32>>(held.l1);
    // Σ2h·l is twice Σh·l: nothing here is near the ends of the exponent range.
    held_lanes[1][thread] = bitcast<vec4<u32>>(held.hh + opaque(2.0 * held.hl + held.ll));
}

fn held_pair(sum: u32, first: u32, second: u32) -> vec4<f32> {
    return opaque(bitcast<vec4<f32>>(held_lanes[sum][first]) + bitcast<vec4<f32>>(held_lanes[sum][second]));
}

fn saved_pair(slot: u32, sum: u32, first: u32) -> vec4<f32> {
    return opaque(saved_lanes[slot][sum][first] + saved_lanes[slot][sum][first + 8u]);
}

// Halves the lanes of 256 threads to sixteen, between two barriers: thread i += thread i+128, then 64, 32, 16. Each sum
// has a warp of its own. Two steps of sixteen instead of eight of two: barriers are expensive on software adapters.
fn save(thread: u32, slot: u32) {
    let sum = thread >> 5u;
    let at = thread & 31u;
    if (sum < SUMS && at < 16u) {
        let even = opaque(
            opaque(held_pair(sum, at, at + 128u) + held_pair(sum, at + 64u, at + 192u))
                + opaque(held_pair(sum, at + 32u, at + 160u) + held_pair(sum, at + 96u, at + 224u)),
        );
        let odd = opaque(
            opaque(held_pair(sum, at + 16u, at + 144u) + held_pair(sum, at + 80u, at + 208u))
                + opaque(held_pair(sum, at + 48u, at + 176u) + held_pair(sum, at + 112u, at + 240u)),
        );
        saved_lanes[slot][sum][at] = opaque(even + odd);
    }
}

// A tile's sum: the halving of sixteen threads' lanes, then of four lanes.
fn tile_sum(slot: u32, sum: u32) -> f32 {
    let even = opaque(
        opaque(saved_pair(slot, sum, 0u) + saved_pair(slot, sum, 4u))
            + opaque(saved_pair(slot, sum, 2u) + saved_pair(slot, sum, 6u)),
    );
    let odd = opaque(
        opaque(saved_pair(slot, sum, 1u) + saved_pair(slot, sum, 5u))
            + opaque(saved_pair(slot, sum, 3u) + saved_pair(slot, sum, 7u)),
    );
    let four = opaque(even + odd);
    return opaque_one(four.x + four.y) + opaque_one(four.z + four.w);
}

// Adds a tile's sum to its accumulator: Σ|θ| scaled by 2^-exponent, Σθ² by the square of that, or the term sum.
fn add_tile_sum(sum: u32, x: f32, exponent: i32) {
    var first = L1;
    var at = exponent;
    if (sum == 1u) {
        first = L2_SQUARED;
        at = 2 * exponent + 149;
    }
    if (sum == 2u) {
        first = TERMS;
        at = select(0, TERMS_BELOW, exponent >= LARGE);
    }
    add_f32(first, x, at);
}

// The tiles that the next so many elements fill, as bits; at most a batch.
fn slots_of(len: u32) -> u32 {
    return (1u << min((len + TILE - 1u) / TILE, BATCH)) - 1u;
}

// What a thread has found: its counts of weights, and the bits of its largest finite |θ|.
struct Tally {
    nonzero: u32,
    nans: u32,
    infinities: u32,
    largest: u32,
}

// Takes the place of lanes that are no longer needed.
fn keep_tally(thread: u32, tally: Tally) {
    held_lanes[0][thread] = vec4<u32>(tally.nonzero, tally.nans, tally.infinities, tally.largest);
}

// Adds sixteen threads' tallies.
fn add_tallies(first: u32) {
    var counts = vec3<u32>(0u);
    var largest = 0u;
    for (var i = 0u; i < 16u; i++) {
        let tally = held_lanes[0][first + 16u * i];
        counts += tally.xyz;
        largest = max(largest, tally.w);
    }
    add_limb(NONZERO, counts.x);
    add_limb(NANS, counts.y);
    add_limb(INFINITIES, counts.z);
    atomicMax(&limbs[LARGEST], largest);
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
