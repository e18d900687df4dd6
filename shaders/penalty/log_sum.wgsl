// Log-sum: λΣln(1 + |θ|/ε). Twin of src/penalty/log_sum.rs.

fn term(theta: vec4<f32>, t: TermCoefficients) -> vec4<f32> {
    let a = abs(theta);
    let large = a > t[1];
    // One logarithm serves both cases, ln(1 + a/ε) and ln a − ln ε.
    let u = select(opaque(a * t[0]), vec4<f32>(0.0), large);
    let y = opaque(1.0 + u);
    let lost = opaque(u - opaque(y - 1.0));
    return opaque(ln(select(y, a, large), lost) + select(vec4<f32>(0.0), t[2], large));
}

fn gradient(theta: vec4<f32>, c: Coefficients) -> vec4<f32> {
    let slope = signed(quotient(c[0], opaque(c[1] + abs(theta))), theta);
    return select(slope, vec4<f32>(0.0), theta == vec4<f32>(0.0));
}

fn gradient_limits(c: Coefficients) -> Limits {
    return Limits();
}

fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> {
    let a = abs(v);
    let x = larger_root(a, c[1], opaque(a - c[2]), opaque(a + c[3]), opaque(a + c[4]));
    return select(vec4<f32>(0.0), signed(x, v), a > c[0]);
}

fn metric_prox(v: vec4<f32>, d: vec4<f32>, c: Coefficients) -> vec4<f32> {
    let a = abs(v);
    let k = quotient(c[0], d);
    let s = root(k);
    let twice = opaque(2.0 * s);
    let sum = opaque(a + c[1]);
    let excess = opaque(a - quotient(k, c[1]));
    let x = larger_root(a, c[1], excess, opaque(sum - twice), opaque(sum + twice));
    // If the objective is convex, the prox leaves 0 at k/ε. Otherwise it leaves 0 where the objective at x is lower
    // than at 0.
    let positive = select(vec4<f32>(1.0), x, x > vec4<f32>(0.0));
    let ratio = min(opaque(positive * c[2]), vec4<f32>(1e30));
    let lower = opaque(quotient(k, positive) * ln_1p(ratio)) < opaque(a - opaque(0.5 * positive));
    let left = select(excess > vec4<f32>(0.0), (sum > twice) & (x > vec4<f32>(0.0)) & lower, s > c[1]);
    return select(vec4<f32>(0.0), signed(x, v), left);
}

// The larger root of x² + (ε − a)x + k − aε = 0, from a − k/ε and both factors of the discriminant. If the difference
// of its two terms would cancel, it comes from the product of both roots.
fn larger_root(a: vec4<f32>, epsilon: vec4<f32>, excess: vec4<f32>, low: vec4<f32>, high: vec4<f32>) -> vec4<f32> {
    let d = opaque(root(positive_part(low)) * root(positive_part(high)));
    let below = a < epsilon;
    let divisor = select(vec4<f32>(1.0), opaque(opaque(epsilon - a) + d), below);
    let near = opaque(2.0 * epsilon * quotient(positive_part(excess), divisor));
    let far = opaque(0.5 * opaque(opaque(a - epsilon) + d));
    return select(far, near, below);
}

// max(x, 0), and +0 below 2^-120.
fn positive_part(x: vec4<f32>) -> vec4<f32> {
    return flush(max(x, vec4<f32>(0.0)));
}
