// All threads of a workgroup reduce a group together.

const TEAMS: u32 = 1u;
const MEMBERS: u32 = 256u;

fn team_of(thread: u32) -> u32 {
    return 0u;
}

fn places_of(span: Span, size: u32) -> Places {
    return Places(0u, size, 0u);
}

fn begins(thread: u32, places: Places) -> bool {
    return true;
}

fn ends(thread: u32, places: Places) -> bool {
    return thread == 0u;
}

fn first_place(thread: u32, places: Places) -> u32 {
    return thread;
}

fn team_max(thread: u32, places: Places, x: u32) -> u32 {
    return workgroup_max(thread, x);
}

fn team_sum(thread: u32, places: Places, sum: vec4<u32>) -> vec4<u32> {
    return workgroup_sum(thread, sum);
}
