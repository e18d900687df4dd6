//! Blocks of elements as bits: decoded, used and encoded in one go, by vector instructions.

use super::element::{BLOCK, Block, Element};
use super::simd::InstructionSet;

/// The bits of finite elements: the elements themselves if they are bits, else decoded into `room`.
#[inline(always)]
pub(crate) fn bits<'a, E: Element>(set: InstructionSet, elements: &'a [E; BLOCK], room: &'a mut Block) -> &'a Block {
    if let Some(bits) = E::bits(elements).and_then(<[u32]>::first_chunk) {
        return bits;
    }
    E::decode_block(elements, room, set);
    room
}

/// Calls `f` with the bits of elements that it writes, in place if they are bits. Only if it `reads`, they hold what the
/// elements held, which must be finite. Only if one `may_be_nan`, it may write a NaN.
#[inline(always)]
pub(crate) fn write<E: Element>(
    set: InstructionSet,
    elements: &mut [E; BLOCK],
    [reads, may_be_nan]: [bool; 2],
    f: impl FnOnce(&mut Block),
) {
    if let Some(bits) = E::bits_mut(elements).and_then(<[u32]>::first_chunk_mut) {
        return f(bits);
    }
    let mut room = [0; BLOCK];
    if reads {
        bits(set, elements, &mut room);
    }
    f(&mut room);
    if may_be_nan {
        elements.iter_mut().zip(&room).for_each(|(to, from)| *to = E::encode(*from));
    } else {
        E::encode_block(&room, elements, set);
    }
}

/// The bits of any elements. Apart from the loops, as few blocks take it.
#[inline(never)]
pub(crate) fn decode_any<E: Element>(elements: &[E; BLOCK], bits: &mut Block) {
    for i in 0..BLOCK {
        bits[i] = elements[i].decode();
    }
}

/// The elements nearest to any bits.
#[inline(never)]
pub(crate) fn encode_any<E: Element>(bits: &Block, elements: &mut [E; BLOCK]) {
    for i in 0..BLOCK {
        elements[i] = E::encode(bits[i]);
    }
}
