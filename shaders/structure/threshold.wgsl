// The threshold that a sum of magnitudes, or of what is above it, meets an amount at: by Michelot's iteration, without sorting.
//
// Twin of src/structure/threshold.rs.

const STEPS: u32 = 62u;
const ATTEMPTS: u32 = 40u;
// The upper words of what is added to signed numbers, 2^57, and of the highest threshold.
const BIAS: u32 = 0x2000000u;
const HIGHEST: u32 = 0x3000000u;

fn find(thread: u32, group: Group, span: Span) -> Found {
    let largest = largest_of(thread, group);
    if (RULE == CLAMP && PURPOSE == VALUE) {
        return found_share(bitcast<f32>(largest), 0);
    }
    if (RULE == CLAMP && PURPOSE == GRADIENT) {
        // Where several weights are the largest, they share the slope.
        let ties = max(count_ties(thread, group, largest), 1u);
        return found_numbers(bitcast<f32>(largest), quotient_of(span.c[0].x, nearest(vec3<u32>(ties, 0u, 0u))));
    }
    if (PURPOSE == GRADIENT) {
        return found_numbers(0.0, 0.0);
    }
    var amount = amount_of(span.c);
    if (PURPOSE == VALUE) {
        amount = value_amount_of(span.terms);
    }
    let nothing = -0x7fffffff - 1;
    var e = select(exponent_below(largest), nothing, largest == 0u);
    if (RULE == SIMPLEX) {
        e = max(e, log2_of(amount));
    }
    if (e == nothing) {
        return found_numbers(0.0, 0.0);
    }
    let r = in_units(amount, 1u, FINE - e);
    let all_above = sum_above(thread, group, e, vec2<u32>(0u));
    if (is_inside(thread, group, all_above, r)) {
        return found_numbers(0.0, 0.0);
    }
    if (PURPOSE == VALUE) {
        return found_inside(false);
    }
    var level = level_of(thread, group, e, all_above, r);
    if (RULE == CLAMP) {
        return found_threshold(floats_of(level, e));
    }
    for (var attempt = 0u; attempt < ATTEMPTS; attempt++) {
        let floats = floats_of(level, e);
        let own = with_own(span.c, bitcast<vec2<u32>>(floats));
        var sum = vec4<u32>(0u);
        for (var place = first_place(thread, group.places); place < group.places.end; place += MEMBERS) {
            let units = fine(stored(weight_of(group, place), own), e);
            sum = vec4<u32>(add_wide(sum.xyz, vec3<u32>(units, 0u)), sum.w + select(0u, 1u, any(units != vec2<u32>(0u))));
        }
        sum = team_sum(thread, group.places, sum);
        if (at_most(sum.xyz, r)) {
            return found_threshold(floats);
        }
        let step = max_one(share_of(subtract_wide(sum.xyz, r), max(sum.w, 1u)));
        level = raised(level, step, attempt);
    }
    return found_numbers(bitcast<f32>(0x7f7fffffu), 0.0);
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

// The smallest level of which Σ max(units − level, 0) ≤ r, from the sum of all units.
fn level_of(thread: u32, group: Group, e: i32, all_above: vec4<u32>, r: vec3<u32>) -> vec2<u32> {
    var level = vec2<u32>(0u);
    var sum = all_above;
    for (var i = 0u; i < STEPS; i++) {
        let next = share_of(excess_of(sum.xyz, r), sum.w);
        if (!at_most(vec3<u32>(next, 0u), vec3<u32>(level, 0u))) {
            level = next;
        }
        let left = sum_above(thread, group, e, level);
        if (left.w == sum.w || left.w == 0u) {
            break;
        }
        sum = left;
    }
    return level;
}

// What a weight is in units of 2^(e − 55), rounded up; signed ones are biased.
fn threshold_units(bits: u32, e: i32) -> vec2<u32> {
    if (RULE != SIMPLEX) {
        return fine(bits, e);
    }
    let bias = vec3<u32>(0u, BIAS, 0u);
    if (bits > MAGNITUDE) {
        return subtract_wide(bias, vec3<u32>(units_of(bits, e, FINE, false), 0u)).xy;
    }
    return add_wide(bias, vec3<u32>(fine(bits, e), 0u)).xy;
}

// The sum of what is above the level, and how much is.
fn sum_above(thread: u32, group: Group, e: i32, level: vec2<u32>) -> vec4<u32> {
    var sum = vec4<u32>(0u);
    for (var place = first_place(thread, group.places); place < group.places.end; place += MEMBERS) {
        let units = vec3<u32>(threshold_units(weight_of(group, place), e), 0u);
        if (!at_most(units, vec3<u32>(level, 0u))) {
            sum = vec4<u32>(add_wide(sum.xyz, units), sum.w + 1u);
        }
    }
    return team_sum(thread, group.places, sum);
}

fn is_inside(thread: u32, group: Group, all_above: vec4<u32>, r: vec3<u32>) -> bool {
    if (RULE != SIMPLEX) {
        return at_most(all_above.xyz, r);
    }
    var negative = 0u;
    for (var place = first_place(thread, group.places); place < group.places.end; place += MEMBERS) {
        negative += select(0u, 1u, weight_of(group, place) > MAGNITUDE);
    }
    if (team_sum(thread, group.places, vec4<u32>(0u, 0u, 0u, negative)).w > 0u) {
        return false;
    }
    let total = subtract_wide(all_above.xyz, vec3<u32>(0u, product(BIAS, all_above.w)));
    return at_most(total, r) && at_most(subtract_wide(r, shifted_right(r, SLACK)), total);
}

fn excess_of(total: vec3<u32>, r: vec3<u32>) -> vec3<u32> {
    if (at_most(total, r)) {
        return vec3<u32>(0u);
    }
    return subtract_wide(total, r);
}

// An excess divided among so many, rounded up; at most the highest threshold.
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

fn floats_of(level: vec2<u32>, e: i32) -> vec2<f32> {
    if (RULE != SIMPLEX) {
        return two_floats(level, e - FINE);
    }
    let bias = vec3<u32>(0u, BIAS, 0u);
    let wide = vec3<u32>(level, 0u);
    if (at_most(bias, wide)) {
        return two_floats(subtract_wide(wide, bias).xy, e - FINE);
    }
    return 0.0 - two_floats(subtract_wide(bias, wide).xy, e - FINE);
}
