//! Stores that bypass the caches: the processor need not read the memory that they fill.

use super::element::{BLOCK, Element};

/// From this many bytes on, an output is neither in a cache before nor afterwards.
const LARGE: u64 = 64 << 20;

/// The alignment that such stores need, in bytes.
#[cfg(target_arch = "x86_64")]
const ALIGNMENT: usize = 16;

/// Whether to stream an output of this many bytes. Call [`fence`] after the last block.
pub(crate) fn pays(bytes: u64) -> bool {
    cfg!(target_arch = "x86_64") && bytes >= LARGE
}

/// Streams a block, or stores it if its memory is not aligned.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn store<E: Element>(block: &[E; BLOCK], output: &mut [E; BLOCK]) {
    use std::arch::x86_64::{__m128i, _mm_stream_si128};
    let (from, to) = (bytemuck::bytes_of(block).as_chunks::<ALIGNMENT>().0, bytemuck::bytes_of_mut(output));
    if !(to.as_ptr() as usize).is_multiple_of(ALIGNMENT) {
        *output = *block;
        return;
    }
    for (from, to) in from.iter().zip(to.as_chunks_mut::<ALIGNMENT>().0) {
        // SAFETY: every x86-64 processor has the instruction. `to` has 16 bytes and is aligned to as many.
        unsafe { _mm_stream_si128(to.as_mut_ptr().cast(), bytemuck::must_cast::<_, __m128i>(*from)) };
    }
}

/// Keeps this thread's later stores, which tell others that the output is complete, from overtaking the streamed ones.
#[cfg(target_arch = "x86_64")]
pub(crate) fn fence() {
    // SAFETY: every x86-64 processor has the instruction.
    unsafe { std::arch::x86_64::_mm_sfence() };
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn store<E: Element>(block: &[E; BLOCK], output: &mut [E; BLOCK]) {
    *output = *block;
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn fence() {}
