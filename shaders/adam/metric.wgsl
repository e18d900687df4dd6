// The prox in Adam's metric; where v is infinite so is the metric, and the prox moves nothing.

fn stepped_prox(stepped: vec4<u32>, second: vec4<u32>, metric: vec4<f32>, c: vec2<f32>) -> vec4<u32> {
    let finite = (second & vec4<u32>(MAGNITUDE)) < vec4<u32>(INFINITY);
    return select(stepped, metric_prox_bits(stepped, metric, c), finite);
}
