// The loop of the kernels that sum: it adds the counts and sums of a span's tiles to the accumulator of its segment.
//
// `load` and `visit` come from the operation's file. The tiles of a batch are summed as if they were ordinary, and
// finished together. Those that turn out not to be ordinary are read again: once to find their largest weight, and once
// to sum them scaled.

// A bit for each tile of the batch that is not ordinary, and what all threads know of it.
var<workgroup> unusual: atomic<u32>;
var<workgroup> known_unusual: u32;
// The bits of the largest finite |θ| of each tile that is not ordinary, else 0.
var<workgroup> tops: array<atomic<u32>, BATCH>;

// A thread's elements in the four rows of a tile: where they are, and how many exist. Where none exists, its place is
// the span's first, so that it can be loaded without a branch.
struct Places {
    at: vec4<u32>,
    have: vec4<u32>,
}

fn places_in(span: Span, first: u32, thread: u32) -> Places {
    let at = vec4<u32>(first + 4u * thread) + vec4<u32>(0u, 1024u, 2048u, 3072u);
    let have = min(max(vec4<u32>(span.len), at) - at, vec4<u32>(4u));
    return Places(select(at, vec4<u32>(0u), have == vec4<u32>(0u)), have);
}

// The weights of one row, as `visit` leaves them. If the tile is read again, it has left them already.
fn row_of(span: Span, at: u32, have: u32, loaded: Loaded, again: bool, full: bool) -> vec4<u32> {
    var theta = weights_in(loaded);
    if (!again) {
        theta = visit(span, at, have, loaded);
    }
    if (!full) {
        // An absent element counts as +0, whatever a prox gives for 0.
        theta = select(vec4<u32>(0u), theta, exists(have));
    }
    return theta;
}

fn smallest_of(v: vec4<u32>) -> u32 {
    return min(min(v.x, v.y), min(v.z, v.w));
}

fn largest_of(v: vec4<u32>) -> u32 {
    return max(max(v.x, v.y), max(v.z, v.w));
}

fn sum_of(v: vec4<u32>) -> u32 {
    return v.x + v.y + v.z + v.w;
}

// Counts what is not finite in a row that is read again, and gives the bits of its largest finite |θ|.
fn count_row(span: Span, at: u32, have: u32, tally: ptr<function, Tally>) -> u32 {
    let bits = select(vec4<u32>(0u), weights_in(load(span, at, have)), exists(have)) & vec4<u32>(MAGNITUDE);
    (*tally).nans += sum_of(vec4<u32>(bits > vec4<u32>(INFINITY)));
    (*tally).infinities += sum_of(vec4<u32>(bits == vec4<u32>(INFINITY)));
    return largest_of(select(vec4<u32>(0u), bits, bits < vec4<u32>(INFINITY)));
}

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
    if (thread < BATCH) {
        atomicStore(&tops[thread], 0u);
    }
    if (thread == 0u) {
        atomicStore(&unusual, 0u);
    }
    var tally = Tally();
    var batch = 0u;
    // The tiles of the batch that are summed now, and whether they are read again.
    var slots = slots_of(span.len);
    var again = false;
    // A loop ends with its condition: llvmpipe runs what follows a `break` once more.
    loop {
        var left = slots;
        loop {
            let slot = firstTrailingBit(left);
            let first = batch + TILE * slot;
            let full = first + TILE <= span.len;
            let places = places_in(span, first, thread);
            let at = places.at;
            let have = places.have;
            // Two rows are loaded before one is stored: a store holds up the loads behind it. Four rows of all Adam's
            // operands would leave room for one workgroup on a core.
            let loaded0 = load(span, at.x, have.x);
            let loaded1 = load(span, at.y, have.y);
            let theta0 = row_of(span, at.x, have.x, loaded0, again, full);
            let theta1 = row_of(span, at.y, have.y, loaded1, again, full);
            let loaded2 = load(span, at.z, have.z);
            let loaded3 = load(span, at.w, have.w);
            let theta2 = row_of(span, at.z, have.z, loaded2, again, full);
            let theta3 = row_of(span, at.w, have.w, loaded3, again, full);
            var row0 = theta0 & vec4<u32>(MAGNITUDE);
            var row1 = theta1 & vec4<u32>(MAGNITUDE);
            var row2 = theta2 & vec4<u32>(MAGNITUDE);
            var row3 = theta3 & vec4<u32>(MAGNITUDE);
            var exponent = 0;
            if (again) {
                exponent = exponent_of(atomicLoad(&tops[slot]));
                row0 = scale(row0, exponent);
                row1 = scale(row1, exponent);
                row2 = scale(row2, exponent);
                row3 = scale(row3, exponent);
            } else {
                let one = vec4<u32>(1u);
                tally.nonzero += sum_of(min(row0, one) + min(row1, one) + min(row2, one) + min(row3, one));
                // 0 becomes the largest, since it is ordinary.
                let least = smallest_of(min(min(row0 - one, row1 - one), min(row2 - one, row3 - one)));
                let most = largest_of(max(max(row0, row1), max(row2, row3)));
                if (least < ORDINARY_FROM - 1u || most >= ORDINARY_ABOVE) {
                    atomicOr(&unusual, 1u << slot);
                } else {
                    tally.largest = max(tally.largest, most);
                }
            }
            let large = exponent >= LARGE;
            var terms = Terms();
            take_terms(&terms, span, at.x, have.x, theta0, large);
            take_terms(&terms, span, at.y, have.y, theta1, large);
            take_terms(&terms, span, at.z, have.z, theta2, large);
            take_terms(&terms, span, at.w, have.w, theta3, large);
            keep(thread, lanes(row0, row1, row2, row3));
            keep_terms(thread, terms);
            workgroupBarrier();
            save(thread, slot);
            workgroupBarrier();
            left &= left - 1u;
            continuing {
                break if left == 0u;
            }
        }
        let found = atomicLoad(&unusual);
        let slot = thread / SUMS;
        if (slot < BATCH && (((slots & select(~found, slots, again)) >> slot) & 1u) == 1u) {
            let sum = thread % SUMS;
            var exponent = 0;
            if (again) {
                exponent = exponent_of(atomicLoad(&tops[slot]));
            }
            add_tile_sum(sum, tile_sum(slot, sum), exponent);
        }
        if (!again && found != 0u) {
            var uncounted = found;
            loop {
                let slot = firstTrailingBit(uncounted);
                let places = places_in(span, batch + TILE * slot, thread);
                let at = places.at;
                let have = places.have;
                let most = max(
                    max(count_row(span, at.x, have.x, &tally), count_row(span, at.y, have.y, &tally)),
                    max(count_row(span, at.z, have.z, &tally), count_row(span, at.w, have.w, &tally)),
                );
                tally.largest = max(tally.largest, most);
                atomicMax(&tops[slot], most);
                uncounted &= uncounted - 1u;
                continuing {
                    break if uncounted == 0u;
                }
            }
        }
        if (thread == THREADS - 1u) {
            known_unusual = select(found, 0u, again);
            if (again) {
                atomicStore(&unusual, 0u);
            }
        }
        slots = workgroupUniformLoad(&known_unusual);
        again = slots != 0u;
        if (!again) {
            batch += BATCH * TILE;
            slots = slots_of(max(span.len, batch) - batch);
            if (thread < BATCH) {
                atomicStore(&tops[thread], 0u);
            }
        }
        continuing {
            break if slots == 0u;
        }
    }
    keep_tally(thread, tally);
    workgroupBarrier();
    if (thread < 16u) {
        add_tallies(thread);
    }
    workgroupBarrier();
    if (thread < WORDS) {
        let word = (span.segment + 1u) * WORDS + thread;
        let limb = atomicLoad(&limbs[thread]);
        if (parameters.owned == 1u) {
            atomicStore(&results[word], limb);
        } else if (thread == LARGEST) {
            atomicMax(&results[word], limb);
        } else {
            add_result(word, limb);
        }
    }
    if (index == 0u && thread == 0u) {
        atomicStore(&results[0], table[0].x);
    }
}
