//! The bits of a block's elements, for loops that work on bits.

use crate::cpu::groups::GroupRows;
use crate::cpu::pass::BLOCK;
use crate::numeric::bits::{INFINITY, MAGNITUDE};
use crate::numeric::block;
use crate::numeric::element::Element;
use crate::numeric::simd::InstructionSet;

/// Room for the bits of a block's elements, if they are not bits themselves, for its metric or for output that is
/// streamed, and for the reduction of its groups. A row is cleared at its first use in a span only.
pub(super) struct Rows<E: Element> {
    pub(super) source: Option<E::Room<BLOCK>>,
    pub(super) element_weights: Option<E::Room<BLOCK>>,
    pub(super) output: Option<E::Room<BLOCK>>,
    pub(super) made: Option<[u32; BLOCK]>,
    /// Boxed: it would take room on the stack in every call.
    pub(super) groups: Option<Box<GroupRows>>,
}

impl<E: Element> Default for Rows<E> {
    fn default() -> Rows<E> {
        Rows { source: None, element_weights: None, output: None, made: None, groups: None }
    }
}

/// The bits of at most a block: the elements themselves if they are bits, else decoded into `held`.
pub(super) fn bits_of<'a, E: Element>(
    set: InstructionSet,
    elements: &'a [E],
    held: &'a mut Option<E::Room<BLOCK>>,
) -> &'a [u32] {
    if let Some(bits) = E::bits(elements) {
        return bits;
    }
    if elements.is_empty() {
        return &[];
    }
    let bits = &mut held.get_or_insert_with(E::room).as_mut()[..elements.len()];
    decode(set, elements, bits);
    bits
}

/// Calls `f` with the bits of at most a block: in place if elements are their own bits.
pub(super) fn on_bits<E: Element>(
    set: InstructionSet,
    elements: &mut [E],
    held: &mut Option<E::Room<BLOCK>>,
    f: impl FnOnce(&mut [u32]),
) {
    if let Some(bits) = E::bits_mut(elements) {
        return f(bits);
    }
    let bits = &mut held.get_or_insert_with(E::room).as_mut()[..elements.len()];
    decode(set, elements, bits);
    f(bits);
    encode(set, bits, elements);
}

/// The same from a source to an output. If `adds` is set, `f` needs what the output holds.
pub(super) fn onto_bits<E: Element>(
    set: InstructionSet,
    source: &[E],
    output: &mut [E],
    [from, to]: [&mut Option<E::Room<BLOCK>>; 2],
    adds: bool,
    f: impl FnOnce(&[u32], &mut [u32]),
) {
    let source = bits_of(set, source, from);
    if adds {
        return on_bits(set, output, to, |output| f(source, output));
    }
    if let Some(output) = E::bits_mut(output) {
        return f(source, output);
    }
    let bits = &mut to.get_or_insert_with(E::room).as_mut()[..output.len()];
    f(source, bits);
    encode(set, bits, output);
}

#[inline(never)]
fn decode<E: Element>(set: InstructionSet, elements: &[E], bits: &mut [u32]) {
    let ((blocks, rest), (to_blocks, to_rest)) = (elements.as_chunks(), bits.as_chunks_mut());
    set.run_knowing(
        #[inline(always)]
        |set| {
            for (to, from) in to_blocks.iter_mut().zip(blocks) {
                if E::are_finite(from) {
                    E::decode_block(from, to, set);
                } else {
                    block::decode_any(from, to);
                }
            }
        },
    );
    to_rest.iter_mut().zip(rest).for_each(|(to, from)| *to = from.decode());
}

/// Blocks without NaN, as nearly all are, take fewer instructions.
#[inline(never)]
fn encode<E: Element>(set: InstructionSet, bits: &[u32], elements: &mut [E]) {
    let ((blocks, rest), (to_blocks, to_rest)) = (bits.as_chunks(), elements.as_chunks_mut());
    set.run_knowing(
        #[inline(always)]
        |set| {
            for (to, from) in to_blocks.iter_mut().zip(blocks) {
                if from.iter().fold(0, |max, bits| max.max(bits & MAGNITUDE)) <= INFINITY {
                    E::encode_block(from, to, set);
                } else {
                    block::encode_any(from, to);
                }
            }
        },
    );
    to_rest.iter_mut().zip(rest).for_each(|(to, from)| *to = E::encode(*from));
}
