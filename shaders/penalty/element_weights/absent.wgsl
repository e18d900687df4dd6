// Every element has the penalty's coefficients.

fn coefficients_of(span: Span, at: u32, have: u32) -> Coefficients {
    return span.c;
}

fn term_coefficients_of(span: Span, at: u32, have: u32) -> TermCoefficients {
    return span.terms;
}
