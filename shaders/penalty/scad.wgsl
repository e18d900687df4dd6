// The smoothly clipped absolute deviation, SCAD. Twin of src/penalty/scad.rs.

// |θ| up to λ, then |θ| − (|θ| − λ)²/(2(a−1)λ); beyond aλ, its value at aλ.
fn term(theta: vec4<f32>, t: TermCoefficients) -> vec4<f32> {
    let w = min(abs(theta), t[1]);
    let u = max(opaque(w - t[0]), vec4<f32>(0.0));
    return opaque(w - opaque(opaque(u * t[2]) * u));
}

fn gradient(theta: vec4<f32>, c: Coefficients) -> vec4<f32> {
    let a = abs(theta);
    let sloped = opaque(max(opaque(c[1] - a), vec4<f32>(0.0)) * c[2]);
    let slope = select(sloped, c[0], a <= c[0]);
    return select(vec4<f32>(0.0), signed(slope, theta), (a > vec4<f32>(0.0)) & (slope > vec4<f32>(0.0)));
}

fn gradient_limits(c: Coefficients) -> Limits {
    return Limits();
}

fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> {
    let a = abs(v);
    let inner = threshold(v, c[0]);
    let outer = opaque(threshold(v, c[2]) * c[3]);
    return select(select(v, outer, a <= c[4]), inner, a <= c[1]);
}

fn metric_prox(v: vec4<f32>, d: vec4<f32>, c: Coefficients) -> vec4<f32> {
    let a = abs(v);
    let step = quotient(c[0], d);
    let rest = opaque(c[3] - step);
    let inner = threshold(v, opaque(step * c[1]));
    let smooth_step = rest > vec4<f32>(0.0);
    let factor = quotient(c[3], select(c[3], rest, smooth_step));
    let share = quotient(c[4], c[3]);
    let outer = opaque(threshold(v, opaque(step * share)) * factor);
    let end = opaque(c[1] + opaque(step * c[1]));
    let soft = opaque(0.5 * opaque(c[4] + end));
    let above = opaque(c[2] + 1.0);
    let hard = opaque(c[1] * root(opaque(step * above)));
    let equal = select(hard, soft, step < above);
    let first = select(equal, end, smooth_step);
    let second = select(equal, c[4], smooth_step);
    return select(select(v, outer, a <= second), inner, a <= first);
}
