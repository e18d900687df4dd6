//! The numeric contract inside a tile: one order of floating-point additions for every backend.
//!
//! Twin of `shaders/numeric/tile.wgsl`. 4096 consecutive weights make a tile. Lane j of 1024 adds the weights j, j+1024,
//! j+2048, j+3072 in that order; then lanes are halved, lane j += lane j+w for w = 512, 256, …, 4, and the last four
//! give (a₀+a₁)+(a₂+a₃). A square is taken without rounding: θ = h + l with h the upper half of the significand, and
//! h·h, 2h·l and l·l are exact. What a compiler may fuse therefore changes nothing.
//!
//! That holds for an ordinary tile, every non-zero weight of which is finite and in [2^-40, 2^57). Any other is first
//! scaled by a power of two, by integer arithmetic, so that its largest finite weight lies in [1, 2).

use super::accumulator::{Counts, Sums};
use super::bits::{INFINITY, MAGNITUDE, flush};
use super::element::Element;
use super::wgsl::Constant;

/// The number of consecutive weights that are summed in floating point; above it, sums are exact integers.
///
/// A chunk of a tensor must start at a multiple of it.
pub const TILE: usize = 4096;
pub(crate) const LANES: usize = 1024;
pub(crate) const HALF: usize = LANES / 2;
/// The most lanes that a vector register holds.
const WIDTH: usize = 16;
/// The upper half of a significand: h of θ = h + l.
const UPPER: u32 = 0xffff_f000;
/// 2^57, and 2^-40: the bits that an ordinary tile's weights lie between.
const ORDINARY_ABOVE: u32 = (127 + LARGE as u32) << 23;
const ORDINARY_FROM: u32 = (127 - 40) << 23;
/// The exponent that a tile of large weights has at least.
const LARGE: i32 = 57;
/// How many binary places lower the shares of the value's own sum are added where weights are above the ordinary.
const TERMS_BELOW: i32 = 14;

/// What the WGSL twin is told.
pub(crate) const CONSTANTS: &[Constant] = &[
    Constant::U32("UPPER", UPPER),
    Constant::U32("ORDINARY_ABOVE", ORDINARY_ABOVE),
    Constant::U32("ORDINARY_FROM", ORDINARY_FROM),
    Constant::I32("LARGE", LARGE),
    Constant::I32("TERMS_BELOW", TERMS_BELOW),
];

/// How far ahead of the tile being worked on memory is asked for, in tiles.
pub(crate) const AHEAD: usize = 1;

/// Something of each of as many neighbouring lanes as the widest register holds.
type Row<T> = [T; WIDTH];

/// The sums of a tile's lanes once halved twice, and the largest of |θ|'s bits less those of 2^-40, of which what is below wraps to
/// more than there is: one maximum tells of both ends of the range.
#[repr(C, align(64))]
struct Lanes<const ROWS: usize> {
    l1: [Row<f32>; ROWS],
    l2_squared: [Row<f32>; ROWS],
    over: u32,
}

/// How many rows hold the lanes of so many weights once they are halved twice.
pub(crate) const fn rows(weights: usize) -> usize {
    let lanes = if weights < LANES { weights } else { LANES };
    lanes / (4 * WIDTH)
}

/// Adds a tile to the sums, and gives the bits of its largest finite |θ|. Of its weights the first `len` exist, the others
/// are +0; `ahead` is where the caller reads soon.
///
/// Of a tile whose last weights are absent, `N` may be fewer, a power of two from 64 to 512: adding +0 to what is no less
/// changes nothing, so the bits are the same. `ROWS` is [`rows`] of `N`.
#[inline(always)]
pub(crate) fn add<E: Element, const FUSED: bool, const N: usize, const ROWS: usize>(
    tile: &[E; N],
    len: usize,
    ahead: *const E,
    sums: &mut Sums,
) -> u32 {
    let mut lanes = Lanes { l1: [[0.0; WIDTH]; ROWS], l2_squared: [[0.0; WIDTH]; ROWS], over: 0 };
    Reader::<E, FUSED, N> { tile, ahead, over: [0; WIDTH] }.read(&mut lanes);
    if lanes.over < ORDINARY_ABOVE - ORDINARY_FROM {
        // No zero and nothing non-finite: the counts follow from the length.
        let counts = Counts { nonzero: len as u64, ..Counts::default() };
        let (tile, max) = (tree(&mut lanes), ORDINARY_FROM + lanes.over);
        sums.add_tile(len, tile, 0, counts, max);
        return max;
    }
    let (counts, [min, max]) = count(tile);
    if min >= ORDINARY_FROM && max < ORDINARY_ABOVE && counts.nan + counts.inf == 0 {
        sums.add_tile(len, tree(&mut lanes), 0, counts, max);
        return max;
    }
    let exponent = exponent(max);
    let mut scaled = [0f32; N];
    for (to, from) in scaled.iter_mut().zip(tile) {
        *to = f32::from_bits(scale(from.decode() & MAGNITUDE, exponent));
    }
    Reader::<f32, FUSED, N> { tile: &scaled, ahead: scaled.as_ptr(), over: [0; WIDTH] }.read(&mut lanes);
    sums.add_tile(len, tree(&mut lanes), exponent, counts, max);
    max
}

/// The lanes of the value's own sum in one tile.
pub(crate) struct TermLanes {
    lanes: [Row<f32>; LANES / WIDTH],
    large: bool,
}

impl TermLanes {
    /// Of a tile whose largest |θ| has the bits `max`.
    ///
    /// Where a |θ| is large a share may be any finite number: at 2^-14 of their size 4096 of them cannot overflow.
    pub(crate) fn new(max: u32) -> TermLanes {
        TermLanes { lanes: [[0.0; WIDTH]; LANES / WIDTH], large: max >= ORDINARY_ABOVE }
    }

    /// Adds the shares of the next row, or of what there is of it.
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

/// Reads a tile once, and asks for the memory that is read next.
struct Reader<'a, E, const FUSED: bool, const N: usize> {
    tile: &'a [E; N],
    ahead: *const E,
    over: Row<u32>,
}

impl<E: Element, const FUSED: bool, const N: usize> Reader<'_, E, FUSED, N> {
    /// The lanes, halved twice: a row is summed of four at once, so that three quarters of the sums are never stored.
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

    /// Both sums of the lanes from `first` on, before any halving.
    #[inline(always)]
    fn sums(&mut self, first: usize) -> [Row<f32>; 2] {
        let rows = const { N.div_ceil(LANES) };
        // As much as is read here: asked for at once, more would only wait in the queue of missing lines. In the order of
        // addresses, not of lanes, so the hardware's prefetchers join in.
        for _ in 0..rows * WIDTH * size_of::<E>() / 64 {
            prefetch(self.ahead);
            self.ahead = self.ahead.wrapping_byte_add(64);
        }
        let (mut l1s, mut squares) = ([0.0; WIDTH], [0.0; WIDTH]);
        // By index, which is what LLVM makes vectors of.
        for i in 0..WIDTH {
            let (mut l1, mut hh, mut hl, mut ll) = (0f32, 0f32, 0f32, 0f32);
            for row in 0..rows {
                let bits = self.tile[first + i + row * LANES].decode() & MAGNITUDE;
                self.over[i] = self.over[i].max(bits.wrapping_sub(ORDINARY_FROM));
                let v = f32::from_bits(bits);
                let h = f32::from_bits(bits & UPPER);
                let l = v - h;
                l1 += v;
                hh = plus_product::<FUSED>(hh, h, h);
                hl = plus_product::<FUSED>(hl, h, l);
                ll = plus_product::<FUSED>(ll, l, l);
            }
            l1s[i] = l1;
            // Twice the sum of the h·l is the sum of the 2h·l: nothing here is near the ends of the exponents.
            squares[i] = hh + plus_product::<FUSED>(ll, 2.0, hl);
        }
        [l1s, squares]
    }
}

#[inline(always)]
fn plus(mut near: [Row<f32>; 2], far: [Row<f32>; 2]) -> [Row<f32>; 2] {
    for (near, far) in near.as_flattened_mut().iter_mut().zip(far.as_flattened()) {
        *near += far;
    }
    near
}

/// sum + a·b, where the product is exact: one rounding or two are the same.
#[inline(always)]
fn plus_product<const FUSED: bool>(sum: f32, a: f32, b: f32) -> f32 {
    if FUSED { a.mul_add(b, sum) } else { sum + a * b }
}

/// Brings a cache line into the cache.
#[inline(always)]
pub(crate) fn prefetch<E>(from: *const E) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch of any address is allowed; it never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = from;
}

/// Halves the lanes down to both sums.
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
    // By value from here on: LLVM makes vectors of that, and hundreds of shuffles of the same in place.
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

/// The counts of a tile and the bits of its smallest |θ| that is not 0 and of its largest that is finite.
#[inline(always)]
fn count<E: Element>(tile: &[E]) -> (Counts, [u32; 2]) {
    let (mut nonzero, mut nan, mut inf, mut min, mut max) = (0u32, 0u32, 0u32, u32::MAX, 0u32);
    for element in tile {
        let bits = element.decode() & MAGNITUDE;
        // At most 4096, so no debug build need check it.
        nonzero = nonzero.wrapping_add(u32::from(bits != 0));
        nan = nan.wrapping_add(u32::from(bits > INFINITY));
        inf = inf.wrapping_add(u32::from(bits == INFINITY));
        min = min.min(bits.wrapping_sub(1));
        max = max.max(if bits < INFINITY { bits } else { 0 });
    }
    (Counts { nonzero: nonzero.into(), nan: nan.into(), inf: inf.into() }, [min.saturating_add(1), max])
}

/// The exponent of the largest finite |θ|, 0 where all are 0.
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

/// |θ|·2^-exponent in integers; +0 for what is not finite and for what is below 2^-40 of the tile's largest.
#[inline(always)]
fn scale(bits: u32, exponent: i32) -> u32 {
    // A subnormal's bits are an integer times 2^-149, and the conversion of an integer below 2^23 is exact.
    let subnormal = bits < 0x80_0000;
    let significand = if subnormal { (bits as f32).to_bits() } else { bits };
    let shift = if subnormal { exponent + 149 } else { exponent };
    let scaled = (significand as i32).wrapping_sub(shift.wrapping_mul(1 << 23));
    let kept = bits != 0 && bits < INFINITY && scaled >= ORDINARY_FROM as i32;
    if kept { scaled as u32 } else { 0 }
}
