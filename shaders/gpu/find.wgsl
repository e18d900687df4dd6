// The loop of the kernels that find groups' coefficients: one span of groups for each workgroup, one group for each
// team.
//
// `find` comes from one of the files in shaders/formula/group.

// Each group's coefficients.
@group(0) @binding(8) var<storage, read_write> group_coefficients: array<vec2<u32>>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let index = span_index(workgroup);
    if (index >= parameters.spans) {
        return;
    }
    let span = span_at(index);
    let geometry = geometry_at(span.geometry);
    begin_shares(thread);
    var soft = vec4<f32>(0.0);
    if (PURPOSE == PROX && RULE <= SHRINK_SIZED) {
        soft = span.c[0];
    }
    for (var at = team_of(thread); at < span.len; at += TEAMS) {
        let number = span.first + at;
        let size = size_of(geometry, number);
        let group = Group(geometry, number, size, places_of(span, size), span.words.x, soft);
        if (begins(thread, group.places)) {
            let found = find(thread, group, span);
            if (ends(thread, group.places)) {
                group_coefficients[geometry.coefficients + number] = found.coefficients;
                add_share(found);
            }
        }
    }
    end_shares(thread, span.segment);
}
