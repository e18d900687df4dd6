//! Which part of each tensor each rank has.

use std::sync::Arc;

use crate::numeric::tile::TILE;
use crate::plan::Segment;
use crate::plan::operands::WEIGHTS;
use crate::transport::{Across, Transport};
use crate::{Error, Penalty, Result};

#[derive(Debug)]
pub(super) struct Ranks {
    pub(super) transport: Arc<dyn Transport>,
    /// For each tensor, where the ranks' parts begin, and its length.
    cuts: Vec<Vec<u64>>,
}

impl Ranks {
    /// The ranks that a transport connects, with the parts of so many tensors.
    pub(super) fn new(transport: Arc<dyn Transport>, cuts: Vec<Vec<u64>>) -> Ranks {
        Ranks { transport, cuts }
    }

    /// How many weights a tensor has in all.
    pub(super) fn len(&self, tensor: usize) -> u64 {
        self.cuts[tensor].last().copied().unwrap_or(0)
    }

    /// What the reduction of a tensor's one group needs, if several ranks have parts of it.
    pub(super) fn across(&self, tensor: usize, penalty: &Penalty) -> Option<Across<'_>> {
        let whole = self.len(tensor);
        let is_alone = self.cuts[tensor].windows(2).any(|part| part[1] - part[0] == whole);
        let geometry = penalty.geometry(whole).ok().flatten().filter(|geometry| geometry.count == 1 && !is_alone)?;
        geometry.is_contiguous().then(|| Across::new(&*self.transport, whole))
    }

    /// Rejects parts that differ from those agreed on.
    pub(super) fn accept(&self, segments: &[Segment], penalties: &[Penalty]) -> Result<()> {
        let rank = self.transport.rank();
        for (tensor, (segment, penalty)) in segments.iter().zip(penalties).enumerate() {
            segment.about(self.accept_cuts(tensor, penalty))?;
            let expected = self.cuts[tensor][rank + 1] - self.cuts[tensor][rank];
            if segment.len != expected {
                return segment.about(Err(Error::Length { operand: WEIGHTS, expected, found: segment.len }));
            }
        }
        Ok(())
    }

    /// Rejects cuts that are not those of these ranks, or that the penalty does not allow.
    pub(super) fn accept_cuts(&self, tensor: usize, penalty: &Penalty) -> Result<()> {
        let cuts = &self.cuts[tensor][..];
        let &[first, .., whole] = cuts else { return Err(not_of_ranks(cuts)) };
        if cuts.len() != self.transport.size() + 1 || first != 0 || !cuts.is_sorted() {
            return Err(not_of_ranks(cuts));
        }
        // Lists cover a tensor of one length only, so a rank without a part of it could not name them.
        if let (Some(groups), true) = (penalty.groups(), self.transport.size() > 1)
            && penalty.geometry(whole)?.is_some_and(|geometry| geometry.lists.is_some())
        {
            let expected = "be runs, rows, columns, tiles or the whole tensor in a set across ranks".into();
            return Err(Error::Groups { groups: groups.to_string(), expected, found: "they are lists".into() });
        }
        let unit = penalty.parts_start_at(whole)?;
        let Some(&found) = cuts.iter().find(|cut| **cut != whole && !cut.is_multiple_of(unit)) else { return Ok(()) };
        match penalty.groups() {
            Some(groups) if found.is_multiple_of(TILE as u64) => Err(Error::Groups {
                groups: groups.to_string(),
                expected: if unit < whole { format!("be cut at multiples of {unit}") } else { "not be cut".into() },
                found: format!("a part starts at {found}"),
            }),
            _ => Err(Error::ChunkStart { found }),
        }
    }
}

fn not_of_ranks(cuts: &[u64]) -> Error {
    let expected = "as many as there are ranks and one more, ascending from 0 to the length";
    Error::Parameter { name: "the number of cuts", expected, found: cuts.len() as f64 }
}
