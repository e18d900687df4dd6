//! A set whose tensors are spread over ranks.

use std::sync::Arc;

use super::HostSet;
use crate::Result;
use crate::numeric::element::Dtype;
use crate::plan::Segment;
use crate::plan::ranks::Ranks;
use crate::transport::Transport;
#[cfg(doc)]
use crate::{Error, Penalty};

impl<'w> HostSet<'w> {
    /// The set of which each rank has a part. Its calls take the slices of this rank's parts, empty ones included, and
    /// give the bits of one rank that has everything: weights, gradients and states of the part, and reports of the whole.
    ///
    /// `cuts` has a list for each tensor: where the part of each rank starts, in the order of ranks, then the tensor's
    /// length. Parts start where the penalty [lets them](Penalty::parts_start_at), or at the tensor's end, where they are
    /// empty.
    ///
    /// All ranks make the same calls with the same penalties. A call that reports adds up two messages, however many
    /// tensors there are, of 388 bytes for each and 8 more. Separable penalties and optimizer steps need nothing else. A
    /// group that is spread over ranks adds up a few words for each pass of its reduction. A budget adds up the counts of
    /// three passes, 48 KiB for each tensor, and then one word for each tensor and rank; one over groups, a word for each
    /// group. These also compare what the ranks call: if two differ, all of them fail before a weight has changed.
    ///
    /// If a rank rejects its slices, the others fail when they have waited for as long as the transport lets them. After
    /// an error from the transport, the weights may be those before or after the call's step.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use penalty::exact::Transport;
    /// use penalty::{Cpu, HostSet, Parameter, Penalty, Result};
    ///
    /// fn shrink(transport: Arc<dyn Transport>, cuts: Vec<u64>, here: &mut [f32]) -> Result<f64> {
    ///     let parameters = vec![Parameter::new("weight", Penalty::l1(0.5)?)];
    ///     let set = HostSet::new(Cpu::new(), parameters).across(transport, vec![cuts])?;
    ///     Ok(set.prox_and_evaluate_in_place(&mut [here.into()], 1.0)?.total.value) // of all ranks
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] unless there are cuts for each tensor. In an [`Error::InParameter`], [`Error::Parameter`] if
    /// there is not one for each rank, [`Error::ChunkStart`] if one is not at the start of a tile, [`Error::Groups`] if
    /// it divides a group. Every later call rejects parts of other lengths.
    pub fn across(self, transport: Arc<dyn Transport>, cuts: Vec<Vec<u64>>) -> Result<HostSet<'w>> {
        let segments = self.names.iter().map(|name| Segment::called(name.clone(), (0, Dtype::F32)));
        let ranks = Ranks::new(transport, cuts, segments.zip(&self.penalties))?;
        Ok(HostSet { ranks: Some(Arc::new(ranks)), ..self })
    }
}
