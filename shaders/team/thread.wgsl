// Each thread takes a group of its own.

const TEAMS: u32 = 256u;
const MEMBERS: u32 = 1u;

fn team_of(thread: u32) -> u32 {
    return thread;
}

fn member_of(thread: u32) -> u32 {
    return 0u;
}

fn team_max(thread: u32, x: u32) -> u32 {
    return x;
}

// An exact sum of 96 bits, and a count.
fn team_sum(thread: u32, sum: vec4<u32>) -> vec4<u32> {
    return sum;
}
