//! How the tensors of a checkpoint are pruned: what is found in them first, and then the weights of each part.

use std::ops::{Range, RangeInclusive};
use std::path::Path;

use penalty::{Budget, BudgetSearch, BudgetSearchF64, Cpu, GroupSearch, Groups, Penalty};
use rayon::prelude::*;

use super::local::Local;
use super::structure::{Layers, Structure, named};
use crate::args::{Prune, Scope};
use crate::checkpoint::Tensor;
use crate::error::{Error, Result};
use crate::number::{Number, Type, Weights, with_number};
use crate::read::{CPU_CHUNK, Chunk, Held, Progress};

/// How many weights are pruned at a time.
const PIECE: u64 = 1 << 22;

pub(crate) struct Method {
    each: Vec<Each>,
    search: Search,
}

/// How a tensor is pruned.
#[derive(Debug, Clone, Copy)]
enum Each {
    /// Its runs of this many weights have their cuts in the search, from this one on.
    Searched {
        first: usize,
        len: u64,
    },
    /// Its groups are in the search.
    Grouped,
    Local(Local),
}

enum Search {
    None,
    Budget(Box<BudgetSearch>),
    /// Of tensors of which some are F64: how many weights of each cut's magnitude are still to be pruned.
    Double(Box<BudgetSearchF64>, Vec<u64>),
    Groups(GroupSearch, Budget),
}

impl Search {
    /// A search among runs of tensors for the place of a budget.
    fn of(budget: &Budget, lens: &[u64], tensors: &[Tensor]) -> Result<Search> {
        Ok(if tensors.iter().any(|tensor| tensor.dtype == Type::F64) {
            Search::Double(Box::new(BudgetSearchF64::new(budget, lens)?), vec![0; lens.len()])
        } else {
            Search::Budget(Box::new(BudgetSearch::new(&Cpu::new(), budget, lens)?))
        })
    }
}

impl Method {
    /// Fails if the structure does not fit a tensor.
    pub(crate) fn new(args: &Prune, tensors: &[Tensor]) -> Result<Method> {
        let layers = |tensor: &Tensor| {
            let layers = args.structure.layers(tensor, args.dim.unwrap_or(1), args.pad);
            layers.map_err(|reason| named(tensor, reason))
        };
        let layers: Option<Vec<Layers>> = tensors.iter().map(layers).collect::<Result<_>>()?;
        if let Some(layers) = layers.filter(|_| args.structure.is_pattern()) {
            let each = layers.into_iter().map(|layers| Each::Local(Local::Layers(layers))).collect();
            return Ok(Method { each, search: Search::None });
        }
        let fraction = args.sparsity.unwrap_or(0.0);
        if args.scope == Scope::Row {
            return Method::of_rows(fraction, tensors);
        }
        let lens: Vec<u64> = tensors.iter().map(|tensor| tensor.len).collect();
        let budget = match (args.scope, args.min_per_tensor) {
            (Scope::Tensor, _) => each_alone(fraction, &lens)?,
            (_, None) => Budget::prune(fraction)?,
            (_, Some(kept)) => Budget::prune(fraction)?.within(vec![0.0..=1.0 - kept; lens.len()])?,
        };
        let groups = |tensor: &Tensor| args.structure.groups(tensor).map_err(|reason| named(tensor, reason));
        let groups: Vec<Option<Groups>> = tensors.iter().map(groups).collect::<Result<_>>()?;
        if args.structure != Structure::None {
            let of_tensors: Vec<_> = lens.iter().copied().zip(groups.iter().map(Option::as_ref)).collect();
            let search = Search::Groups(GroupSearch::new(&of_tensors)?, budget);
            return Ok(Method { each: vec![Each::Grouped; tensors.len()], search });
        }
        let each = lens.iter().enumerate().map(|(first, len)| Each::Searched { first, len: *len }).collect();
        let search = Search::of(&budget, &lens, tensors)?;
        Ok(Method { each, search })
    }

    /// Prunes each row for itself. A row that is longer than a piece is searched like a tensor.
    fn of_rows(fraction: f64, tensors: &[Tensor]) -> Result<Method> {
        let budget = Budget::prune(fraction)?;
        let mut lens = Vec::new();
        let each = tensors.iter().map(|tensor| {
            let len = crate::groups::row(tensor).max(1);
            if len <= PIECE || !tensor.row_major {
                return Each::Local(Local::Rows { len, pruned: budget.pruned(len) });
            }
            let first = lens.len();
            lens.extend((0..tensor.len / len).map(|_| len));
            Each::Searched { first, len }
        });
        let each = each.collect();
        let search = match lens.is_empty() {
            true => Search::None,
            false => Search::of(&each_alone(fraction, &lens)?, &lens, tensors)?,
        };
        Ok(Method { each, search })
    }

    /// Reads the weights as often as the search needs it.
    pub(crate) fn find(&mut self, tensors: &[Tensor]) -> Result<()> {
        let none = Penalty::none();
        let searched = tensors.iter().enumerate().filter(|(i, _)| !matches!(self.each[*i], Each::Local(_)));
        let pieces: Vec<(usize, Range<u64>)> = searched
            .flat_map(|(i, tensor)| self.pieces(i, tensor, CPU_CHUNK).into_iter().map(move |piece| (i, piece)))
            .collect();
        let chunk = |(i, piece): &(usize, Range<u64>)| Chunk::new(*i, &tensors[*i], &none, piece.clone());
        let bytes: u64 = pieces.iter().map(|piece| chunk(piece).file_bytes() as u64).sum();
        match &mut self.search {
            Search::None => {}
            Search::Budget(search) => {
                let progress = Progress::new(3 * bytes);
                while search.reads() {
                    pieces.par_iter().try_for_each_init(Held::default, |held, piece| {
                        let (chunk, (i, range)) = (chunk(piece), piece);
                        chunk.read(held)?;
                        if let (Each::Searched { first, len }, Some(slice)) = (self.each[*i], chunk.slice(held)) {
                            search.count(first + (range.start / len) as usize, slice)?;
                        }
                        progress.add(chunk.file_bytes());
                        Ok::<(), Error>(())
                    })?;
                    search.narrow().map_err(|_| changed(tensors))?;
                }
            }
            Search::Double(search, missing) => {
                let progress = Progress::new(6 * bytes);
                while search.reads() {
                    pieces.par_iter().try_for_each_init(<(Held, Vec<f64>)>::default, |(held, wide), piece| {
                        let (chunk, (i, range)) = (chunk(piece), piece);
                        chunk.read(held)?;
                        wide.clear();
                        with_number!(chunk.tensor.dtype, N => {
                            wide.extend(bytemuck::cast_slice(chunk.theta(held)).iter().map(N::widened));
                        });
                        if let Each::Searched { first, len } = self.each[*i] {
                            search.count(first + (range.start / len) as usize, wide)?;
                        }
                        progress.add(chunk.file_bytes());
                        Ok::<(), Error>(())
                    })?;
                    search.narrow().map_err(|_| changed(tensors))?;
                }
                for (tensor, missing) in missing.iter_mut().enumerate() {
                    *missing = search.cut(tensor)?.1;
                }
            }
            Search::Groups(search, budget) => {
                let progress = Progress::new(bytes);
                let mut held = Held::default();
                for piece in &pieces {
                    let chunk = chunk(piece);
                    chunk.read(&mut held)?;
                    match chunk.slice(&held) {
                        Some(slice) => search.add(piece.0, slice)?,
                        None => search.add_f64(piece.0, bytemuck::cast_slice(chunk.theta(&held)))?,
                    }
                    progress.add(chunk.file_bytes());
                }
                search.find(budget)?;
            }
        }
        Ok(())
    }

    /// The ranges of a tensor that are pruned one after the other.
    pub(crate) fn ranges(&self, i: usize, tensor: &Tensor) -> Vec<Range<u64>> {
        self.pieces(i, tensor, PIECE)
    }

    fn pieces(&self, i: usize, tensor: &Tensor, size: u64) -> Vec<Range<u64>> {
        if !tensor.row_major {
            // Only as a whole can it be read in row-major order.
            return std::iter::once(0..tensor.len).collect();
        }
        let parts =
            |run: Range<u64>| (run.start..run.end).step_by(size as usize).map(move |at| at..run.end.min(at + size));
        match self.each[i] {
            Each::Local(local) => local.parts(0, tensor.len, size),
            Each::Grouped => parts(0..tensor.len).collect(),
            Each::Searched { len, .. } => {
                (0..tensor.len).step_by(len.max(1) as usize).flat_map(|at| parts(at..at + len)).collect()
            }
        }
    }

    /// Prunes the range of a tensor that starts at an index.
    pub(crate) fn prune<N: Number>(&mut self, i: usize, start: u64, weights: &mut [N]) -> penalty::Result<()> {
        match (self.each[i], &mut self.search) {
            (Each::Searched { first, len }, Search::Budget(search)) => {
                if let Weights::Library(weights) = N::erased(weights) {
                    search.prune(first + (start / len) as usize, weights)?;
                }
            }
            (Each::Searched { first, len }, Search::Double(search, missing)) => {
                let tensor = first + (start / len) as usize;
                clear(search.cut(tensor)?.0, &mut missing[tensor], weights);
            }
            (Each::Grouped, Search::Groups(search, _)) => match N::erased(weights) {
                Weights::Library(weights) => search.prune(i, weights)?,
                Weights::Double(weights) => search.prune_f64(i, weights)?,
            },
            (Each::Local(local), _) => local.prune(start, weights),
            _ => {}
        }
        Ok(())
    }

    /// Where a tensor is cut, if it is cut at one magnitude.
    pub(crate) fn threshold(&self, i: usize, tensor: &Tensor) -> Option<f64> {
        match (self.each[i], &self.search) {
            (Each::Searched { first, len }, Search::Budget(search)) if len == tensor.len => {
                search.threshold(first).ok().map(f64::from)
            }
            (Each::Searched { first, len }, Search::Double(search, _)) if len == tensor.len => {
                search.cut(first).ok().map(|cut| cut.0)
            }
            _ => None,
        }
    }
}

/// Sets the weights below a magnitude to 0, and the first of this magnitude, as many as are missing.
fn clear<N: Number>(cut: f64, missing: &mut u64, weights: &mut [N]) {
    for weight in weights {
        let magnitude = weight.widened().magnitude();
        let is_tie = magnitude == cut.magnitude() && *missing > 0;
        *missing -= u64::from(is_tie);
        *weight = if magnitude < cut.magnitude() || is_tie { N::zeroed() } else { *weight };
    }
}

/// The budget that takes the same fraction of each of these.
fn each_alone(fraction: f64, lens: &[u64]) -> penalty::Result<Budget> {
    let of_each = Budget::prune(fraction)?;
    let pruned: u64 = lens.iter().map(|len| of_each.pruned(*len)).sum();
    let bounds: Vec<RangeInclusive<f64>> = vec![fraction..=fraction; lens.len()];
    Budget::keep(lens.iter().sum::<u64>() - pruned).within(bounds)
}

/// A read found other weights than the one before.
fn changed(tensors: &[Tensor]) -> Error {
    let path = tensors.first().map(|tensor| tensor.source.path.as_path()).unwrap_or(Path::new(""));
    Error::file(path, "its weights changed while they were read")
}
