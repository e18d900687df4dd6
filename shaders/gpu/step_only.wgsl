// In place of a formula: weights in groups are only stepped, until their groups' numbers are found.

fn prox(v: vec4<f32>, c: Coefficients) -> vec4<f32> {
    return v;
}
