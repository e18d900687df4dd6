// L½: λΣ√|θ|. Twin of src/penalty/l_half.rs.

// (2/3)^(3/2): from this p on, the prox is 0.
const LARGEST_SHARE: f32 = 0.5443311;

fn term(theta: vec4<f32>, t: TermCoefficients) -> vec4<f32> {
    return root(abs(theta));
}

fn gradient(theta: vec4<f32>, c: Coefficients) -> vec4<f32> {
    let a = abs(theta);
    let nonzero = a > vec4<f32>(0.0);
    let slope = signed(quotient(c[0], root(select(vec4<f32>(1.0), a, nonzero))), theta);
    return select(vec4<f32>(0.0), slope, nonzero);
}

fn gradient_limits(c: Coefficients) -> Limits {
    return Limits();
}

fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> {
    return half_threshold(v, c[0]);
}

fn metric_prox(v: vec4<f32>, d: vec4<f32>, c: Coefficients) -> vec4<f32> {
    return half_threshold(v, quotient(c[0], d));
}

// With p = k·|v|^(−3/2), the prox is v·q(p), where q is the larger root of q − 1 + p/(2√q) = 0. Up to the p where the
// prox jumps, (1 − q)/p is smooth. Here it is a polynomial whose error is within 2e-8, relative to q.
fn half_threshold(v: vec4<f32>, k: vec4<f32>) -> vec4<f32> {
    let nonzero = abs(v) > vec4<f32>(0.0);
    let a = select(vec4<f32>(1.0), abs(v), nonzero);
    let share = quotient(quotient(k, a), root(a));
    let left = nonzero & (share < vec4<f32>(LARGEST_SHARE));
    let p = select(vec4<f32>(0.0), share, left);
    var h = vec4<f32>(10.478734);
    h = opaque(opaque(h * p) + -22.558804);
    h = opaque(opaque(h * p) + 21.63381);
    h = opaque(opaque(h * p) + -11.491652);
    h = opaque(opaque(h * p) + 3.8225088);
    h = opaque(opaque(h * p) + -0.7085297);
    h = opaque(opaque(h * p) + 0.15061589);
    h = opaque(opaque(h * p) + 0.05583032);
    h = opaque(opaque(h * p) + 0.0783638);
    h = opaque(opaque(h * p) + 0.12499671);
    h = opaque(opaque(h * p) + 0.5);
    let x = opaque(v - opaque(v * opaque(p * h)));
    return select(vec4<f32>(0.0), x, left);
}
