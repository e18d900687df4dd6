//! The numeric contract inside a tile: one order of floating-point additions for every backend.
//!
//! Twin of `shaders/numeric/tile.wgsl`. 4096 consecutive weights form a tile. Lane j of 1024 adds the weights j,
//! j+1024, j+2048, j+3072 in that order. Then the lanes are halved: lane j += lane j+w for w = 512, 256, …, 4. The last
//! four give (a₀+a₁)+(a₂+a₃). A square is taken without rounding: θ = h + l, where h is the upper half of the
//! significand, and h·h, 2h·l and l·l are exact. So it makes no difference whether a compiler fuses them into an FMA.
//!
//! That holds for an ordinary tile: all its weights are finite, and all non-zero |θ| are in [2^-40, 2^57). Any other
//! tile is first scaled by a power of two, in integer arithmetic, so that its largest finite |θ| lies in [1, 2).

use super::accumulator::{Counts, Sums};
use super::bits::{INFINITY, MAGNITUDE, flush};
use super::element::Element;
use super::simd::InstructionSet;
use super::wgsl::Constant;

/// The number of consecutive weights that are summed in floating point. Above tiles, sums are exact integers.
///
/// A chunk of a tensor must start at a multiple of this.
pub const TILE: usize = 4096;
pub(crate) const LANES: usize = 1024;
/// Parts of at most this many weights, such as biases, take only a few lanes.
const SHORT: usize = 64;
/// The most lanes that a vector register holds.
const WIDTH: usize = 16;
/// The upper half of a significand: h of θ = h + l.
const UPPER: u32 = 0xffff_f000;
/// The bits of 2^57 and 2^-40: the weights of an ordinary tile lie between them.
const ORDINARY_ABOVE: u32 = (127 + LARGE as u32) << 23;
const ORDINARY_FROM: u32 = (127 - 40) << 23;
/// A tile has large weights if its largest |θ| has at least this exponent.
const LARGE: i32 = 57;
/// In a tile with large weights, the terms are scaled by 2^-14 before they are added.
const TERMS_BELOW: i32 = 14;

/// The constants of the WGSL twin.
pub(crate) const CONSTANTS: &[Constant] = &[
    Constant::U32("UPPER", UPPER),
    Constant::U32("ORDINARY_ABOVE", ORDINARY_ABOVE),
    Constant::U32("ORDINARY_FROM", ORDINARY_FROM),
    Constant::I32("LARGE", LARGE),
    Constant::I32("TERMS_BELOW", TERMS_BELOW),
];

/// One value for each of `WIDTH` neighbouring lanes: as many as the widest register holds.
type Row<T> = [T; WIDTH];

/// A tile's lane sums, halved twice, and `over` = max over (bits of |θ| − bits of 2^-40). Smaller values wrap around,
/// so this one maximum checks both ends of the range.
#[repr(C, align(64))]
struct Lanes<const ROWS: usize> {
    l1: [Row<f32>; ROWS],
    l2_squared: [Row<f32>; ROWS],
    over: u32,
}

impl<const ROWS: usize> Lanes<ROWS> {
    #[inline(always)]
    fn new() -> Lanes<ROWS> {
        Lanes { l1: [[0.0; WIDTH]; ROWS], l2_squared: [[0.0; WIDTH]; ROWS], over: 0 }
    }
}

/// How many rows hold the lanes of a number of weights, once they are halved twice.
const fn rows(weights: usize) -> usize {
    let lanes = if weights < LANES { weights } else { LANES };
    lanes / (4 * WIDTH)
}

/// Adds a tile to the sums, and returns the bits of its largest finite |θ|. `room` is kept from tile to tile.
#[inline(always)]
pub(crate) fn add<E: Element>(
    set: InstructionSet,
    tile: &[E; TILE],
    room: &mut Option<E::Room<TILE>>,
    sums: &mut Sums,
) -> u32 {
    let mut lanes = Lanes::<{ rows(TILE) }>::new();
    // The next tile follows.
    let ahead = tile.as_ptr_range().end;
    if E::converts(set) {
        // LLVM vectorises the sums only if the conversions are apart.
        let room = bytemuck::cast_slice_mut::<u32, f32>(room.get_or_insert_with(E::room).as_mut());
        if let Some(room) = room.first_chunk_mut() {
            decode(set, tile, ahead, room);
            Reader { set, tile: room, ahead: room.as_ptr(), over: [0; WIDTH] }.read(&mut lanes);
        }
    } else {
        Reader { set, tile, ahead, over: [0; WIDTH] }.read(&mut lanes);
    }
    finish(set, tile, lanes, sums)
}

/// Adds a tile whose last weights are absent: they are +0.
#[inline(always)]
pub(crate) fn add_part<E: Element>(set: InstructionSet, part: &[E], sums: &mut Sums) -> u32 {
    if part.len() <= SHORT {
        // Adding +0 to a number ≥ 0 changes nothing, so fewer lanes give the same bits.
        let mut lanes = Lanes::<{ rows(SHORT) }>::new();
        read_part(set, part, &mut lanes);
        finish(set, part, lanes, sums)
    } else {
        let mut lanes = Lanes::<{ rows(TILE) }>::new();
        read_part(set, part, &mut lanes);
        finish(set, part, lanes, sums)
    }
}

/// Decodes a tile, and prefetches as much.
#[inline(always)]
fn decode<E: Element>(set: InstructionSet, tile: &[E; TILE], mut ahead: *const E, to: &mut [f32; TILE]) {
    for (to, from) in bytemuck::cast_slice_mut(to).as_chunks_mut().0.iter_mut().zip(tile.as_chunks().0) {
        for _ in 0..size_of_val(from) / 64 {
            prefetch(ahead);
            ahead = ahead.wrapping_byte_add(64);
        }
        E::decode_block(from, to, set);
    }
}

/// Adds the lanes of a tile, or of a part of it, to the sums. Unless the tile is ordinary, reads it again.
#[inline(always)]
fn finish<E: Element, const ROWS: usize>(
    set: InstructionSet,
    tile: &[E],
    mut lanes: Lanes<ROWS>,
    sums: &mut Sums,
) -> u32 {
    // No weight is zero or non-finite: the counts follow from the length.
    let plain = lanes.over < ORDINARY_ABOVE - ORDINARY_FROM;
    let (counts, [min, max]) = if plain {
        let counts = Counts { nonzero: tile.len() as u64, ..Counts::default() };
        (counts, [ORDINARY_FROM, ORDINARY_FROM + lanes.over])
    } else {
        count(set, tile)
    };
    let (sum, exponent) = if min >= ORDINARY_FROM && max < ORDINARY_ABOVE && counts.nan + counts.inf == 0 {
        (tree(&mut lanes), 0)
    } else {
        let exponent = exponent(max);
        (scaled_sums(set, tile, exponent), exponent)
    };
    sums.add_tile(tile.len(), sum, exponent, counts, max);
    max
}

/// The sums of a tile that is not ordinary, scaled by 2^-`exponent`. Apart, because it takes much room on the stack.
#[inline(never)]
fn scaled_sums<E: Element>(set: InstructionSet, tile: &[E], exponent: i32) -> [f32; 2] {
    let mut scaled = [0f32; TILE];
    set.run(
        #[inline(always)]
        || {
            for (to, from) in scaled.iter_mut().zip(tile) {
                *to = f32::from_bits(scale(from.decode() & MAGNITUDE, exponent));
            }
        },
    );
    ordinary_sums(set, &scaled)
}

/// The sums of an ordinary tile.
#[inline(never)]
fn ordinary_sums(set: InstructionSet, tile: &[f32; TILE]) -> [f32; 2] {
    set.run_knowing(
        #[inline(always)]
        |set| {
            let mut lanes = Lanes::<{ rows(TILE) }>::new();
            Reader { set, tile, ahead: tile.as_ptr(), over: [0; WIDTH] }.read(&mut lanes);
            tree(&mut lanes)
        },
    )
}

/// The lanes of the term sum, Σterm(θ), in one tile.
pub(crate) struct TermLanes {
    lanes: [Row<f32>; LANES / WIDTH],
    large: bool,
}

impl TermLanes {
    /// For a tile whose largest |θ| has the bits `max`.
    ///
    /// If a |θ| is large, a term may be any finite number. Scaled by 2^-14, the 4096 terms of a tile cannot overflow.
    pub(crate) fn new(max: u32) -> TermLanes {
        TermLanes { lanes: [[0.0; WIDTH]; LANES / WIDTH], large: max >= ORDINARY_ABOVE }
    }

    /// Adds the terms of the next row, or of the part of it that exists.
    #[inline(always)]
    pub(crate) fn add(&mut self, shares: &[f32]) {
        let lanes = self.lanes.as_flattened_mut();
        if self.large {
            let scale = f32::from_bits((127 - TERMS_BELOW as u32) << 23);
            lanes.iter_mut().zip(shares).for_each(|(lane, share)| *lane += flush(share * scale));
        } else {
            lanes.iter_mut().zip(shares).for_each(|(lane, share)| *lane += share);
        }
    }

    #[inline(always)]
    pub(crate) fn finish(mut self, sums: &mut Sums) {
        sums.add_terms(fold(&mut self.lanes), if self.large { TERMS_BELOW } else { 0 });
    }
}

/// Reads a tile once, and prefetches the memory that is read next.
struct Reader<'a, E, const N: usize> {
    set: InstructionSet,
    tile: &'a [E; N],
    ahead: *const E,
    over: Row<u32>,
}

impl<E: Element, const N: usize> Reader<'_, E, N> {
    /// The lanes, halved twice. The sums of four rows are added at once, so that three quarters of the sums are never
    /// stored.
    #[inline(always)]
    fn read<const ROWS: usize>(mut self, lanes: &mut Lanes<ROWS>) {
        let apart = const { ROWS * WIDTH };
        const { assert!(ROWS == rows(N)) };
        for row in 0..ROWS {
            let first = row * WIDTH;
            let near = plus(self.sums(first), self.sums(first + 2 * apart));
            let far = plus(self.sums(first + apart), self.sums(first + 3 * apart));
            [lanes.l1[row], lanes.l2_squared[row]] = plus(near, far);
        }
        lanes.over = self.over.into_iter().fold(0, u32::max);
    }

    /// Both sums of the lanes that start at `first`, before any halving.
    #[inline(always)]
    fn sums(&mut self, first: usize) -> [Row<f32>; 2] {
        let rows = const { N.div_ceil(LANES) };
        // Prefetches as much as is read here: more at once would only wait in the queue of missing lines. It follows
        // the order of addresses, not of lanes, so that the hardware's prefetchers join in.
        for _ in 0..rows * WIDTH * size_of::<E>() / 64 {
            prefetch(self.ahead);
            self.ahead = self.ahead.wrapping_byte_add(64);
        }
        let (mut l1s, mut squares) = ([0.0; WIDTH], [0.0; WIDTH]);
        // By index: LLVM vectorises that.
        for i in 0..WIDTH {
            let mut lane = Lane::default();
            for row in 0..rows {
                let bits = self.tile[first + i + row * LANES].decode() & MAGNITUDE;
                self.over[i] = self.over[i].max(bits.wrapping_sub(ORDINARY_FROM));
                lane.add(self.set, bits);
            }
            [l1s[i], squares[i]] = lane.sums(self.set);
        }
        [l1s, squares]
    }
}

/// Reads a part of a tile once. Absent weights are not visited, so that they do not count as zeros.
#[inline(always)]
fn read_part<E: Element, const ROWS: usize>(set: InstructionSet, part: &[E], lanes: &mut Lanes<ROWS>) {
    let (rows, rest) = part.as_chunks();
    let mut last = [E::zeroed(); WIDTH];
    last[..rest.len()].copy_from_slice(rest);
    let mut reader = PartReader { set, rows, last, over: [0; WIDTH] };
    for (over, element) in reader.over.iter_mut().zip(rest) {
        *over = (element.decode() & MAGNITUDE).wrapping_sub(ORDINARY_FROM);
    }
    for row in 0..ROWS {
        let near = plus(reader.sums(row), reader.sums(row + 2 * ROWS));
        let far = plus(reader.sums(row + ROWS), reader.sums(row + 3 * ROWS));
        [lanes.l1[row], lanes.l2_squared[row]] = plus(near, far);
    }
    lanes.over = reader.over.into_iter().fold(0, u32::max);
}

/// A part of a tile, in rows of neighbouring lanes.
struct PartReader<'a, E> {
    set: InstructionSet,
    rows: &'a [[E; WIDTH]],
    /// What is left, padded with zeros.
    last: [E; WIDTH],
    over: Row<u32>,
}

impl<E: Element> PartReader<'_, E> {
    /// Both sums of a row of lanes, before any halving.
    #[inline(always)]
    fn sums(&mut self, at: usize) -> [Row<f32>; 2] {
        let apart = LANES / WIDTH;
        // One row per sum: LLVM keeps them in registers.
        let [mut l1, mut hh, mut hl, mut ll] = [[0.0; WIDTH]; 4];
        for row in self.rows.iter().skip(at).step_by(apart) {
            for i in 0..WIDTH {
                let bits = row[i].decode() & MAGNITUDE;
                self.over[i] = self.over[i].max(bits.wrapping_sub(ORDINARY_FROM));
                let mut lane = Lane { l1: l1[i], hh: hh[i], hl: hl[i], ll: ll[i] };
                lane.add(self.set, bits);
                Lane { l1: l1[i], hh: hh[i], hl: hl[i], ll: ll[i] } = lane;
            }
        }
        if self.rows.len() % apart == at {
            for i in 0..WIDTH {
                let mut lane = Lane { l1: l1[i], hh: hh[i], hl: hl[i], ll: ll[i] };
                lane.add(self.set, self.last[i].decode() & MAGNITUDE);
                Lane { l1: l1[i], hh: hh[i], hl: hl[i], ll: ll[i] } = lane;
            }
        }
        let (mut l1s, mut squares) = ([0.0; WIDTH], [0.0; WIDTH]);
        for i in 0..WIDTH {
            [l1s[i], squares[i]] = Lane { l1: l1[i], hh: hh[i], hl: hl[i], ll: ll[i] }.sums(self.set);
        }
        [l1s, squares]
    }
}

/// The sums of a lane: Σ|θ|, Σh², Σh·l and Σl².
#[derive(Clone, Copy, Default)]
struct Lane {
    l1: f32,
    hh: f32,
    hl: f32,
    ll: f32,
}

impl Lane {
    /// Adds a weight, given by the bits of its magnitude.
    #[inline(always)]
    fn add(&mut self, set: InstructionSet, bits: u32) {
        let v = f32::from_bits(bits);
        let h = f32::from_bits(bits & UPPER);
        let l = v - h;
        self.l1 += v;
        self.hh = plus_product(set, self.hh, h, h);
        self.hl = plus_product(set, self.hl, h, l);
        self.ll = plus_product(set, self.ll, l, l);
    }

    /// Σ|θ| and Σθ². Σ2h·l is twice Σh·l: nothing here is near the ends of the exponent range.
    #[inline(always)]
    fn sums(self, set: InstructionSet) -> [f32; 2] {
        [self.l1, self.hh + plus_product(set, self.ll, 2.0, self.hl)]
    }
}

#[inline(always)]
fn plus(mut near: [Row<f32>; 2], far: [Row<f32>; 2]) -> [Row<f32>; 2] {
    for (near, far) in near.as_flattened_mut().iter_mut().zip(far.as_flattened()) {
        *near += far;
    }
    near
}

/// sum + a·b. The product is exact, so a fused multiply-add gives the same bits.
#[inline(always)]
fn plus_product(set: InstructionSet, sum: f32, a: f32, b: f32) -> f32 {
    // Without an instruction for it, `mul_add` is a slow call.
    if set == InstructionSet::Baseline { sum + a * b } else { a.mul_add(b, sum) }
}

/// Prefetches the memory 4 KiB after a block. Loops that write look no further ahead: they read several arrays, and what
/// is prefetched must stay in the first-level cache until it is used.
#[inline(always)]
pub(crate) fn prefetch_ahead<T, const N: usize>(block: &[T; N]) {
    for line in (0..size_of::<[T; N]>()).step_by(64) {
        prefetch(block.as_ptr().wrapping_byte_add(4096 + line));
    }
}

/// Brings a cache line into the cache.
#[inline(always)]
fn prefetch<E>(from: *const E) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch of any address is allowed; it never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = from;
}

/// Halves the lanes until only the two sums are left.
#[inline(always)]
fn tree<const ROWS: usize>(lanes: &mut Lanes<ROWS>) -> [f32; 2] {
    [fold(&mut lanes.l1), fold(&mut lanes.l2_squared)]
}

#[inline(always)]
fn fold<const ROWS: usize>(rows: &mut [Row<f32>; ROWS]) -> f32 {
    halve::<32, ROWS>(rows);
    halve::<16, ROWS>(rows);
    halve::<8, ROWS>(rows);
    halve::<4, ROWS>(rows);
    halve::<2, ROWS>(rows);
    halve::<1, ROWS>(rows);
    // By value from here on: LLVM vectorises that. In place, it emits hundreds of shuffles.
    let a = rows[0];
    let mut b = [0.0; 8];
    for j in 0..8 {
        b[j] = a[j] + a[j + 8];
    }
    let mut c = [0.0; 4];
    for j in 0..4 {
        c[j] = b[j] + b[j + 4];
    }
    (c[0] + c[1]) + (c[2] + c[3])
}

#[inline(always)]
fn halve<const W: usize, const ROWS: usize>(rows: &mut [Row<f32>; ROWS]) {
    // Beyond the array the lanes are +0.
    if W < ROWS {
        let (near, far) = rows.as_flattened_mut().split_at_mut(W * WIDTH);
        near.iter_mut().zip(far).for_each(|(near, far)| *near += *far);
    }
}

/// A tile's counts, and the bits of its smallest non-zero |θ| and of its largest finite |θ|.
#[inline(never)]
fn count<E: Element>(set: InstructionSet, tile: &[E]) -> (Counts, [u32; 2]) {
    set.run(
        #[inline(always)]
        || {
            let (mut nonzero, mut min, mut max) = (0u32, u32::MAX, 0u32);
            for element in tile {
                let bits = element.decode() & MAGNITUDE;
                // At most 4096: wrapping additions spare debug builds the check.
                nonzero = nonzero.wrapping_add(u32::from(bits != 0));
                min = min.min(bits.wrapping_sub(1));
                max = max.max(bits);
            }
            let (mut nan, mut inf) = (0u32, 0u32);
            if max >= INFINITY {
                max = 0;
                for element in tile {
                    let bits = element.decode() & MAGNITUDE;
                    nan = nan.wrapping_add(u32::from(bits > INFINITY));
                    inf = inf.wrapping_add(u32::from(bits == INFINITY));
                    max = max.max(if bits < INFINITY { bits } else { 0 });
                }
            }
            let counts = Counts { nonzero: nonzero.into(), nan: nan.into(), inf: inf.into() };
            (counts, [min.saturating_add(1), max])
        },
    )
}

/// The exponent of the largest finite |θ|; 0 if all are 0.
#[inline(always)]
fn exponent(max: u32) -> i32 {
    if max >= 0x80_0000 {
        (max >> 23) as i32 - 127
    } else if max > 0 {
        31 - max.leading_zeros() as i32 - 149
    } else {
        0
    }
}

/// |θ|·2^-exponent in integers; +0 for non-finite weights and for those below 2^-40 of the tile's largest.
#[inline(always)]
fn scale(bits: u32, exponent: i32) -> u32 {
    // A subnormal's bits are an integer times 2^-149. Converting an integer below 2^23 is exact.
    let subnormal = bits < 0x80_0000;
    let significand = if subnormal { (bits as f32).to_bits() } else { bits };
    let shift = if subnormal { exponent + 149 } else { exponent };
    let scaled = (significand as i32).wrapping_sub(shift.wrapping_mul(1 << 23));
    let kept = bits != 0 && bits < INFINITY && scaled >= ORDINARY_FROM as i32;
    if kept { scaled as u32 } else { 0 }
}
