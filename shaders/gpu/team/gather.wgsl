// Maxima and sums over the threads of a workgroup.

var<workgroup> gathered: array<atomic<u32>, 4>;
var<workgroup> gathered_sum: vec4<u32>;
var<workgroup> gathered_max: u32;

fn workgroup_max(thread: u32, x: u32) -> u32 {
    if (thread == 0u) {
        atomicStore(&gathered[0], 0u);
    }
    workgroupBarrier();
    atomicMax(&gathered[0], x);
    workgroupBarrier();
    if (thread == 0u) {
        gathered_max = atomicLoad(&gathered[0]);
    }
    return workgroupUniformLoad(&gathered_max);
}

// An exact sum of 96 bits, and a count.
fn workgroup_sum(thread: u32, sum: vec4<u32>) -> vec4<u32> {
    if (thread < 4u) {
        atomicStore(&gathered[thread], 0u);
    }
    workgroupBarrier();
    for (var word = 0u; word < 3u; word++) {
        var carry = sum[word];
        for (var to = word; to < 3u && carry != 0u; to++) {
            let old = atomicAdd(&gathered[to], carry);
            carry = select(0u, 1u, old + carry < old);
        }
    }
    atomicAdd(&gathered[3], sum.w);
    workgroupBarrier();
    if (thread == 0u) {
        gathered_sum = vec4<u32>(
            atomicLoad(&gathered[0]), atomicLoad(&gathered[1]), atomicLoad(&gathered[2]), atomicLoad(&gathered[3]),
        );
    }
    return workgroupUniformLoad(&gathered_sum);
}
