// The variable-metric prox, in Adam's metric. If v is not finite, the metric is infinite, and the prox moves nothing.

// `stepped` is +0 or at least 2^-120 in magnitude.
fn stepped_prox(stepped: vec4<u32>, second: vec4<u32>, metric: vec4<f32>, c: Coefficients) -> vec4<u32> {
    let finite = max(magnitude_of(stepped), magnitude_of(second)) < vec4<u32>(INFINITY);
    let v = bitcast<vec4<f32>>(select(vec4<u32>(0u), stepped, finite));
    return select(stepped, bitcast<vec4<u32>>(flush(metric_prox(v, metric, c))), finite);
}

fn usual_prox(stepped: vec4<f32>, metric: vec4<f32>, c: Coefficients) -> vec4<f32> {
    return metric_prox(stepped, metric, c);
}
