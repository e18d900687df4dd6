// The last two coefficients of an element are its group's.

// Each group's coefficients. If weights are selected, these are the bits of the smallest magnitude that is kept, and
// the last index at which that magnitude is kept.
@group(0) @binding(8) var<storage, read> group_coefficients: array<vec2<u32>>;

fn coefficients_of(span: Span, at: u32, have: u32) -> Coefficients {
    let geometry = geometry_at(span.geometry);
    var of_groups = array<vec4<u32>, 2>();
    for (var i = 0u; i < have; i++) {
        let index = span.first + at + i;
        let found = group_coefficients[geometry.coefficients + group_at(geometry, index)];
        of_groups[0][i] = found.x + select(0u, 1u, RULE == SELECT && index > found.y);
        of_groups[1][i] = found.y;
    }
    var c = span.c;
    c[3] = bitcast<vec4<f32>>(of_groups[0]);
    c[4] = bitcast<vec4<f32>>(of_groups[1]);
    return c;
}

fn term_coefficients_of(span: Span, at: u32, have: u32) -> TermCoefficients {
    return span.terms;
}
