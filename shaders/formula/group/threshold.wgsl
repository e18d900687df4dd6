// The threshold τ at which a group's weights meet a bound: the amounts above τ sum to it. Found by Michelot's
// iteration, without sorting.
//
// Twin of src/formula/group/threshold.rs.

fn find(thread: u32, group: Group, span: Span) -> Found {
    let top = top_of(thread, group);
    if (RULE == CLAMP && PURPOSE == VALUE) {
        return found_share(bitcast<f32>(top), 0);
    }
    if (RULE == CLAMP && PURPOSE == GRADIENT) {
        // If several weights tie for the largest, they share the slope.
        let ties = max(count_ties(thread, group, top), 1u);
        return found_coefficients(bitcast<f32>(top), quotient_of(span.c[0].x, nearest(vec3<u32>(ties, 0u, 0u))));
    }
    var bound = bound_of(span.c);
    if (PURPOSE == VALUE) {
        bound = value_bound_of(span.terms);
    }
    let units = units_for(top, bound);
    let r = in_units(bound, 1u, FINE - units.e);
    let all_above = sum_above(thread, group, units, vec2<u32>(0u));
    if (is_inside(thread, group, units, all_above, r)) {
        return found_coefficients(0.0, 0.0);
    }
    if (PURPOSE == VALUE) {
        return found_inside(false);
    }
    var level = level_of(thread, group, units, all_above, r);
    // If the nearest representable weights violate the bound, weights that lose bits are first rounded toward 0.
    // Raising the threshold instead, by what a large weight was rounded up by, would cost small ones more than their
    // rounding. For f32 that cost does not matter.
    let loses = span.c[0].x != 0.0;
    for (var attempt = 0u; attempt < ATTEMPTS; attempt++) {
        let nearest_floats = floats_of(units, level);
        if (RULE == CLAMP) {
            return found_threshold(nearest_floats);
        }
        let marked = bitcast<f32>((bitcast<u32>(nearest_floats.y) & ~1u) | select(0u, 1u, attempt > 0u));
        let floats = vec2<f32>(nearest_floats.x, select(nearest_floats.y, marked, loses));
        let grouped = with_group(span.c, bitcast<vec2<u32>>(floats));
        var sum = vec4<u32>(0u);
        for (var place = first_place(thread, group.places); place < group.places.end; place += MEMBERS) {
            let stored_units = fine(stored(weight_of(group, place), grouped), units.e);
            sum = vec4<u32>(add_wide(sum.xyz, vec3<u32>(stored_units, 0u)), sum.w + select(0u, 1u, any(stored_units != vec2<u32>(0u))));
        }
        sum = team_sum(thread, group.places, sum);
        if (at_most(sum.xyz, r)) {
            return found_threshold(floats);
        }
        if (loses && attempt == 0u) {
            continue;
        }
        let step = max_one(share_of(subtract_wide(sum.xyz, r), max(sum.w, 1u)));
        level = raised(level, step, attempt);
    }
    return found_coefficients(bitcast<f32>(0x7f7fffffu), 0.0);
}

fn found_threshold(floats: vec2<f32>) -> Found {
    return Found(bitcast<vec2<u32>>(floats), 0.0, 0);
}

fn count_ties(thread: u32, group: Group, largest: u32) -> u32 {
    var ties = 0u;
    for (var place = first_place(thread, group.places); place < group.places.end; place += MEMBERS) {
        ties += select(0u, 1u, (weight_of(group, place) & MAGNITUDE) == largest);
    }
    return team_sum(thread, group.places, vec4<u32>(0u, 0u, 0u, ties)).w;
}

// The smallest level with Σ max(units − level, 0) ≤ r, from the sum of all units.
fn level_of(thread: u32, group: Group, units: Units, all_above: vec4<u32>, r: vec3<u32>) -> vec2<u32> {
    var level = vec2<u32>(0u);
    var sum = all_above;
    for (var i = 0u; i < STEPS; i++) {
        let next = share_of(excess_of(sum.xyz, r), sum.w);
        if (!at_most(vec3<u32>(next, 0u), vec3<u32>(level, 0u))) {
            level = next;
        }
        let left = sum_above(thread, group, units, level);
        if (left.w == sum.w || left.w == 0u) {
            break;
        }
        sum = left;
    }
    return level;
}

// Bits as integers in the order of their numbers; 0 stands for no number.
fn ordered(bits: u32) -> u32 {
    return select(bits | 0x80000000u, ~bits, bits > MAGNITUDE);
}

fn unordered(order: u32) -> u32 {
    return select(~order, order & MAGNITUDE, order > MAGNITUDE);
}

// The bits of the largest weight for a simplex, else of the largest magnitude.
fn top_of(thread: u32, group: Group) -> u32 {
    if (RULE != SIMPLEX) {
        return largest_of(thread, group);
    }
    var top = 0u;
    for (var place = first_place(thread, group.places); place < group.places.end; place += MEMBERS) {
        top = max(top, ordered(weight_of(group, place)));
    }
    return unordered(team_max(thread, group.places, top));
}

// A group's weights as integers, in a unit that suits the bound; 0 for weights far below the threshold.
struct Units {
    // The unit is 2^(e − 55).
    e: i32,
    // The bits of the largest weight.
    top: u32,
    // Whether BIAS stands for the largest weight, not for 0.
    from_top: bool,
}

fn units_for(top: u32, bound: Bound) -> Units {
    let log2 = log2_of(bound);
    let nothing = -0x7fffffff - 1;
    let e = select(log2 + 2, exponent_below(top), log2 == nothing);
    return Units(e, top, (top & MAGNITUDE) != 0u && exponent_below(top) > e);
}

fn units_at(units: Units, bits: u32) -> vec2<u32> {
    if (units.from_top) {
        return counted_from_top(units, select(bits & MAGNITUDE, bits, RULE == SIMPLEX));
    }
    return counted_from_zero(units, bits);
}

// A weight's integer, rounded up; BIAS stands for 0.
fn counted_from_zero(units: Units, bits: u32) -> vec2<u32> {
    let bias = vec3<u32>(0u, BIAS, 0u);
    if (RULE == SIMPLEX && bits > MAGNITUDE) {
        let whole = vec3<u32>(units_of(bits, units.e, FINE, false), 0u);
        return subtract_wide(bias, select(bias, whole, at_most(whole, bias))).xy;
    }
    return add_wide(bias, vec3<u32>(fine(bits, units.e), 0u)).xy;
}

// A weight's integer, exact; BIAS stands for the largest weight.
fn counted_from_top(units: Units, bits: u32) -> vec2<u32> {
    let shift = exponent_below(bits) - exponent_below(units.top) + 1;
    let near = (bits ^ units.top) <= MAGNITUDE && shift >= 0 && shift <= 2;
    let halves = ((bits & 0x7fffffu) | 0x800000u) << u32(clamp(shift, 0, 2));
    let top_halves = ((units.top & 0x7fffffu) | 0x800000u) << 1u;
    let gap = max(halves, top_halves) - min(halves, top_halves);
    let places = u32(clamp(exponent_below(units.top) - units.e + 31, 32, 57));
    let most = 1u << (57u - places);
    return vec2<u32>(0u, BIAS - (select(most, gap, near && gap < most) << (places - 32u)));
}

// The sum and the count of the weights above a level.
fn sum_above(thread: u32, group: Group, units: Units, level: vec2<u32>) -> vec4<u32> {
    var sum = vec4<u32>(0u);
    for (var place = first_place(thread, group.places); place < group.places.end; place += MEMBERS) {
        let weight = vec3<u32>(units_at(units, weight_of(group, place)), 0u);
        if (!at_most(weight, vec3<u32>(level, 0u))) {
            sum = vec4<u32>(add_wide(sum.xyz, weight), sum.w + 1u);
        }
    }
    return team_sum(thread, group.places, sum);
}

fn is_inside(thread: u32, group: Group, units: Units, all_above: vec4<u32>, r: vec3<u32>) -> bool {
    if (units.from_top) {
        return false;
    }
    var least = vec3<u32>(0u);
    if (RULE == SIMPLEX) {
        var negative = 0u;
        for (var place = first_place(thread, group.places); place < group.places.end; place += MEMBERS) {
            negative += select(0u, 1u, weight_of(group, place) > MAGNITUDE);
        }
        if (team_sum(thread, group.places, vec4<u32>(0u, 0u, 0u, negative)).w > 0u) {
            return false;
        }
        least = least_on_simplex(group, units, r);
    }
    let total = excess_of(all_above.xyz, vec3<u32>(0u, product(BIAS, all_above.w)));
    return at_most(total, r) && at_most(least, total);
}

// a − b, or 0 if that is negative.
fn excess_of(total: vec3<u32>, r: vec3<u32>) -> vec3<u32> {
    if (at_most(total, r)) {
        return vec3<u32>(0u);
    }
    return subtract_wide(total, r);
}

// An excess divided by a count, rounded up; at most the highest threshold.
fn share_of(excess: vec3<u32>, count: u32) -> vec2<u32> {
    var rest = 0u;
    var share = vec3<u32>(0u);
    for (var i = 0u; i < 96u; i++) {
        let word = 2u - (i >> 5u);
        let bit = (excess[word] >> (31u - (i & 31u))) & 1u;
        let carried = rest >> 31u;
        rest = (rest << 1u) | bit;
        let fits = carried == 1u || rest >= count;
        rest -= select(0u, count, fits);
        share = (share << vec3<u32>(1u)) | vec3<u32>(select(0u, 1u, fits), share.x >> 31u, share.y >> 31u);
    }
    share = add_wide(share, vec3<u32>(select(0u, 1u, rest > 0u), 0u, 0u));
    let highest = vec3<u32>(0u, HIGHEST, 0u);
    return select(highest, share, at_most(share, highest)).xy;
}

fn max_one(x: vec2<u32>) -> vec2<u32> {
    return vec2<u32>(select(x.x, 1u, x.x == 0u && x.y == 0u), x.y);
}

fn raised(level: vec2<u32>, step: vec2<u32>, doublings: u32) -> vec2<u32> {
    let highest = vec3<u32>(0u, HIGHEST, 0u);
    let next = add_wide(vec3<u32>(level, 0u), shifted_left(vec3<u32>(step, 0u), doublings));
    let overflows = bits_in(vec3<u32>(step, 0u)) + doublings > 95u;
    if (overflows || !at_most(next, highest)) {
        return highest.xy;
    }
    return next.xy;
}

// The smallest sum that counts as r. It allows for rounding to the weights' type, and for weights below 2^-120, which
// are 0.
fn least_on_simplex(group: Group, units: Units, r: vec3<u32>) -> vec3<u32> {
    let smallest = -120 - (units.e - FINE);
    let flushed = shifted_left(vec3<u32>(group.size, 0u, 0u), u32(clamp(smallest, 0, 63)));
    let slack = add_wide(shifted_right(r, SLACK), select(flushed, vec3<u32>(0u), smallest < 0));
    return excess_of(r, slack);
}

// A level as the sum of two f32s.
fn floats_of(units: Units, level: vec2<u32>) -> vec2<f32> {
    let bias = vec3<u32>(0u, BIAS, 0u);
    let wide_level = vec3<u32>(level, 0u);
    let below = excess_of(bias, wide_level);
    let e = units.e - FINE;
    var negative = any(below != vec3<u32>(0u));
    var size = select(excess_of(wide_level, bias), below, negative);
    if (units.from_top) {
        // The largest weight's last place, in units. If even half of it exceeds any level, the largest is the nearest
        // float.
        let places = exponent_below(units.top) - 23 - e;
        if (places > 72) {
            return vec2<f32>(bitcast<f32>(units.top), 0.0 - scaled(nearest(below), e));
        }
        let top = shifted_left(vec3<u32>((units.top & 0x7fffffu) | 0x800000u, 0u, 0u), u32(max(places, 0)));
        negative = units.top > MAGNITUDE;
        size = select(excess_of(top, below), add_wide(top, below), negative);
    }
    let floats = two_floats(size, e);
    return select(floats, 0.0 - floats, negative);
}
