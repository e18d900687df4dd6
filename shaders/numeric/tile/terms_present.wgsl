// The term sum: Σterm(θ), the third sum beside Σ|θ| and Σθ².
//
// Twin of `TermLanes` in src/numeric/tile.rs. If a |θ| is large, a term may be any finite number. Scaled by 2^-14, the
// 4096 terms of a tile cannot overflow.

const SUMS: u32 = 3u;

// The terms of a thread's elements in rows 0, 1, 2, 3 of a tile.
alias Terms = array<vec4<f32>, 4>;

fn take_terms(terms: ptr<function, Terms>, row: u32, theta: vec4<u32>, exists: vec4<bool>, t: TermCoefficients) {
    let magnitude = theta & vec4<u32>(MAGNITUDE);
    let shares = flush(term(finite_floats(theta, magnitude), t));
    let counts = exists & (magnitude < vec4<u32>(INFINITY));
    (*terms)[row] = select(vec4<f32>(0.0), shares, counts);
}

fn keep_terms(thread: u32, terms: ptr<function, Terms>, large: bool) {
    var lanes = vec4<f32>(0.0);
    for (var row = 0u; row < 4u; row++) {
        let shares = (*terms)[row];
        lanes = opaque(lanes + select(shares, flush(shares * 0.00006103515625), large));
    }
    held_lanes[2][thread] = lanes;
}

// Like `halve_to_sixteen`, between the same barriers.
fn halve_terms(thread: u32) {
    if (thread < 16u) {
        held_lanes[2][thread] = halve(2u, thread, 16u);
    }
}

fn term_sum() -> f32 {
    let held = halve(2u, 0u, 1u);
    let pairs = opaque(vec4<f32>(held.x + held.y, held.z + held.w, 0.0, 0.0));
    return opaque(vec4<f32>(pairs.x + pairs.y)).x;
}

fn add_term_sum(sum: f32, large: bool) {
    add_f32(TERMS, sum, select(0, TERMS_BELOW, large));
}
