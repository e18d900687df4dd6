// In place of a formula: weights in groups are only stepped, until their groups' numbers are found.

fn gradient(theta: vec4<f32>, c: Numbers) -> vec4<f32> {
    return vec4<f32>(0.0);
}

fn gradient_limits(c: Numbers) -> Limits {
    return Limits();
}

fn prox(v: vec4<f32>, c: Numbers) -> vec4<f32> {
    return v;
}
