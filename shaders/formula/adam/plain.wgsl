fn stepped_prox(stepped: vec4<u32>, second: vec4<u32>, metric: vec4<f32>, c: Coefficients) -> vec4<u32> {
    return prox_bits(stepped, c);
}

fn usual_prox(stepped: vec4<f32>, metric: vec4<f32>, c: Coefficients) -> vec4<f32> {
    return prox(stepped, c);
}
