//! The numeric contract inside a tile: one order of floating-point additions for every backend.
//!
//! Twin of `shaders/tile.wgsl`. 4096 consecutive weights make a tile. Lane j of 1024 adds the weights j, j+1024,
//! j+2048, j+3072 in that order; then lanes are halved, lane j += lane j+w for w = 512, 256, …, 4, and the last four
//! give (a₀+a₁)+(a₂+a₃). A square is taken without rounding: θ = h + l with h the upper half of the significand, and
//! h·h, 2h·l and l·l are exact. What a compiler may fuse therefore changes nothing.
//!
//! That holds for an ordinary tile, every non-zero weight of which is finite and in [2^-40, 2^57). Any other is first
//! scaled by a power of two, by integer arithmetic, so that its largest finite weight lies in [1, 2).

use crate::element::Element;
use crate::elementwise::flush;
use crate::exact::{Counts, Partial};

/// The number of consecutive weights that are summed in floating point; above it, sums are exact integers.
///
/// A chunk of a tensor must start at a multiple of it.
pub const TILE: usize = 4096;
pub(crate) const LANES: usize = 1024;
pub(crate) const HALF: usize = LANES / 2;
/// The most lanes that a vector register holds.
const WIDTH: usize = 16;
const MAGNITUDE: u32 = 0x7fff_ffff;
const INFINITY: u32 = 0x7f80_0000;
/// The upper half of a significand: h of θ = h + l.
const UPPER: u32 = 0xffff_f000;
/// 2^57, and 2^-40: the bits that an ordinary tile's weights lie between.
const ORDINARY_ABOVE: u32 = (127 + 57) << 23;
const ORDINARY_FROM: u32 = (127 - 40) << 23;
/// How many binary places lower the shares of the value's own sum are added where weights are above the ordinary.
const TERMS_BELOW: i32 = 14;

/// The state of a tile's lanes once halved to 512, or of those that can be other than +0, and the largest of |θ|'s bits less those of
/// 2^-40, of which what is below wraps to more than there is: one maximum tells of both ends of the range.
struct Lanes<const SUMS: usize> {
    l1: [f32; SUMS],
    l2_squared: [f32; SUMS],
    over: u32,
}

/// Adds a tile to the partial, and gives the bits of its largest finite |θ|. Of its weights the first `len` exist, the others
/// are +0; `ahead` is where the caller reads soon.
///
/// Of a tile whose last weights are absent, `N` may be fewer, a power of two from 16 to 512: adding +0 to what is no less
/// changes nothing, so the bits are the same. `SUMS` is `N`, or 512 of a whole tile.
#[inline(always)]
pub(crate) fn add<E: Element, const FUSED: bool, const N: usize, const SUMS: usize>(
    tile: &[E; N],
    len: usize,
    ahead: *const E,
    partial: &mut Partial,
) -> u32 {
    let mut lanes = lanes::<E, FUSED, N, SUMS>(tile, ahead);
    if lanes.over < ORDINARY_ABOVE - ORDINARY_FROM {
        // No zero and nothing non-finite: the counts follow from the length.
        let counts = Counts { nonzero: len as u64, ..Counts::default() };
        let (sums, max) = (tree(&mut lanes), ORDINARY_FROM + lanes.over);
        partial.add_tile(len, sums, 0, counts, max);
        return max;
    }
    let (counts, [min, max]) = count(tile);
    if min >= ORDINARY_FROM && max < ORDINARY_ABOVE && counts.nan + counts.inf == 0 {
        partial.add_tile(len, tree(&mut lanes), 0, counts, max);
        return max;
    }
    let exponent = exponent(max);
    let mut scaled = [0f32; N];
    for (to, from) in scaled.iter_mut().zip(tile) {
        *to = f32::from_bits(scale(from.decode() & MAGNITUDE, exponent));
    }
    let mut lanes = self::lanes::<f32, FUSED, N, SUMS>(&scaled, scaled.as_ptr());
    partial.add_tile(len, tree(&mut lanes), exponent, counts, max);
    max
}

/// The lanes of the value's own sum in one tile.
pub(crate) struct TermLanes {
    lanes: [f32; LANES],
    large: bool,
}

impl TermLanes {
    /// Of a tile whose largest |θ| has the bits `max`.
    ///
    /// Where a |θ| is large a share may be any finite number: at 2^-14 of their size 4096 of them cannot overflow.
    pub(crate) fn new(max: u32) -> TermLanes {
        TermLanes { lanes: [0.0; LANES], large: max >= ORDINARY_ABOVE }
    }

    /// Adds the shares of the next row, or of what there is of it.
    #[inline(always)]
    pub(crate) fn add(&mut self, shares: &[f32]) {
        if self.large {
            let scale = f32::from_bits((127 - TERMS_BELOW as u32) << 23);
            self.lanes.iter_mut().zip(shares).for_each(|(lane, share)| *lane += flush(share * scale));
        } else {
            self.lanes.iter_mut().zip(shares).for_each(|(lane, share)| *lane += share);
        }
    }

    #[inline(always)]
    pub(crate) fn finish(mut self, partial: &mut Partial) {
        halve::<HALF, LANES>(&mut self.lanes);
        partial.add_terms(fold(&mut self.lanes), if self.large { TERMS_BELOW } else { 0 });
    }
}

#[inline(always)]
fn lanes<E: Element, const FUSED: bool, const N: usize, const SUMS: usize>(
    tile: &[E; N],
    ahead: *const E,
) -> Lanes<SUMS> {
    const { assert!(N == SUMS && N <= HALF || N == TILE && SUMS == HALF) };
    let (mut l1, mut l2_squared) = ([0f32; SUMS], [0f32; SUMS]);
    let mut over = [0; WIDTH];
    // As many lanes are summed between two prefetches as a cache line holds.
    let line = const { 64 / size_of::<E>() };
    for start in (0..SUMS).step_by(line) {
        // In the order of addresses, not of lanes: so the hardware's prefetchers join in.
        for i in 0..N / SUMS {
            prefetch(ahead.wrapping_add(N / SUMS * start + i * line));
        }
        for first in (start..start + line).step_by(WIDTH) {
            for (i, over) in over.iter_mut().enumerate() {
                let j = first + i;
                let near = lane::<E, FUSED, N>(tile, j, over);
                (l1[j], l2_squared[j]) = near;
                if N == TILE {
                    let far = lane::<E, FUSED, N>(tile, j + HALF, over);
                    (l1[j], l2_squared[j]) = (near.0 + far.0, near.1 + far.1);
                }
            }
        }
    }
    Lanes { l1, l2_squared, over: over.into_iter().fold(0, u32::max) }
}

/// The sums of one lane before any halving.
#[inline(always)]
fn lane<E: Element, const FUSED: bool, const N: usize>(tile: &[E; N], j: usize, over: &mut u32) -> (f32, f32) {
    let (mut l1, mut hh, mut hl, mut ll) = (0f32, 0f32, 0f32, 0f32);
    for row in 0..N.div_ceil(LANES) {
        let bits = tile[j + row * LANES].decode() & MAGNITUDE;
        *over = (*over).max(bits.wrapping_sub(ORDINARY_FROM));
        let v = f32::from_bits(bits);
        let h = f32::from_bits(bits & UPPER);
        let l = v - h;
        l1 += v;
        hh = plus_product::<FUSED>(hh, h, h);
        hl = plus_product::<FUSED>(hl, h, l);
        ll = plus_product::<FUSED>(ll, l, l);
    }
    // Twice the sum of the h·l is the sum of the 2h·l: nothing here is near the ends of the exponents.
    (l1, hh + plus_product::<FUSED>(ll, 2.0, hl))
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
fn tree<const SUMS: usize>(lanes: &mut Lanes<SUMS>) -> [f32; 2] {
    [fold(&mut lanes.l1), fold(&mut lanes.l2_squared)]
}

#[inline(always)]
fn fold<const SUMS: usize>(a: &mut [f32; SUMS]) -> f32 {
    halve::<256, SUMS>(a);
    halve::<128, SUMS>(a);
    halve::<64, SUMS>(a);
    halve::<32, SUMS>(a);
    halve::<16, SUMS>(a);
    halve::<8, SUMS>(a);
    halve::<4, SUMS>(a);
    (a[0] + a[1]) + (a[2] + a[3])
}

#[inline(always)]
fn halve<const W: usize, const SUMS: usize>(a: &mut [f32; SUMS]) {
    // Beyond the array the lanes are +0.
    if W < SUMS {
        for j in 0..W {
            a[j] += a[j + W];
        }
    }
}

/// The counts of a tile and the bits of its smallest |θ| that is not 0 and of its largest that is finite.
#[inline(always)]
fn count<E: Element>(tile: &[E]) -> (Counts, [u32; 2]) {
    let (mut nonzero, mut nan, mut inf, mut min, mut max) = (0u32, 0u32, 0u32, u32::MAX, 0u32);
    for element in tile {
        let bits = element.decode() & MAGNITUDE;
        nonzero += u32::from(bits != 0);
        nan += u32::from(bits > INFINITY);
        inf += u32::from(bits == INFINITY);
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
