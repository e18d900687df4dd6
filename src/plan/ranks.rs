//! Which part of each tensor each rank has.

use std::sync::Arc;

use crate::formula::budget::{ABOVE, BINS, Cut, SHIFTS, last_digit, narrow, ties};
use crate::formula::scalars::Scalars;
use crate::numeric::hash::{fnv1a, fnv1a_of};
use crate::numeric::tile::TILE;
use crate::penalty::groups::Geometry;
use crate::plan::Segment;
use crate::plan::budget::Budget;
use crate::plan::operands::{WEIGHTS, one_each};
use crate::plan::operation::Operation;
use crate::transport::{Across, Transport, agree};
use crate::{Error, Penalty, Result};

#[derive(Debug)]
pub(crate) struct Ranks {
    pub(crate) transport: Arc<dyn Transport>,
    /// For each tensor, where the ranks' parts begin, and its length.
    cuts: Vec<Vec<u64>>,
}

impl Ranks {
    /// The ranks that a transport connects, with the parts of these tensors.
    pub(crate) fn new<'a>(
        transport: Arc<dyn Transport>,
        cuts: Vec<Vec<u64>>,
        tensors: impl ExactSizeIterator<Item = (Segment, &'a Penalty)>,
    ) -> Result<Ranks> {
        one_each("a set across ranks", "the cuts", tensors.len(), cuts.len())?;
        let ranks = Ranks { transport, cuts };
        for (i, (segment, penalty)) in tensors.enumerate() {
            segment.about(ranks.accept_cuts(i, penalty))?;
        }
        Ok(ranks)
    }

    /// How many weights a tensor has in all.
    pub(crate) fn len(&self, tensor: usize) -> u64 {
        self.cuts[tensor].last().copied().unwrap_or(0)
    }

    /// Where this rank's part of a tensor begins.
    pub(crate) fn start(&self, tensor: usize) -> u64 {
        self.cuts[tensor][self.transport.rank()]
    }

    /// Whether a tensor is one group, of which several ranks have parts.
    pub(crate) fn spread(&self, tensor: usize, geometry: Option<&Geometry>) -> bool {
        let whole = self.len(tensor);
        let is_alone = || self.cuts[tensor].windows(2).any(|part| part[1] - part[0] == whole);
        geometry.is_some_and(|geometry| geometry.count == 1 && geometry.is_contiguous() && !is_alone())
    }

    /// What the reduction of a tensor's one group needs, if several ranks have parts of it.
    pub(crate) fn across(&self, tensor: usize, penalty: &Penalty) -> Option<Across<'_>> {
        let whole = self.len(tensor);
        let geometry = penalty.geometry(whole).ok().flatten();
        self.spread(tensor, geometry.as_ref()).then(|| Across::new(&*self.transport, whole))
    }

    /// Where a budget cuts each tensor, and how many of this rank's weights of its cut's magnitude are pruned. The cuts count
    /// the equal weights of this rank alone.
    ///
    /// `count` reads this rank's weights for one digit of the cuts. For each tensor, it counts those that share the digits
    /// that are known by the next one.
    pub(crate) fn cuts(
        &self,
        budget: &Budget,
        mut count: impl FnMut(usize, &[Cut]) -> Result<Vec<[u64; BINS]>>,
    ) -> Result<(Vec<Cut>, Vec<u64>)> {
        let transport = &*self.transport;
        let lens: Vec<u64> = (0..self.cuts.len()).map(|tensor| self.len(tensor)).collect();
        let (pruned, quotas) = budget.quotas(&lens)?;
        let mut cuts: Vec<Cut> = lens.iter().zip(quotas).map(|(len, quota)| Cut::new(*len, quota)).collect();
        let mut here = Vec::new();
        for level in 0..SHIFTS.len() {
            here = count(level, &cuts)?;
            let mut counts = here.clone();
            transport.sum_u64(counts.as_flattened_mut())?;
            narrow(ABOVE[level], SHIFTS[level], pruned, &mut cuts, &counts);
        }
        let ties = ties(pruned, &cuts);
        for (cut, counts) in cuts.iter_mut().zip(&here) {
            cut.equal = counts[last_digit(cut.magnitude)];
        }
        // A row for each tensor: how many equal weights each rank has.
        let (rank, size) = (transport.rank(), transport.size());
        let mut equal = vec![0; cuts.len() * size];
        equal.chunks_mut(size).zip(&cuts).for_each(|(row, cut)| row[rank] = cut.equal);
        transport.sum_u64(&mut equal)?;
        let of =
            |(row, (ties, cut)): (&[u64], (u64, &Cut))| ties.saturating_sub(row[..rank].iter().sum()).min(cut.equal);
        let ties = equal.chunks(size).zip(ties.into_iter().zip(&cuts)).map(of).collect();
        Ok((cuts, ties))
    }

    /// Rejects a call that is another on another rank. Without groups that are spread, no rank needs it. A call under sums
    /// of penalties is compared before its passes, which do not have all that it differs in.
    pub(crate) fn agree_on_call(
        &self,
        (operation, sums): (Operation, bool),
        (step, scalars): (f64, &Scalars),
        penalties: &[Penalty],
    ) -> Result<()> {
        if !penalties.iter().enumerate().any(|(tensor, penalty)| self.across(tensor, penalty).is_some()) {
            return Ok(());
        }
        let numbers = [fnv1a(operation.name().bytes()), sums.into(), step.to_bits()];
        let scalars = scalars.iter().map(|x| u64::from(x.to_bits()));
        let penalties = penalties.iter().map(Penalty::fingerprint);
        agree(&*self.transport, "the same call", fnv1a_of(numbers.into_iter().chain(scalars).chain(penalties)))
    }

    /// Rejects a budget that is another on another rank, or, if it prunes groups, is over others.
    pub(crate) fn agree_on_budget(&self, budget: &Budget, groups_of: Option<&[Penalty]>) -> Result<()> {
        let of = [fnv1a(format!("{budget:?}").bytes()), groups_of.is_some().into()];
        let penalties = groups_of.unwrap_or_default().iter().map(Penalty::fingerprint);
        agree(&*self.transport, "the same budget", fnv1a_of(of.into_iter().chain(penalties)))
    }

    /// Rejects parts that differ from those agreed on. Gives the whole tensors, which a penalty's groups must cover.
    pub(crate) fn accept(&self, segments: &[Segment], penalties: &[Penalty]) -> Result<Vec<Segment>> {
        let rank = self.transport.rank();
        for (tensor, (segment, penalty)) in segments.iter().zip(penalties).enumerate() {
            segment.about(self.accept_cuts(tensor, penalty))?;
            let expected = self.cuts[tensor][rank + 1] - self.cuts[tensor][rank];
            if segment.len != expected {
                return segment.about(Err(Error::Length { operand: WEIGHTS, expected, found: segment.len }));
            }
        }
        let whole = |(i, segment): (usize, &Segment)| Segment { len: self.len(i), ..segment.clone() };
        Ok(segments.iter().enumerate().map(whole).collect())
    }

    /// Rejects cuts that are not those of these ranks, or that the penalty does not allow.
    fn accept_cuts(&self, tensor: usize, penalty: &Penalty) -> Result<()> {
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
