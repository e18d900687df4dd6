// The value needs no term sum.

const SUMS: u32 = 2u;
alias Terms = u32;

fn take_terms(terms: ptr<function, Terms>, row: u32, theta: vec4<u32>, exists: vec4<bool>, t: TermCoefficients) {}

fn keep_terms(thread: u32, terms: ptr<function, Terms>, large: bool) {}

fn halve_terms(thread: u32) {}

fn term_sum() -> f32 {
    return 0.0;
}

fn add_term_sum(sum: f32, large: bool) {}
