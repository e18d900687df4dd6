// Every element has a weight of its own, the last of its numbers.

fn own_weights(span: Span, at: u32, have: u32) -> vec4<f32> {
    return penalty_weights(decode(read_four(WEIGHTS, span.weights_word, at, have)));
}

fn own_numbers(span: Span, at: u32, have: u32) -> Numbers {
    var c = span.c;
    c[4] = own_weights(span, at, have);
    return c;
}

fn own_terms(span: Span, at: u32, have: u32) -> TermNumbers {
    var terms = span.terms;
    terms[2] = own_weights(span, at, have);
    return terms;
}
