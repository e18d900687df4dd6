// How a group's numbers are found, and what for; a kernel is compiled for one of each. Twin of src/formula/rule.rs.

const SHRINK: u32 = 0u;
const SHRINK_SIZED: u32 = 1u;
const SCALE: u32 = 2u;
const SOFT: u32 = 3u;
const CLAMP: u32 = 4u;
const SIMPLEX: u32 = 5u;
const SELECT: u32 = 6u;

const NONE: u32 = 0u;
const VALUE: u32 = 1u;
const GRADIENT: u32 = 2u;
const PROX: u32 = 3u;

