// The minimax concave penalty, MCP. Twin of src/penalty/mcp.rs.

// |θ| − θ²/(2γλ); beyond γλ, its value at γλ.
fn term(theta: vec4<f32>, t: TermCoefficients) -> vec4<f32> {
    let w = min(abs(theta), t[0]);
    return opaque(w - opaque(opaque(w * t[1]) * w));
}

fn gradient(theta: vec4<f32>, c: Coefficients) -> vec4<f32> {
    let a = abs(theta);
    let slope = opaque(c[0] - opaque(a * c[1]));
    let sloped = (a > vec4<f32>(0.0)) & (a < c[2]) & (slope > vec4<f32>(0.0));
    return select(vec4<f32>(0.0), signed(slope, theta), sloped);
}

fn gradient_limits(c: Coefficients) -> Limits {
    return Limits();
}

fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> {
    return select(v, threshold(v, c[0]) * c[1], abs(v) <= c[2]);
}

fn metric_prox(v: vec4<f32>, d: vec4<f32>, c: Coefficients) -> vec4<f32> {
    // The step over γ, both over d.
    let share = quotient(c[1], d);
    let firm = share < vec4<f32>(1.0);
    let factor = quotient(vec4<f32>(1.0), select(vec4<f32>(1.0), opaque(1.0 - share), firm));
    let shrunk = opaque(threshold(v, quotient(c[0], d)) * factor);
    let hard = quotient(c[3], root(d));
    let inner = select(vec4<f32>(0.0), shrunk, firm);
    return select(v, inner, abs(v) <= select(hard, c[2], firm));
}
