// The largest weights of a group: the bound says how many. Among equal ones, the lower index wins.
//
// Twin of src/formula/group/select.rs, which gets the same result by sorting or by counting.

fn find(thread: u32, group: Group, span: Span) -> Found {
    if (PURPOSE == VALUE) {
        let kept = in_units(value_bound_of(span.terms), 1u, 0);
        let nonzero = count_from(thread, group, vec3<u32>(1u)).x;
        return found_inside(at_most(vec3<u32>(nonzero, 0u, 0u), kept));
    }
    let kept = in_units(bound_of(span.c), 1u, 0);
    if (at_most(vec3<u32>(group.size, 0u, 0u), kept)) {
        return Found(vec2<u32>(0u, 0xffffffffu), 0.0, 0);
    }
    if (MEMBERS == 1u && group.size <= FEW) {
        return Found(ranked(group, kept.x), 0.0, 0);
    }
    // The largest magnitude that enough weights reach, found two bits at a time.
    var smallest = 0u;
    for (var shift = 32u; shift > 0u; shift -= 2u) {
        let digit = 1u << (shift - 2u);
        let reached = count_from(thread, group, vec3<u32>(smallest) + vec3<u32>(1u, 2u, 3u) * digit);
        let enough = vec3<u32>(reached >= vec3<u32>(kept.x));
        smallest += (enough.x + enough.y + enough.z) * digit;
    }
    let missing = kept.x - count_from(thread, group, vec3<u32>(smallest + 1u)).x;
    // The last index with that magnitude that is kept: fewer weights than are missing have that magnitude and a lower
    // index.
    var last = 0u;
    for (var shift = 32u; shift > 0u; shift -= 2u) {
        let digit = 1u << (shift - 2u);
        let below = count_before(thread, group, smallest, vec3<u32>(last) + vec3<u32>(1u, 2u, 3u) * digit);
        let fewer = vec3<u32>(below < vec3<u32>(missing));
        last += (fewer.x + fewer.y + fewer.z) * digit;
    }
    return Found(vec2<u32>(smallest, last), 0.0, 0);
}

// How many weights reach each of the three magnitudes.
fn count_from(thread: u32, group: Group, magnitudes: vec3<u32>) -> vec3<u32> {
    var counts = vec3<u32>(0u);
    for (var place = first_place(thread, group.places); place < group.places.end; place += MEMBERS) {
        counts += vec3<u32>(vec3<u32>(weight_of(group, place) & MAGNITUDE) >= magnitudes);
    }
    return team_sum(thread, group.places, vec4<u32>(counts, 0u)).xyz;
}

// How many weights of this magnitude have an index below each of the three.
fn count_before(thread: u32, group: Group, magnitude: u32, indices: vec3<u32>) -> vec3<u32> {
    var counts = vec3<u32>(0u);
    for (var place = first_place(thread, group.places); place < group.places.end; place += MEMBERS) {
        if ((weight_of(group, place) & MAGNITUDE) == magnitude) {
            let index = index_of(group.geometry, group.number, place);
            counts += vec3<u32>(vec3<u32>(index) < indices);
        }
    }
    return team_sum(thread, group.places, vec4<u32>(counts, 0u)).xyz;
}

// The magnitude and the index of the last weight that is kept.
fn ranked(group: Group, kept: u32) -> vec2<u32> {
    for (var place = 0u; place < group.size; place++) {
        let magnitude = weight_of(group, place) & MAGNITUDE;
        var rank = 1u;
        for (var other = 0u; other < group.size; other++) {
            let bits = weight_of(group, other) & MAGNITUDE;
            rank += select(0u, 1u, bits > magnitude || (bits == magnitude && other < place));
        }
        if (rank == kept) {
            return vec2<u32>(magnitude, index_of(group.geometry, group.number, place));
        }
    }
    return vec2<u32>(INFINITY, 0u);
}
