// Groups that are tiles of a matrix. Twin of src/penalty/groups/geometry.rs.

struct Geometry {
    columns: u32,
    height: u32,
    width: u32,
    across: u32,
    // The index of the coefficients of its first group.
    coefficients: u32,
}

fn geometry_at(row: u32) -> Geometry {
    let sides = table[row];
    return Geometry(sides.x, sides.y, sides.z, sides.w, table[row + 1u].x);
}

fn size_of(geometry: Geometry, group: u32) -> u32 {
    return geometry.height * geometry.width;
}

// The index of a group's weight at this place.
fn index_of(geometry: Geometry, group: u32, place: u32) -> u32 {
    let row = group / geometry.across * geometry.height + place / geometry.width;
    return row * geometry.columns + group % geometry.across * geometry.width + place % geometry.width;
}

fn group_at(geometry: Geometry, index: u32) -> u32 {
    let row = index / geometry.columns;
    return row / geometry.height * geometry.across + index % geometry.columns / geometry.width;
}
