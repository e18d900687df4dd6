// The loop of the kernels that sum: counts and sums of one span's tiles, added to its segment's accumulator.
//
// `visit` comes from the operation's own file, and returns the weights as it leaves them.

// What thread 0 says of a tile whose lanes are summed.
const DONE: i32 = 1000;
const COUNT: i32 = 1001;

var<workgroup> verdict: i32;
// The largest |θ|'s bits of the tile being counted, with and without what is not finite.
var<workgroup> tops: array<atomic<u32>, 2>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let index = span_index(workgroup);
    if (index >= parameters.spans) {
        return;
    }
    let span = span_at(index);
    if (thread < WORDS) {
        atomicStore(&limbs[thread], 0u);
    }
    if (thread < 2u) {
        atomicStore(&tops[thread], 0u);
    }
    // Of non-zero, NaN and infinite weights.
    var counts = vec3<u32>(0u);
    for (var first = 0u; first < span.len; first += TILE) {
        var rows = Rows();
        var range = vec2<u32>(0xffffffffu, 0u);
        for (var row = 0u; row < 4u; row++) {
            let at = first + 1024u * row + 4u * thread;
            let bits = visit(span, at, existing(span.len, at)) & vec4<u32>(MAGNITUDE);
            rows[row] = bits;
            let less = bits - vec4<u32>(1u);
            range.x = min(range.x, min(min(less.x, less.y), min(less.z, less.w)));
            range.y = max(range.y, max(max(less.x, less.y), max(less.z, less.w)));
        }
        keep(thread, lanes(rows), range);
        workgroupBarrier();
        halve_to_sixteen(thread);
        workgroupBarrier();
        var sums = vec2<f32>(0.0);
        var ordinary = false;
        if (thread == 0u) {
            sums = tile_sums();
            let tile_range = widest(0u, 1u);
            ordinary = tile_range.x >= ORDINARY_FROM - 1u;
            verdict = COUNT;
            if (ordinary && tile_range.y < ORDINARY_ABOVE - 1u) {
                // No zero and nothing non-finite: the counts follow from the length.
                add_tile(sums, 0, tile_range.y + 1u);
                counts.x += min(span.len - first, TILE);
                verdict = DONE;
            }
        }
        if (workgroupUniformLoad(&verdict) == DONE) {
            continue;
        }
        var largest = vec2<u32>(0u);
        for (var row = 0u; row < 4u; row++) {
            let bits = rows[row];
            let finite = select(vec4<u32>(0u), bits, bits < vec4<u32>(INFINITY));
            let nonzero = vec4<u32>(bits != vec4<u32>(0u));
            let nans = vec4<u32>(bits > vec4<u32>(INFINITY));
            let infinities = vec4<u32>(bits == vec4<u32>(INFINITY));
            counts += vec3<u32>(
                nonzero.x + nonzero.y + nonzero.z + nonzero.w,
                nans.x + nans.y + nans.z + nans.w,
                infinities.x + infinities.y + infinities.z + infinities.w,
            );
            largest.x = max(largest.x, max(max(bits.x, bits.y), max(bits.z, bits.w)));
            largest.y = max(largest.y, max(max(finite.x, finite.y), max(finite.z, finite.w)));
        }
        atomicMax(&tops[0], largest.x);
        atomicMax(&tops[1], largest.y);
        workgroupBarrier();
        if (thread == 0u) {
            let tile_largest = atomicLoad(&tops[1]);
            if (ordinary && atomicLoad(&tops[0]) < ORDINARY_ABOVE) {
                add_tile(sums, 0, tile_largest);
                verdict = DONE;
            } else {
                verdict = exponent_of(tile_largest);
            }
        }
        let exponent = workgroupUniformLoad(&verdict);
        if (exponent != DONE) {
            for (var row = 0u; row < 4u; row++) {
                rows[row] = scale(rows[row], exponent);
            }
            keep(thread, lanes(rows), range);
            workgroupBarrier();
            halve_to_sixteen(thread);
            workgroupBarrier();
            if (thread == 0u) {
                add_tile(tile_sums(), exponent, atomicLoad(&tops[1]));
            }
        }
        workgroupBarrier();
        if (thread < 2u) {
            atomicStore(&tops[thread], 0u);
        }
    }
    workgroupBarrier();
    if (counts.x > 0u) {
        add_limb(NONZERO, counts.x);
    }
    if (counts.y > 0u) {
        add_limb(NANS, counts.y);
    }
    if (counts.z > 0u) {
        add_limb(INFINITIES, counts.z);
    }
    workgroupBarrier();
    let segment = (span.segment + 1u) * WORDS;
    if (thread < LARGEST) {
        add_result(segment + thread, atomicLoad(&limbs[thread]));
    }
    if (thread == LARGEST) {
        atomicMax(&results[segment + LARGEST], atomicLoad(&limbs[LARGEST]));
    }
}
