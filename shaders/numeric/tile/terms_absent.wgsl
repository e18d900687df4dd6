// The value needs no term sum.

const SUMS: u32 = 2u;
// How many tiles are finished together.
const BATCH: u32 = 8u;
alias Terms = u32;

fn take_terms(terms: ptr<function, Terms>, span: Span, at: u32, have: u32, theta: vec4<u32>, large: bool) {}

fn keep_terms(thread: u32, terms: Terms) {}
