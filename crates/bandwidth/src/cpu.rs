//! The processor: every core of the current rayon pool, with its widest vectors.
//!
//! A task takes a few megabytes and walks through its four quarters at once, a few cache lines of each in turn, because
//! a hardware prefetcher follows several streams better than one. Each step also prefetches as many lines a few
//! kilobytes ahead. Prefetching many lines at once would fill the queue for missing lines and stall.

use std::time::Instant;

use rayon::prelude::*;

use crate::{Bandwidth, ROUNDS, median};

/// The size of a task: 2 MiB.
const TASK: usize = 1 << 19;
/// The part of a stream that is processed before the next stream's turn: four cache lines.
const BLOCK: usize = 64;
/// How far ahead of a stream we prefetch: 4 KiB.
const AHEAD: usize = 1024;

/// The exclusive or of all bits: reads every word once.
pub fn read(source: &[f32]) -> u32 {
    source
        .par_chunks(TASK)
        .map(|task| {
            run(
                #[inline(always)]
                || xor(task),
            )
        })
        .reduce(|| 0, |a, b| a ^ b)
}

/// Copies as much as the shorter slice holds. It bypasses the caches if the processor can.
pub fn copy(source: &[f32], target: &mut [f32]) {
    let tasks = source.par_chunks(TASK).zip(target.par_chunks_mut(TASK));
    tasks.for_each(|(source, target)| copy_task(source, target));
}

/// Reads `source`, and reads and writes each target, up to the length of the shortest slice. All of them keep their bits:
/// what an optimizer's step moves. More targets are more streams.
pub fn update<const TARGETS: usize>(source: &[f32], targets: [&mut [f32]; TARGETS]) {
    let mut chunks = targets.map(|target| target.chunks_mut(TASK));
    let tasks: Vec<_> = source
        .chunks(TASK)
        .map(|source| (source, chunks.each_mut().map(|chunks| chunks.next().unwrap_or_default())))
        .collect();
    // The compiler must not know that this is zero.
    let mask = std::hint::black_box(0);
    tasks.into_par_iter().for_each(|(source, targets)| {
        run(
            #[inline(always)]
            || mix(source, targets, mask),
        )
    });
}

/// Multiplies every element in place.
pub fn scale(data: &mut [f32], factor: f32) {
    data.par_chunks_mut(TASK).for_each(|task| {
        run(
            #[inline(always)]
            || multiply(task, factor),
        )
    });
}

/// The bandwidths over arrays of this many bytes. They should be many times as large as the caches.
pub fn bandwidth(bytes: usize) -> Bandwidth {
    let len = (bytes / size_of::<f32>()).max(1);
    // The pool's threads write every page before anything is timed.
    let mut data = vec![0f32; len];
    data.par_iter_mut().enumerate().for_each(|(i, x)| *x = f32::from_bits(0x3f80_0000 | (i as u32 & 0x7f_ffff)));
    let mut target = vec![0f32; len];
    target.par_iter_mut().for_each(|x| *x = 1.0);

    let moved = (len * size_of::<f32>()) as f64 / 1e9;
    let timed = |run: &mut dyn FnMut()| {
        let times = (0..ROUNDS).map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        });
        median(times.collect())
    };
    Bandwidth {
        read: moved / timed(&mut || _ = std::hint::black_box(read(&data))),
        copy: 2.0 * moved / timed(&mut || copy(&data, &mut target)),
        scale: 2.0 * moved / timed(&mut || scale(&mut data, std::hint::black_box(-1.0))),
    }
}

#[inline(always)]
fn xor(task: &[f32]) -> u32 {
    let quarter = task.len() / 4 / BLOCK * BLOCK;
    let (streams, rest) = task.split_at(4 * quarter);
    let mut sums = [0u32; BLOCK];
    for at in (0..quarter).step_by(BLOCK) {
        for stream in 0..4 {
            let start = stream * quarter + at;
            let block = &streams[start..start + BLOCK];
            prefetch(block.as_ptr().wrapping_add(AHEAD));
            for (sum, x) in sums.iter_mut().zip(block) {
                *sum ^= x.to_bits();
            }
        }
    }
    let rest = rest.iter().fold(0, |sum, x| sum ^ x.to_bits());
    sums.iter().fold(rest, |a, b| a ^ b)
}

/// Flips those bits of the targets that are set in both the source and the mask.
#[inline(always)]
fn mix<const TARGETS: usize>(source: &[f32], targets: [&mut [f32]; TARGETS], mask: u32) {
    let len = targets.iter().fold(source.len(), |len, target| len.min(target.len()));
    let quarter = len / 4 / BLOCK * BLOCK;
    let (from, from_rest) = source[..len].split_at(4 * quarter);
    let mut targets = targets.map(|target| target[..len].split_at_mut(4 * quarter));
    for at in (0..quarter).step_by(BLOCK) {
        for stream in 0..4 {
            let start = stream * quarter + at;
            let from = &from[start..start + BLOCK];
            prefetch(from.as_ptr().wrapping_add(AHEAD));
            for (target, _) in &mut targets {
                let to = &mut target[start..start + BLOCK];
                prefetch(to.as_ptr().wrapping_add(AHEAD));
                flip(to, from, mask);
            }
        }
    }
    for (_, rest) in &mut targets {
        flip(rest, from_rest, mask);
    }
}

#[inline(always)]
fn flip(to: &mut [f32], from: &[f32], mask: u32) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = f32::from_bits(to.to_bits() ^ (from.to_bits() & mask));
    }
}

#[inline(always)]
fn multiply(task: &mut [f32], factor: f32) {
    let quarter = task.len() / 4 / BLOCK * BLOCK;
    let (streams, rest) = task.split_at_mut(4 * quarter);
    for at in (0..quarter).step_by(BLOCK) {
        for stream in 0..4 {
            let start = stream * quarter + at;
            let block = &mut streams[start..start + BLOCK];
            prefetch(block.as_ptr().wrapping_add(AHEAD));
            for x in block {
                *x *= factor;
            }
        }
    }
    for x in rest {
        *x *= factor;
    }
}

/// Prefetches a block's cache lines.
#[inline(always)]
fn prefetch(block: *const f32) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..BLOCK / 16 {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch of any address is allowed; it never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(block.wrapping_add(16 * line).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = block;
}

#[cfg(not(target_arch = "x86_64"))]
use portable::{copy_task, run};
#[cfg(target_arch = "x86_64")]
use x86_64::{copy_task, run};

#[cfg(not(target_arch = "x86_64"))]
mod portable {
    pub(super) fn run<R>(body: impl FnOnce() -> R) -> R {
        body()
    }

    pub(super) fn copy_task(source: &[f32], target: &mut [f32]) {
        let len = source.len().min(target.len());
        target[..len].copy_from_slice(&source[..len]);
    }
}

/// The same loops, compiled for each vector width. The width is chosen at run time.
#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::is_x86_feature_detected as has;
    use std::arch::x86_64::{_mm_sfence, _mm256_loadu_ps, _mm256_stream_ps, _mm512_loadu_ps, _mm512_stream_ps};

    use super::{AHEAD, BLOCK, prefetch};

    /// Runs a loop that is `#[inline(always)]` all the way down.
    #[inline]
    pub(super) fn run<R>(body: impl FnOnce() -> R) -> R {
        if has!("avx512f") {
            // SAFETY: the processor has the instructions.
            unsafe { avx512(body) }
        } else if has!("avx2") {
            // SAFETY: as above.
            unsafe { avx2(body) }
        } else {
            body()
        }
    }

    #[target_feature(enable = "avx512f")]
    fn avx512<R>(body: impl FnOnce() -> R) -> R {
        body()
    }

    #[target_feature(enable = "avx2")]
    fn avx2<R>(body: impl FnOnce() -> R) -> R {
        body()
    }

    pub(super) fn copy_task(source: &[f32], target: &mut [f32]) {
        let len = source.len().min(target.len());
        let (source, target) = (&source[..len], &mut target[..len]);
        if !has!("avx2") {
            target.copy_from_slice(source);
            return;
        }
        // Stores that bypass the caches must be aligned and fill whole cache lines.
        let head = target.as_ptr().align_offset(64).min(len);
        let quarter = (len - head) / 4 / BLOCK * BLOCK;
        let end = head + 4 * quarter;
        target[..head].copy_from_slice(&source[..head]);
        target[end..].copy_from_slice(&source[end..]);
        let (source, target) = (&source[head..end], &mut target[head..end]);
        if has!("avx512f") {
            // SAFETY: the processor has the instructions. Both slices have a length of four times `quarter`, which is a
            // multiple of the block, and the target is aligned to 64 bytes.
            unsafe { stream_avx512(source, target, quarter) };
        } else {
            // SAFETY: as above.
            unsafe { stream_avx2(source, target, quarter) };
        }
    }

    macro_rules! stream {
        ($name:ident, $feature:literal, $lanes:literal, $load:ident, $store:ident) => {
            /// # Safety
            ///
            /// Both slices hold four times `quarter`, a multiple of `BLOCK`; the target is aligned to 64 bytes.
            #[target_feature(enable = $feature)]
            unsafe fn $name(source: &[f32], target: &mut [f32], quarter: usize) {
                let (from, to) = (source.as_ptr(), target.as_mut_ptr());
                for at in (0..quarter).step_by(BLOCK) {
                    for stream in 0..4 {
                        let start = stream * quarter + at;
                        prefetch(from.wrapping_add(start + AHEAD));
                        for i in (start..start + BLOCK).step_by($lanes) {
                            // SAFETY: `i + lanes` is at most the slices' length, and `i` a multiple of the vector.
                            unsafe { $store(to.add(i), $load(from.add(i))) };
                        }
                    }
                }
                // The fence keeps this thread's later stores, which tell others that the copy is done, from overtaking
                // these.
                _mm_sfence();
            }
        };
    }

    stream!(stream_avx512, "avx512f", 16, _mm512_loadu_ps, _mm512_stream_ps);
    stream!(stream_avx2, "avx2", 8, _mm256_loadu_ps, _mm256_stream_ps);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_right_for_any_length_and_alignment() {
        for len in [0, 1, 15, 63, 64, 257, 4099, TASK - 1, TASK + 1, 3 * TASK + 12_345] {
            for from in [0, 1, 7] {
                let data: Vec<f32> = (0..len + from).map(|i| (i as f32).mul_add(0.37, -1000.0)).collect();
                let data = &data[from..];
                assert_eq!(read(data), data.iter().fold(0, |sum, x| sum ^ x.to_bits()));

                let mut target = vec![0f32; len + 2 * from];
                copy(data, &mut target[from..from + len]);
                assert_eq!(&target[from..from + len], data);
                assert!(target[..from].iter().chain(&target[from + len..]).all(|&x| x == 0.0));

                let (mut second, mut third) = (target.clone(), target.clone());
                update(data, [&mut target[from..from + len], &mut second[from..], &mut third[from..]]);
                assert!(target == second && target == third && target[from..from + len] == *data);
                // With bits in the mask, it flips those, and nothing beyond the end.
                let mut flipped = second.clone();
                mix(data, [&mut flipped[from..from + len], &mut third[from..from + len]], !0);
                assert!(flipped.iter().chain(&third).all(|x| x.to_bits() == 0));

                scale(&mut target[from..from + len], 3.0);
                assert!(target[from..].iter().zip(data).all(|(a, b)| *a == b * 3.0));
                assert!(target[..from].iter().chain(&target[from + len..]).all(|&x| x == 0.0));
            }
        }
    }

    #[test]
    fn a_measurement_gives_three_rates() {
        let found = bandwidth(1 << 22);
        assert!([found.read, found.copy, found.scale].iter().all(|&rate| rate > 0.0 && rate.is_finite()), "{found:?}");
    }
}
