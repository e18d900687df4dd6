// ‖θ‖₂ of a group: how far it is shrunk, or scaled down to a ball. Twin of src/structure/norm.rs.

const ATTEMPTS: u32 = 25u;

fn find(thread: u32, group: Group, span: Span) -> Found {
    let size = select(1u, group.size, RULE == SHRINK_SIZED);
    let weight = root_of(nearest(vec3<u32>(size, 0u, 0u)));
    // What the gradient tends to as one weight grows.
    let slope = flush(span.c[1] * weight).x;
    let largest = largest_of(thread, group);
    if (largest == 0u) {
        if (PURPOSE == GRADIENT) {
            return found_numbers(0.0, slope);
        }
        return found_numbers(1.0, 0.0);
    }
    let e = exponent_below(largest);
    let sum = sum_of_squares(thread, group, e);
    let norm = root_of(nearest(sum));
    if (PURPOSE == VALUE) {
        if (RULE == SCALE) {
            return found_inside(at_most(sum, in_units(value_amount_of(span.terms), 1u, 2 * (COARSE - e))));
        }
        return found_share(opaque_one(norm * weight), e - COARSE);
    }
    if (PURPOSE == GRADIENT) {
        return found_numbers(quotient_of(scaled(slope, COARSE - e), norm), slope);
    }
    if (RULE == SCALE) {
        return found_numbers(scale_factor(thread, group, span.c, largest, sum, norm), 0.0);
    }
    let amount = in_units(amount_of(span.c), size, 2 * (COARSE - e));
    // 1 − t/‖v‖ as (‖v‖² − t²)/(‖v‖² + t‖v‖), which loses nothing where both are near each other.
    if (at_most(sum, amount)) {
        return found_numbers(0.0, 0.0);
    }
    let divisor = opaque_one(nearest(sum) + opaque_one(norm * root_of(nearest(amount))));
    return found_numbers(quotient_of(nearest(subtract_wide(sum, amount)), divisor), 0.0);
}

fn sum_of_squares(thread: u32, group: Group, e: i32) -> vec3<u32> {
    var sum = vec3<u32>(0u);
    for (var place = first_place(thread, group.places); place < group.places.end; place += MEMBERS) {
        let units = coarse(weight_of(group, place), e);
        sum = add_wide(sum, vec3<u32>(product(units, units), 0u));
    }
    return team_sum(thread, group.places, vec4<u32>(sum, 0u)).xyz;
}

// r/‖v‖, lowered until the result is certainly inside the ball; 1 where v is.
fn scale_factor(thread: u32, group: Group, c: Numbers, top: u32, sum: vec3<u32>, norm: f32) -> f32 {
    let amount = amount_of(c);
    let top_exponent = exponent_below(top);
    if (at_most(sum, in_units(amount, 1u, 2 * (COARSE - top_exponent)))) {
        return 1.0;
    }
    var factor = bitcast<u32>(quotient_of(scaled(c[0].x, COARSE - top_exponent), norm));
    for (var attempt = 0u; attempt < ATTEMPTS; attempt++) {
        let own = with_own(c, vec2<u32>(factor, 0u));
        let largest = stored(top, own);
        if (largest == 0u) {
            return 0.0;
        }
        let e = exponent_below(largest);
        var squares = vec3<u32>(0u);
        for (var place = first_place(thread, group.places); place < group.places.end; place += MEMBERS) {
            let units = coarse(stored(weight_of(group, place), own), e);
            squares = add_wide(squares, vec3<u32>(product(units, units), 0u));
        }
        if (at_most(team_sum(thread, group.places, vec4<u32>(squares, 0u)).xyz, in_units(amount, 1u, 2 * (COARSE - e)))) {
            return bitcast<f32>(factor);
        }
        factor -= min(1u << attempt, factor);
    }
    return 0.0;
}
