//! Stores that bypass the caches: the processor need not read the memory that they fill.

use super::element::Element;

/// From this many bytes on, an output is neither in a cache before nor afterwards.
const LARGE: u64 = 64 << 20;

/// The alignment that such stores need, in bytes.
#[cfg(target_arch = "x86_64")]
const ALIGNMENT: usize = 16;

/// Whether to stream an output of this many bytes. Call [`fence`] after the last block.
pub(crate) fn pays(bytes: u64) -> bool {
    cfg!(target_arch = "x86_64") && bytes >= LARGE
}

/// Streams elements, or stores them if their memory is not aligned.
#[cfg(target_arch = "x86_64")]
pub(crate) fn store<E: Element>(elements: &[E], output: &mut [E]) {
    use std::arch::x86_64::{__m128i, _mm_stream_si128};
    let (from, to) = (bytemuck::cast_slice::<E, u8>(elements), bytemuck::cast_slice_mut::<E, u8>(output));
    let to = &mut to[..from.len()];
    if !(to.as_ptr() as usize).is_multiple_of(ALIGNMENT) {
        to.copy_from_slice(from);
        return;
    }
    let ((from, from_rest), (to, to_rest)) = (from.as_chunks::<ALIGNMENT>(), to.as_chunks_mut::<ALIGNMENT>());
    for (from, to) in from.iter().zip(to) {
        // SAFETY: every x86-64 processor has the instruction. `to` has 16 bytes and is aligned to as many.
        unsafe { _mm_stream_si128(to.as_mut_ptr().cast(), bytemuck::must_cast::<_, __m128i>(*from)) };
    }
    to_rest.copy_from_slice(from_rest);
}

/// Keeps this thread's later stores, which tell others that the output is complete, from overtaking the streamed ones.
#[cfg(target_arch = "x86_64")]
pub(crate) fn fence() {
    // SAFETY: every x86-64 processor has the instruction.
    unsafe { std::arch::x86_64::_mm_sfence() };
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn store<E: Element>(elements: &[E], output: &mut [E]) {
    output[..elements.len()].copy_from_slice(elements);
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn fence() {}

#[cfg(test)]
mod tests {
    use super::*;
    use half::f16;

    fn streams_every_length_and_alignment<E: Element>() {
        let elements: Vec<E> = (0..1100u32).map(|i| E::encode((i + 1).wrapping_mul(2_654_435_761))).collect();
        for (start, len) in (0..17).flat_map(|start| [0, 1, 7, 8, 9, 64, 1024].map(|len| (start, len))) {
            let mut output = vec![E::zeroed(); 1100];
            store(&elements[start..][..len], &mut output[start..]);
            fence();
            let bytes = [&output, &elements].map(|all| bytemuck::cast_slice::<E, u8>(&all[start..][..len]));
            assert_eq!(bytes[0], bytes[1], "{start} {len}");
            let mut beside = output[..start].iter().chain(&output[start + len..]);
            assert!(beside.all(|x| *x == E::zeroed()), "{start} {len}");
        }
    }

    #[test]
    fn a_streamed_output_has_the_bits_of_its_elements() {
        streams_every_length_and_alignment::<f32>();
        streams_every_length_and_alignment::<f16>();
    }
}
