// Every element has an element weight, the last of its coefficients.

fn element_weights_of(span: Span, at: u32, have: u32) -> vec4<f32> {
    return element_weights(decode(read_four(WEIGHTS, span.weights_word, at, have)));
}

fn coefficients_of(span: Span, at: u32, have: u32) -> Coefficients {
    var c = span.c;
    c[4] = element_weights_of(span, at, have);
    return c;
}

fn term_coefficients_of(span: Span, at: u32, have: u32) -> TermCoefficients {
    var terms = span.terms;
    terms[2] = element_weights_of(span, at, have);
    return terms;
}
