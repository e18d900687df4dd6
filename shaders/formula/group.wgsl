// A group's weights, and the result of its reduction. Twin of src/formula/group.rs.

// Which of a group's members a team sums, and where their partial sums are, if there are any.
struct Places {
    first: u32,
    end: u32,
    partial_sums: u32,
}

struct Group {
    geometry: Geometry,
    number: u32,
    size: u32,
    places: Places,
    // The first word of the segment's weights.
    word: u32,
    // The soft threshold that is applied to them before they are summed.
    soft: vec4<f32>,
}

struct Found {
    coefficients: vec2<u32>,
    // The group's share of the term sum, scaled by 2^-exponent.
    share: f32,
    exponent: i32,
}

// The bits of a group's weight. Non-finite weights and those below 2^-120 are +0.
fn weight_of(group: Group, place: u32) -> u32 {
    let index = index_of(group.geometry, group.number, place);
    let bits = decode(vec4<u32>(read_one(SOURCE, group.word, index)));
    let v = finite_floats(bits, bits & vec4<u32>(MAGNITUDE));
    return bitcast<u32>(flush(threshold(v, group.soft)).x);
}

// The bits of the largest magnitude.
fn largest_of(thread: u32, group: Group) -> u32 {
    var largest = 0u;
    for (var place = first_place(thread, group.places); place < group.places.end; place += MEMBERS) {
        largest = max(largest, weight_of(group, place) & MAGNITUDE);
    }
    return team_max(thread, group.places, largest);
}

// The segment's coefficients with those of a group in the last two places.
fn with_group(c: Coefficients, of_group: vec2<u32>) -> Coefficients {
    var both = c;
    both[3] = bitcast<vec4<f32>>(vec4<u32>(of_group.x));
    both[4] = bitcast<vec4<f32>>(vec4<u32>(of_group.y));
    return both;
}

// The bits of a weight after the prox with these coefficients, rounded to its type.
fn stored(bits: u32, c: Coefficients) -> u32 {
    return decode(encode(prox_bits(vec4<u32>(bits), c))).x;
}

fn bound_of(c: Coefficients) -> Bound {
    return bitcast<vec3<u32>>(vec3<f32>(c[2].x, c[3].x, c[4].x));
}

fn value_bound_of(terms: TermCoefficients) -> Bound {
    return bitcast<vec3<u32>>(vec3<f32>(terms[0].x, terms[1].x, terms[2].x));
}

fn found_coefficients(first: f32, second: f32) -> Found {
    return Found(vec2<u32>(bitcast<u32>(first), bitcast<u32>(second)), 0.0, 0);
}

fn found_share(share: f32, exponent: i32) -> Found {
    return Found(vec2<u32>(0u), share, exponent);
}

// The share of a constraint: 0 if the group satisfies it, else 1.
fn found_inside(inside: bool) -> Found {
    return found_share(select(1.0, 0.0, inside), 0);
}
