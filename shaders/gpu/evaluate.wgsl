// The loop of the kernels that sum: it adds the counts and sums of a span's tiles to the accumulator of its segment.
//
// `visit` comes from the operation's file, and returns the weights as it leaves them.

// Thread 0's verdict on a tile whose lanes are summed; any other value is the exponent to scale the tile by.
const DONE: i32 = 1000;
const COUNT: i32 = 1001;

var<workgroup> verdict: i32;
// The bits of the largest |θ| of the tile being counted: including NaN and infinity, and without them.
var<workgroup> tops: array<atomic<u32>, 2>;

@compute @workgroup_size(THREADS)
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
    // The counts of non-zero, NaN and infinite weights.
    var counts = vec3<u32>(0u);
    for (var first = 0u; first < span.len; first += TILE) {
        var rows = Rows();
        var terms = Terms();
        var range = vec2<u32>(0xffffffffu, 0u);
        for (var row = 0u; row < 4u; row++) {
            let at = first + 1024u * row + 4u * thread;
            let have = existing(span.len, at);
            // An absent element counts as +0, whatever a prox gives for 0.
            let exists = vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(have);
            let theta = select(vec4<u32>(0u), visit(span, at, have), exists);
            take_terms(&terms, row, theta, exists, term_coefficients_of(span, at, have));
            let bits = theta & vec4<u32>(MAGNITUDE);
            rows[row] = bits;
            let less = bits - vec4<u32>(1u);
            range.x = min(range.x, min(min(less.x, less.y), min(less.z, less.w)));
            range.y = max(range.y, max(max(less.x, less.y), max(less.z, less.w)));
        }
        // A tile that is not ordinary needs the second attempt, which is scaled.
        var exponent = 0;
        var counted = false;
        for (var attempt = 0u; attempt < 2u; attempt++) {
            let large = exponent >= LARGE;
            keep(thread, lanes(rows), range);
            keep_terms(thread, &terms, large);
            workgroupBarrier();
            halve_to_sixteen(thread);
            halve_terms(thread);
            workgroupBarrier();
            var sums = vec2<f32>(0.0);
            var term_total = 0.0;
            var ordinary = false;
            if (thread == 0u) {
                sums = tile_sums();
                term_total = term_sum();
                let tile_range = widest(0u, 1u);
                ordinary = tile_range.x >= ORDINARY_FROM - 1u;
                verdict = COUNT;
                if (attempt == 1u) {
                    add_tile(sums, exponent, atomicLoad(&tops[1]));
                    verdict = DONE;
                } else if (ordinary && tile_range.y < ORDINARY_ABOVE - 1u) {
                    // No zero and nothing non-finite: the counts follow from the length.
                    add_tile(sums, 0, tile_range.y + 1u);
                    counts.x += min(span.len - first, TILE);
                    verdict = DONE;
                }
                if (verdict == DONE && (attempt == 0u || large)) {
                    add_term_sum(term_total, large);
                }
            }
            if (workgroupUniformLoad(&verdict) == DONE) {
                break;
            }
            counted = true;
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
                if (tile_largest < ORDINARY_ABOVE) {
                    add_term_sum(term_total, false);
                }
                if (ordinary && atomicLoad(&tops[0]) < ORDINARY_ABOVE) {
                    add_tile(sums, 0, tile_largest);
                    verdict = DONE;
                } else {
                    verdict = exponent_of(tile_largest);
                }
            }
            exponent = workgroupUniformLoad(&verdict);
            if (exponent == DONE) {
                break;
            }
            for (var row = 0u; row < 4u; row++) {
                rows[row] = scale(rows[row], exponent);
            }
        }
        if (counted) {
            workgroupBarrier();
            if (thread < 2u) {
                atomicStore(&tops[thread], 0u);
            }
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
    if (thread < LARGEST || (thread >= TERMS && thread < WORDS)) {
        add_result(segment + thread, atomicLoad(&limbs[thread]));
    }
    if (thread == LARGEST) {
        atomicMax(&results[segment + LARGEST], atomicLoad(&limbs[LARGEST]));
    }
}
