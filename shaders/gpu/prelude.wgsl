// What every kernel begins with: its parameters, the table of coefficients and spans, and the rules for floats.
//
// src/gpu/source.rs joins the strings of a module, and declares the constants that Rust has too.

struct Parameters {
    // The row of the table that this dispatch's spans begin at, and how many spans there are.
    first_span: u32,
    spans: u32,
    // 0, which no compiler can know.
    zero: u32,
    // Of the dispatches that find the numbers of groups together: how many came before this one, and whether it is the last.
    dispatch: u32,
    last: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
// The serial and two rows of an optimizer's scalars; then three rows a segment: the numbers of the gradient or the prox, flags,
// the numbers of the value's own sum, and the weights of the sums in the value; then two rows a span: (segment, elements or
// groups; the first word of the element weights, or of weights in groups the row of their geometry; their first element or
// group), and its other operands' first words, which count from the beginning of their bindings; where many workgroups find a
// group's numbers, the last three of these are instead its first member that this one sums, the end of them, and the first word
// of the group's partial sums; then two rows of geometry for each segment in groups.
@group(0) @binding(1) var<storage, read> table: array<vec4<u32>>;

// What a gradient or a prox needs to know of a penalty, and what the value's own sum does, for each of four elements.
alias Coefficients = array<vec4<f32>, 5>;
alias TermCoefficients = array<vec4<f32>, 3>;
// Of the gradient as θ → −∞ and as θ → +∞, as bits.
alias Limits = array<vec4<u32>, 2>;

// Hides how a float came about, so that no compiler reassociates the additions or fuses the products that lead to it.
fn opaque(v: vec4<f32>) -> vec4<f32> {
    return bitcast<vec4<f32>>(bitcast<vec4<u32>>(v) ^ vec4<u32>(parameters.zero));
}

// The same of one.
fn opaque_one(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) ^ parameters.zero);
}

// What a workgroup does.
struct Span {
    segment: u32,
    len: u32,
    // Of the source, the output, the optimizer's first and second state.
    words: vec4<u32>,
    // Of the element weights.
    weights_word: u32,
    c: Coefficients,
    terms: TermCoefficients,
    // Of weights in groups: the row of their geometry, and the span's first element or group.
    geometry: u32,
    first: u32,
    // Whether the output keeps every bit.
    untouched: bool,
    scalars: array<vec4<f32>, 2>,
}

// The index of a workgroup's span; a dispatch may have more workgroups than spans.
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

// How many of the four elements from `at` on exist.
fn existing(count: u32, at: u32) -> u32 {
    return min(max(count, at) - at, 4u);
}
