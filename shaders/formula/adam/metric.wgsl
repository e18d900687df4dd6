// The variable-metric prox, in Adam's metric. If v is not finite, the metric is infinite, and the prox moves nothing.

fn stepped_prox(stepped: vec4<u32>, second: vec4<u32>, metric: vec4<f32>, c: Coefficients) -> vec4<u32> {
    let magnitude = stepped & vec4<u32>(MAGNITUDE);
    let shrunk = bitcast<vec4<u32>>(flush(metric_prox(finite_floats(stepped, magnitude), metric, c)));
    let finite = max(magnitude, second & vec4<u32>(MAGNITUDE)) < vec4<u32>(INFINITY);
    return select(stepped, shrunk, finite);
}
