//! Which groups a budget prunes, from the norms of their chunks, and the chunks' pruning.

use bytemuck::Zeroable;
use rayon::prelude::*;

use super::group_norms::{self, add_squares};
use super::scaled::Scaled;
use super::search::SPAN;
use crate::numeric::slice::{Slice, SliceMut, with_element};
use crate::penalty::groups::{Geometry, Groups};
use crate::plan::budget::Budget;
use crate::plan::operands::WEIGHTS;
use crate::{Error, Result};

/// Prunes whole groups of weights that come in chunks, such as those of files larger than memory, to a [`Budget`]: the
/// same bits as [`HostSet::prune_groups_in_place`](crate::HostSet::prune_groups_in_place), which says which groups.
///
/// The weights are read twice: once to sum the squares of each group, then to prune them. Each time, a tensor's chunks come
/// in their order.
///
/// ```
/// use penalty::{Budget, GroupSearch, Groups};
///
/// let rows = Groups::rows(2)?;
/// let mut weight = [1.0f32, 2.0, 0.5, -0.5, 3.0, 0.0];
/// let mut search = GroupSearch::new(&[(6, Some(&rows))])?;
/// for chunk in weight.chunks(4) {
///     search.add(0, chunk.into())?;
/// }
/// search.find(&Budget::prune(0.5)?)?; // at most 3 of 6, so one row of 2
/// assert_eq!(search.pruned(0)?, 1);
/// for chunk in weight.chunks_mut(4) {
///     search.prune(0, chunk.into())?;
/// }
/// assert_eq!(weight, [1.0, 2.0, 0.0, 0.0, 3.0, 0.0]);
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug)]
pub struct GroupSearch {
    tensors: Vec<Tensor>,
    found: bool,
}

/// What orders a group among all: its mean square.
#[derive(Debug)]
struct Mean {
    tensor: usize,
    group: u64,
    size: u64,
    key: i128,
}

#[derive(Debug)]
struct Tensor {
    len: u64,
    geometry: Option<Geometry>,
    /// The sum of each group's squares, as far as they have come.
    squared: Vec<f64>,
    /// Those of `f64`; empty if none has come.
    scaled: Vec<Scaled>,
    /// Whether each group is pruned, once that is found.
    pruned: Vec<bool>,
    /// Where the next chunk begins.
    next: u64,
}

impl GroupSearch {
    /// A search among tensors of these lengths and groups. A tensor without groups stays as it is.
    ///
    /// ```
    /// use penalty::{GroupSearch, Groups};
    ///
    /// let columns = Groups::columns(3)?;
    /// assert!(GroupSearch::new(&[(6, Some(&columns)), (5, None)]).is_ok());
    /// assert!(GroupSearch::new(&[(7, Some(&columns))]).is_err());
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Groups`] if groups do not cover their tensor.
    pub fn new(tensors: &[(u64, Option<&Groups>)]) -> Result<GroupSearch> {
        let tensor = |(len, groups): &(u64, Option<&Groups>)| {
            Ok((*len, groups.map(|groups| groups.geometry(*len)).transpose()?))
        };
        Ok(GroupSearch::of(tensors.iter().map(tensor).collect::<Result<Vec<_>>>()?))
    }

    pub(super) fn of(tensors: Vec<(u64, Option<Geometry>)>) -> GroupSearch {
        let tensor = |(len, geometry): (u64, Option<Geometry>)| {
            let groups = geometry.as_ref().map_or(0, |geometry| geometry.count as usize);
            Tensor { len, geometry, squared: vec![0.0; groups], scaled: Vec::new(), pruned: Vec::new(), next: 0 }
        };
        GroupSearch { tensors: tensors.into_iter().map(tensor).collect(), found: false }
    }

    /// Adds the next chunk of a tensor to the sums of its groups.
    ///
    /// ```
    /// # use penalty::{Groups, GroupSearch};
    /// let rows = Groups::rows(2)?;
    /// let mut search = GroupSearch::new(&[(2, Some(&rows))])?;
    /// search.add(0, [1.0f32][..].into())?;
    /// search.add(0, [2.0f32][..].into())?;
    /// assert!(search.add(0, [3.0f32][..].into()).is_err()); // the tensor has two
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Name`] if there is no such tensor, or if groups were found already. [`Error::Length`] if it has fewer
    /// weights.
    pub fn add(&mut self, tensor: usize, chunk: Slice<'_>) -> Result<()> {
        let tensor = self.next(tensor, false, chunk.len())?;
        if let Some(geometry) = &tensor.geometry {
            add_squares(geometry, tensor.next - chunk.len() as u64, chunk, &mut tensor.squared, &|_| true);
        }
        Ok(())
    }

    /// Adds the next chunk of a tensor of `f64`.
    ///
    /// ```
    /// # use penalty::{Groups, GroupSearch};
    /// let rows = Groups::rows(2)?;
    /// let mut search = GroupSearch::new(&[(2, Some(&rows)), (2, Some(&rows))])?;
    /// search.add_f64(0, &[1.0, 2.0])?;
    /// search.add(1, [1.0f32, 2.0][..].into())?; // one of f32 beside it
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`add`](GroupSearch::add).
    pub fn add_f64(&mut self, tensor: usize, chunk: &[f64]) -> Result<()> {
        let tensor = self.next(tensor, false, chunk.len())?;
        if let Some(geometry) = &tensor.geometry {
            tensor.scaled.resize(geometry.count as usize, Scaled::default());
            let start = tensor.next - chunk.len() as u64;
            group_norms::add(geometry, start, chunk, &mut tensor.scaled, &Scaled::plus);
        }
        Ok(())
    }

    /// Finds the groups that a budget prunes.
    ///
    /// ```
    /// # use penalty::{Budget, Error, Groups, GroupSearch};
    /// let rows = Groups::rows(2)?;
    /// let mut search = GroupSearch::new(&[(2, Some(&rows))])?;
    /// search.add(0, [1.0f32][..].into())?;
    /// let error = search.find(&Budget::keep(0)).unwrap_err();
    /// assert!(matches!(error, Error::Length { expected: 2, found: 1, .. }));
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Length`] unless all weights of all tensors with groups have come, [`Error::Name`] if groups were found
    /// already, and those that [`Budget::within`] names.
    pub fn find(&mut self, budget: &Budget) -> Result<()> {
        if self.found {
            return Err(out_of_turn(true));
        }
        if let Some(short) = self.tensors.iter().find(|tensor| tensor.geometry.is_some() && tensor.next != tensor.len) {
            return Err(Error::Length { operand: WEIGHTS, expected: short.len, found: short.next });
        }
        let grouped = |tensor: &Tensor| if tensor.geometry.is_some() { tensor.len } else { 0 };
        let lens: Vec<u64> = self.tensors.iter().map(grouped).collect();
        let dropped = dropped(self.means(), budget, &lens)?;
        for tensor in &mut self.tensors {
            tensor.pruned = vec![false; tensor.squared.len()];
            (tensor.squared, tensor.scaled, tensor.next) = (Vec::new(), Vec::new(), 0);
        }
        for of in dropped {
            self.tensors[of.tensor].pruned[of.group as usize] = true;
        }
        self.found = true;
        Ok(())
    }

    /// The next chunk of a tensor begins at this index. What lies before is another rank's.
    pub(super) fn seek(&mut self, tensor: usize, index: u64) {
        self.tensors[tensor].next = index;
    }

    /// The sums of squares of a tensor's groups.
    pub(super) fn squared(&mut self, tensor: usize) -> &mut [f64] {
        &mut self.tensors[tensor].squared
    }

    fn means(&self) -> Vec<Mean> {
        let of = |(i, tensor): (usize, &Tensor)| -> Vec<Mean> {
            let Some(geometry) = &tensor.geometry else { return Vec::new() };
            let mean = |(group, squared): (usize, &f64)| {
                let squared = Scaled::from(*squared).and(tensor.scaled.get(group).copied().unwrap_or_default());
                let size = geometry.size(group as u64);
                Mean { tensor: i, group: group as u64, size, key: squared.mean_key(size) }
            };
            tensor.squared.iter().enumerate().map(mean).collect()
        };
        self.tensors.iter().enumerate().flat_map(of).collect()
    }

    /// How many groups of a tensor are pruned.
    ///
    /// ```
    /// # use penalty::{Budget, Groups, GroupSearch};
    /// let rows = Groups::rows(2)?;
    /// let mut search = GroupSearch::new(&[(4, Some(&rows))])?;
    /// search.add(0, [1.0f32, 2.0, 0.0, 1.0][..].into())?;
    /// search.find(&Budget::keep(2))?;
    /// assert_eq!(search.pruned(0)?, 1);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Name`] if there is no such tensor, or if nothing was found yet.
    pub fn pruned(&self, tensor: usize) -> Result<u64> {
        self.has(tensor, true)?;
        Ok(self.tensors[tensor].pruned.iter().filter(|pruned| **pruned).count() as u64)
    }

    /// Prunes the next chunk of a tensor.
    ///
    /// ```
    /// # use penalty::{Groups, GroupSearch};
    /// let rows = Groups::rows(2)?;
    /// let mut search = GroupSearch::new(&[(2, Some(&rows))])?;
    /// assert!(search.prune(0, (&mut [1.0f32, 2.0][..]).into()).is_err()); // nothing is found yet
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Name`] if there is no such tensor, or if nothing was found yet. [`Error::Length`] if it has fewer weights.
    pub fn prune(&mut self, tensor: usize, chunk: SliceMut<'_>) -> Result<()> {
        let len = chunk.as_slice().len();
        let tensor = self.next(tensor, true, len)?;
        let Some(geometry) = &tensor.geometry else { return Ok(()) };
        let start = tensor.next - len as u64;
        let spans: Vec<(usize, SliceMut<'_>)> = chunk.chunks(SPAN).enumerate().collect();
        spans.into_par_iter().for_each(|(i, span)| {
            with_element!(span.as_slice().dtype(), E => {
                clear(geometry, &tensor.pruned, start + (i * SPAN) as u64, span.into_elements::<E>());
            });
        });
        Ok(())
    }

    /// Prunes the next chunk of a tensor of `f64`.
    ///
    /// ```
    /// # use penalty::{Budget, Groups, GroupSearch};
    /// let rows = Groups::rows(2)?;
    /// let mut search = GroupSearch::new(&[(4, Some(&rows))])?;
    /// let mut weights = [3.0, 4.0, 1e-300, 0.0];
    /// search.add_f64(0, &weights)?;
    /// search.find(&Budget::prune(0.5)?)?;
    /// search.prune_f64(0, &mut weights)?;
    /// assert_eq!(weights, [3.0, 4.0, 0.0, 0.0]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`prune`](GroupSearch::prune).
    pub fn prune_f64(&mut self, tensor: usize, chunk: &mut [f64]) -> Result<()> {
        let tensor = self.next(tensor, true, chunk.len())?;
        if let Some(geometry) = &tensor.geometry {
            clear(geometry, &tensor.pruned, tensor.next - chunk.len() as u64, chunk);
        }
        Ok(())
    }

    /// The tensor of the next chunk, after that chunk.
    fn next(&mut self, tensor: usize, found: bool, len: usize) -> Result<&mut Tensor> {
        self.has(tensor, found)?;
        let tensor = &mut self.tensors[tensor];
        let end = tensor.next + len as u64;
        if end > tensor.len {
            return Err(Error::Length { operand: WEIGHTS, expected: tensor.len, found: end });
        }
        tensor.next = end;
        Ok(tensor)
    }

    /// Rejects a tensor that is not there, and a call that comes too early or too late.
    fn has(&self, tensor: usize, found: bool) -> Result<()> {
        if tensor >= self.tensors.len() {
            let expected = format!("be below {}, the number of tensors", self.tensors.len());
            return Err(Error::Name { what: "the index of a tensor".into(), expected, found: tensor.to_string() });
        }
        if self.found == found { Ok(()) } else { Err(out_of_turn(self.found)) }
    }
}

/// Sets the pruned groups' elements of a part, which begins at an index of the tensor, to +0.
fn clear<T: Zeroable + Clone>(geometry: &Geometry, pruned: &[bool], start: u64, elements: &mut [T]) {
    let mut at = 0;
    while at < elements.len() {
        let (group, run) = geometry.at(start + at as u64);
        let end = elements.len().min(at + run as usize);
        if pruned[group as usize] {
            elements[at..end].fill(T::zeroed());
        }
        at = end;
    }
}

fn out_of_turn(found: bool) -> Error {
    let (expected, found) = match found {
        true => ("take no chunk once groups are found", "one more"),
        false => ("find groups before it prunes", "none found"),
    };
    Error::Name { what: "a budget's search".into(), expected: expected.into(), found: found.into() }
}

/// The groups that are pruned: those with the smallest ‖g‖₂/√n.
fn dropped(mut groups: Vec<Mean>, budget: &Budget, lens: &[u64]) -> Result<Vec<Mean>> {
    let (mut left, mut quotas) = budget.quotas(lens)?;
    groups.sort_by_key(|group| group.key);
    let mut dropped = Vec::new();
    let mut rest = Vec::new();
    for group in groups {
        let quota = &mut quotas[group.tensor];
        if group.size <= quota.least {
            quota.least -= group.size;
            quota.most -= group.size;
            left -= group.size;
            dropped.push(group);
        } else {
            // What is left of it is smaller than the group, and no later one may take its place.
            quota.least = 0;
            rest.push(group);
        }
    }
    for group in rest {
        let quota = &mut quotas[group.tensor];
        if group.size > quota.most {
            quota.most = 0;
            continue;
        }
        if group.size > left {
            break;
        }
        quota.most -= group.size;
        left -= group.size;
        dropped.push(group);
    }
    Ok(dropped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_whose_squares_are_no_f64_are_ordered() {
        for scale in [1e-300, 1e-200, 1.0, 1e200, 1e300] {
            let weights: Vec<f64> = [9.0, 8.0, 3.0, 4.0, 7.0, 0.0, 1.0, 2.0, 5.0, 6.0].map(|x| x * scale).to_vec();
            for (groups, chunk) in [(Groups::rows(2), 10), (Groups::rows(2), 3), (Groups::runs(2), 10)] {
                let mut search = GroupSearch::new(&[(10, Some(&groups.unwrap()))]).unwrap();
                weights.chunks(chunk).for_each(|chunk| search.add_f64(0, chunk).unwrap());
                search.find(&Budget::keep(6)).unwrap();
                let mut pruned = weights.clone();
                search.prune_f64(0, &mut pruned).unwrap();
                let expected: Vec<f64> =
                    weights.iter().map(|x| if *x <= 4.0 * scale && *x > 0.0 { 0.0 } else { *x }).collect();
                assert_eq!(pruned, expected, "{scale:e}, chunks of {chunk}");
            }
        }
        // Among tensors, those of f32 included: the smallest of f32 is larger than 1e-200, and its largest less than 1e200.
        let rows = Groups::rows(1).unwrap();
        let mut search = GroupSearch::new(&[(2, Some(&rows)), (3, Some(&rows))]).unwrap();
        search.add_f64(0, &[1e200, 1e-200]).unwrap();
        search.add(1, [f32::MAX, f32::from_bits(1), 0.0][..].into()).unwrap();
        search.find(&Budget::keep(3)).unwrap();
        let (mut wide, mut single) = ([1e200, 1e-200], [f32::MAX, f32::from_bits(1), 0.0]);
        search.prune_f64(0, &mut wide).unwrap();
        search.prune(1, (&mut single[..]).into()).unwrap();
        assert_eq!((wide, single), ([1e200, 0.0], [f32::MAX, f32::from_bits(1), 0.0]));
    }
}
