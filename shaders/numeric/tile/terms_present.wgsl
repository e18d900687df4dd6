// The term sum: Σterm(θ), the third sum beside Σ|θ| and Σθ².
//
// Twin of `TermLanes` in src/numeric/tile.rs. If a |θ| is large, a term may be any finite number. Scaled by 2^-14, the
// 4096 terms of a tile cannot overflow.

const SUMS: u32 = 3u;
// How many tiles are finished together: as many as workgroup memory has room for.
const BATCH: u32 = 4u;

// The term sums of a thread's four lanes.
alias Terms = vec4<f32>;

fn take_terms(terms: ptr<function, Terms>, span: Span, at: u32, have: u32, theta: vec4<u32>, large: bool) {
    let magnitude = theta & vec4<u32>(MAGNITUDE);
    let shares = flush(term(finite_floats(theta, magnitude), term_coefficients_of(span, at, have)));
    let counted = select(vec4<f32>(0.0), shares, exists(have) & (magnitude < vec4<u32>(INFINITY)));
    *terms = opaque(*terms + select(counted, flush(counted * 0.00006103515625), large));
}

fn keep_terms(thread: u32, terms: Terms) {
    held_lanes[2][thread] = bitcast<vec4<u32>>(terms);
}
