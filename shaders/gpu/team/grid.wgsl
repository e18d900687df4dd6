// Many workgroups reduce a group together; each takes a chunk of it.
//
// They cannot wait for one another inside a dispatch. So there is a dispatch for each maximum or sum over the group,
// and each dispatch runs `find` from its beginning. It reads the sums of earlier dispatches from the partial sums, and
// adds to the first sum that is missing; all that `find` does after that is void. The last dispatch has one workgroup
// for each group. It finds every sum in the partial sums, or takes the missing ones itself, and writes the
// coefficients.

const TEAMS: u32 = 1u;
const MEMBERS: u32 = 256u;

// For each group: 1 if nothing is left to sum, three unused words, then four words for each maximum or sum.
@group(0) @binding(10) var<storage, read_write> partial_sums: array<atomic<u32>>;

// How many sums `find` has asked for.
var<workgroup> asked: u32;
var<workgroup> done: u32;

fn team_of(thread: u32) -> u32 {
    return 0u;
}

fn is_last() -> bool {
    return parameters.last == 1u;
}

fn places_of(span: Span, size: u32) -> Places {
    return Places(span.words.y, span.words.z, span.words.w);
}

fn begins(thread: u32, places: Places) -> bool {
    if (thread == 0u) {
        asked = 0u;
        done = atomicLoad(&partial_sums[places.partial_sums]);
    }
    let nothing_left = workgroupUniformLoad(&done) == 1u;
    return is_last() || !nothing_left;
}

fn ends(thread: u32, places: Places) -> bool {
    if (thread == 0u && !is_last() && asked <= parameters.dispatch) {
        atomicStore(&partial_sums[places.partial_sums], 1u);
    }
    return thread == 0u && is_last();
}

// Reads members only if this dispatch takes the sum that comes next.
fn first_place(thread: u32, places: Places) -> u32 {
    let takes = asked == parameters.dispatch || (is_last() && asked > parameters.dispatch);
    return select(places.end, places.first + thread, takes);
}

// The index of the sum that is asked for.
fn next_sum(thread: u32) -> u32 {
    let at = workgroupUniformLoad(&asked);
    if (thread == 0u) {
        asked = at + 1u;
    }
    workgroupBarrier();
    return at;
}

fn team_max(thread: u32, places: Places, x: u32) -> u32 {
    let at = next_sum(thread);
    if (at < parameters.dispatch) {
        return recalled(thread, places, at).x;
    }
    if (is_last()) {
        return workgroup_max(thread, x);
    }
    if (at == parameters.dispatch) {
        let largest = workgroup_max(thread, x);
        if (thread == 0u) {
            atomicMax(&partial_sums[entry_of(places, at)], largest);
        }
    }
    return 0u;
}

fn team_sum(thread: u32, places: Places, sum: vec4<u32>) -> vec4<u32> {
    let at = next_sum(thread);
    if (at < parameters.dispatch) {
        return recalled(thread, places, at);
    }
    if (is_last()) {
        return workgroup_sum(thread, sum);
    }
    if (at == parameters.dispatch) {
        let all = workgroup_sum(thread, sum);
        if (thread == 0u) {
            add_to_journal(entry_of(places, at), all);
        }
    }
    return vec4<u32>(0u);
}

fn add_to_journal(entry: u32, sum: vec4<u32>) {
    for (var word = 0u; word < 3u; word++) {
        var carry = sum[word];
        for (var to = word; to < 3u && carry != 0u; to++) {
            let old = atomicAdd(&partial_sums[entry + to], carry);
            carry = select(0u, 1u, old + carry < old);
        }
    }
    atomicAdd(&partial_sums[entry + 3u], sum.w);
}

fn entry_of(places: Places, at: u32) -> u32 {
    return places.partial_sums + 4u + 4u * at;
}

// The maximum or sum of an earlier dispatch.
fn recalled(thread: u32, places: Places, at: u32) -> vec4<u32> {
    if (thread == 0u) {
        let first = entry_of(places, at);
        for (var word = 0u; word < 4u; word++) {
            gathered_sum[word] = atomicLoad(&partial_sums[first + word]);
        }
    }
    return workgroupUniformLoad(&gathered_sum);
}
