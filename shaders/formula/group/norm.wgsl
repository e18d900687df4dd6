// A group's reduction by ‖θ‖₂: how far the group is shrunk, or scaled down to a ball.
//
// Twin of src/formula/group/norm.rs.

fn find(thread: u32, group: Group, span: Span) -> Found {
    let size = select(1u, group.size, RULE == SHRINK_SIZED);
    let size_float = nearest(vec3<u32>(size, 0u, 0u));
    let lambda = span.c[1].x;
    let largest = largest_of(thread, group);
    if (largest == 0u) {
        if (PURPOSE == GRADIENT) {
            return found_coefficients(0.0, limit_of(lambda, size_float));
        }
        return found_coefficients(1.0, 0.0);
    }
    let e = exponent_below(largest);
    let sum = sum_of_squares(thread, group, e);
    let squared = nearest(sum);
    if (PURPOSE == VALUE) {
        if (RULE == SCALE) {
            return found_inside(at_most(sum, in_units(value_bound_of(span.terms), 1u, 2 * (COARSE - e))));
        }
        return found_share(opaque_one(root_of(squared) * root_of(size_float)), e - COARSE);
    }
    if (PURPOSE == GRADIENT) {
        // λ√n/‖θ‖. Both λ√n and the quotient can leave the range of f32.
        let relative = opaque_one(significand_of(lambda) * root_of(quotient_of(size_float, squared)));
        let factor = select(wide_factor(relative, exponent_below(bitcast<u32>(lambda)) + COARSE - e), 0u, lambda == 0.0);
        return found_coefficients(wide_float(factor), limit_of(lambda, size_float));
    }
    if (RULE == SCALE) {
        let scaling = scale_factor(thread, group, span.c, largest, sum);
        return found_coefficients(scaling.x, scaling.y);
    }
    let bound = in_units(bound_of(span.c), size, 2 * (COARSE - e));
    // 1 − t/‖v‖, computed as (‖v‖² − t²)/(‖v‖² + t‖v‖), which loses no precision if both norms are close.
    if (at_most(sum, bound)) {
        return found_coefficients(0.0, 0.0);
    }
    let divisor = opaque_one(squared + opaque_one(root_of(squared) * root_of(nearest(bound))));
    return found_coefficients(quotient_of(nearest(subtract_wide(sum, bound)), divisor), 0.0);
}

fn sum_of_squares(thread: u32, group: Group, e: i32) -> vec3<u32> {
    var sum = vec3<u32>(0u);
    for (var place = first_place(thread, group.places); place < group.places.end; place += MEMBERS) {
        let units = coarse(weight_of(group, place), e);
        sum = add_wide(sum, vec3<u32>(product(units, units), 0u));
    }
    return team_sum(thread, group.places, vec4<u32>(sum, 0u)).xyz;
}

// λ√n, the limit of the gradient as one weight grows.
fn limit_of(lambda: f32, size: f32) -> f32 {
    return bounded(vec4<f32>(lambda * root_of(size))).x;
}

// r/‖v‖ as a wide factor, and whether products are rounded toward 0; a factor of 1 if v is inside. Until the result is
// certainly inside the ball, we first round toward 0 the products of weights that lose bits, then lower the factor.
fn scale_factor(thread: u32, group: Group, c: Coefficients, top: u32, sum: vec3<u32>) -> vec2<f32> {
    let bound = bound_of(c);
    let top_exponent = exponent_below(top);
    if (at_most(sum, in_units(bound, 1u, 2 * (COARSE - top_exponent)))) {
        return vec2<f32>(1.0, 0.0);
    }
    let radius = c[0].x;
    if (radius == 0.0) {
        return vec2<f32>(0.0);
    }
    let relative = quotient_of(significand_of(radius), root_of(nearest(sum)));
    var factor = wide_factor(relative, exponent_below(bitcast<u32>(radius)) + COARSE - top_exponent);
    let loses = c[1].x != 0.0;
    for (var attempt = 0u; attempt < ATTEMPTS; attempt++) {
        let scaling = vec2<f32>(wide_float(factor), select(0.0, 1.0, loses && attempt > 0u));
        let grouped = with_group(c, bitcast<vec2<u32>>(scaling));
        let largest = stored(top, grouped);
        if (largest == 0u) {
            return vec2<f32>(0.0);
        }
        let e = exponent_below(largest);
        var squares = vec3<u32>(0u);
        for (var place = first_place(thread, group.places); place < group.places.end; place += MEMBERS) {
            let units = coarse(stored(weight_of(group, place), grouped), e);
            squares = add_wide(squares, vec3<u32>(product(units, units), 0u));
        }
        if (at_most(team_sum(thread, group.places, vec4<u32>(squares, 0u)).xyz, in_units(bound, 1u, 2 * (COARSE - e)))) {
            return scaling;
        }
        if (loses && attempt == 0u) {
            continue;
        }
        factor -= min(1u << attempt, factor);
    }
    return vec2<f32>(0.0);
}
