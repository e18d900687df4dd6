// What every kernel begins with: its parameters, the table of coefficients and spans, and `opaque`.
//
// src/gpu/source.rs joins the strings of a module, and declares the constants that Rust has too.

struct Parameters {
    // The row of the table at which this dispatch's spans begin, and how many spans there are.
    first_span: u32,
    spans: u32,
    // 0, but no compiler can know that.
    zero: u32,
    // If many workgroups share a group: how many dispatches of the group reduction came before this one, and whether it
    // is the last.
    dispatch: u32,
    last: u32,
    // Whether each segment is summed by one workgroup. Then nothing clears the results.
    owned: u32,
    // In a loop that does not sum, so many threads take a part of the span together.
    neighbours: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
// The table, in this order:
// - one row with the serial, then two rows of an optimizer's scalars;
// - three rows for each segment: the coefficients of the gradient or the prox, flags, the coefficients of the term sum,
//   and the factors of the three sums in the value;
// - two rows for each span. The first has its segment, how many elements or groups it has, the first word of the
//   element weights or, for group penalties, the row of the geometry, and its first element or group. The second has
//   the first words of its other operands, counted from the beginning of their bindings. If many workgroups share a
//   group, the last three of these are instead the first member that this span sums, the end of its members, and the
//   first word of the group's partial sums;
// - two rows of geometry for each segment in groups.
@group(0) @binding(1) var<storage, read> table: array<vec4<u32>>;

// The coefficients of a gradient or a prox, and those of the term sum, for each of four elements.
alias Coefficients = array<vec4<f32>, 5>;
alias TermCoefficients = array<vec4<f32>, 3>;
// The limits of the gradient as θ → −∞ and as θ → +∞, as bits.
alias Limits = array<vec4<u32>, 2>;

// Hides how a float was computed, so that no compiler reassociates the additions or fuses the products that lead to it.
fn opaque(v: vec4<f32>) -> vec4<f32> {
    return bitcast<vec4<f32>>(bitcast<vec4<u32>>(v) ^ vec4<u32>(parameters.zero));
}

// The same for one number.
fn opaque_one(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) ^ parameters.zero);
}

// A workgroup's work.
struct Span {
    segment: u32,
    len: u32,
    // The first words of the source, the output, and the optimizer's first and second state.
    words: vec4<u32>,
    // The first word of the element weights.
    weights_word: u32,
    c: Coefficients,
    terms: TermCoefficients,
    // For group penalties: the row of the geometry. Then the span's first element or group.
    geometry: u32,
    first: u32,
    // Whether the output keeps every bit.
    untouched: bool,
    scalars: array<vec4<f32>, 2>,
}

// The index of a workgroup's span. A dispatch may have more workgroups than spans.
fn span_index(workgroup: vec3<u32>) -> u32 {
    return workgroup.x + workgroup.y * ROW;
}

fn span_at(index: u32) -> Span {
    let at = parameters.first_span + 2u * index;
    let head = table[at];
    let record = COEFFICIENTS + RECORD * head.x;
    let a = bitcast<vec4<f32>>(table[record]);
    let flags = table[record + 1u].y;
    let b = bitcast<vec4<f32>>(table[record + 1u]);
    let third = bitcast<f32>(table[record + 2u].x);
    let c = Coefficients(vec4<f32>(a.x), vec4<f32>(a.y), vec4<f32>(a.z), vec4<f32>(a.w), vec4<f32>(b.x));
    let terms = TermCoefficients(vec4<f32>(b.z), vec4<f32>(b.w), vec4<f32>(third));
    let scalars = array(bitcast<vec4<f32>>(table[SCALARS]), bitcast<vec4<f32>>(table[SCALARS + 1u]));
    return Span(head.x, head.y, table[at + 1u], head.z, c, terms, head.z, head.w, (flags & UNTOUCHED) != 0u, scalars);
}

// A thread's part of a span in a loop that does not sum: four elements at every step. Neighbours take four beside four.
struct Part {
    first: u32,
    end: u32,
    step: u32,
}

fn part_of(span: Span, thread: u32) -> Part {
    // A power of two. Dividing is slow on software adapters.
    let neighbours = parameters.neighbours;
    let among = thread & (neighbours - 1u);
    let steps = (span.len + 4u * THREADS - 1u) / (4u * THREADS);
    let start = 4u * steps * (thread - among);
    let end = min(span.len, start + 4u * steps * neighbours);
    return Part(start + 4u * among, end, 4u * neighbours);
}

// How many of the four elements from `at` on exist.
fn existing(count: u32, at: u32) -> u32 {
    return min(max(count, at) - at, 4u);
}

// Which of four elements exist.
fn exists(have: u32) -> vec4<bool> {
    return vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(have);
}
