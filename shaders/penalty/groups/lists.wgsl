// Groups that are lists of indices. Twin of src/penalty/groups/geometry.rs.

// For each segment: where each group begins among the members, the members, and the group of each index.
@group(0) @binding(9) var<storage, read> lists: array<u32>;

struct Geometry {
    // The first word of each of the three.
    first: u32,
    members: u32,
    group_of: u32,
    // The index of the coefficients of its first group.
    coefficients: u32,
}

fn geometry_at(row: u32) -> Geometry {
    let words = table[row];
    return Geometry(words.x, words.y, words.z, table[row + 1u].x);
}

fn size_of(geometry: Geometry, group: u32) -> u32 {
    return lists[geometry.first + group + 1u] - lists[geometry.first + group];
}

// The index of a group's weight at this place.
fn index_of(geometry: Geometry, group: u32, place: u32) -> u32 {
    return lists[geometry.members + lists[geometry.first + group] + place];
}

fn group_at(geometry: Geometry, index: u32) -> u32 {
    return lists[geometry.group_of + index];
}
