//! The exact sums of tensors: the library's, and those of `f64`, which no device computes.

mod double;
mod wide;

use penalty::exact::{Partial, TILE};
use penalty::{Backend, Element, Penalty, Reports};

use crate::error::Result;
use crate::number::Type;
use double::Double;

/// The sums of some of a tensor's weights.
#[derive(Debug, Clone)]
pub(crate) enum Summed {
    Library(Box<Partial>),
    Double(Box<Double>),
}

impl Default for Summed {
    /// The sums of nothing, whatever its type.
    fn default() -> Summed {
        Summed::Library(Box::default())
    }
}

impl Summed {
    /// The sums of `f64`s.
    pub(crate) fn of_f64(penalty: &Penalty, weights: &[f64]) -> Result<Summed> {
        Ok(Summed::Double(Box::new(Double::of(penalty, weights)?)))
    }

    /// Adds the sums of other weights of the tensor.
    pub(crate) fn merge(&mut self, other: &Summed) {
        match (self, other) {
            (Summed::Library(sums), Summed::Library(other)) => sums.merge(other),
            (Summed::Double(sums), Summed::Double(other)) => sums.merge(other),
            // It is of nothing so far.
            (sums, other) => *sums = other.clone(),
        }
    }
}

/// The reports of tensors and their total, as [`Reports::new`] gives them. If there are `f64`s, the total's sums are of all
/// weights exactly, too.
pub(crate) fn reports<'a>(tensors: impl IntoIterator<Item = (&'a Summed, &'a Penalty)>) -> Result<Reports> {
    let tensors: Vec<(&Summed, &Penalty)> = tensors.into_iter().collect();
    let of_library = tensors.iter().map(|(sums, penalty)| match sums {
        Summed::Library(partial) => Some((&**partial, *penalty)),
        Summed::Double(_) => None,
    });
    if let Some(partials) = of_library.collect::<Option<Vec<_>>>() {
        return Ok(Reports::new(partials)?);
    }
    let mut all = Double::default();
    let mut report = |(sums, penalty): &(&Summed, &Penalty)| match sums {
        Summed::Library(partial) => all.add_partial(partial).and_then(|()| partial.report(penalty)),
        Summed::Double(sums) => {
            all.merge(sums);
            Ok(sums.report(penalty))
        }
    };
    let tensors = tensors.iter().map(&mut report).collect::<penalty::Result<Vec<_>>>()?;
    let mut total = all.report(&Penalty::none());
    total.value = tensors.iter().fold(0.0, |sum, report| sum + report.value);
    Ok(Reports { tensors, total })
}

/// Replaces `f64`s by their prox.
pub(crate) fn prox_f64(penalty: &Penalty, step: f64, weights: &mut [f64]) -> Result<()> {
    Ok(double::prox(penalty, step, weights)?)
}

/// The statistics of a tensor that comes in pieces of any length. The library takes whole tiles, so what is left of a piece
/// waits for the next one.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    sums: Summed,
    /// Where the next tile starts.
    start: u64,
    /// The beginning of that tile, in words, so that it is aligned.
    rest: Vec<u32>,
    /// How many bytes of it there are.
    held: usize,
}

impl Pieces {
    /// Adds the next weights of the tensor.
    pub(crate) fn add(&mut self, backend: &Backend, dtype: Type, mut bytes: &[u8]) -> Result<()> {
        if dtype == Type::F64 {
            return self.sum(backend, dtype, bytes);
        }
        let tile = TILE * dtype.size();
        self.rest.resize(tile / 4, 0);
        if self.held > 0 {
            let (part, after) = bytes.split_at(bytes.len().min(tile - self.held));
            self.hold(part);
            bytes = after;
            if self.held < tile {
                return Ok(());
            }
            self.sum_held(backend, dtype)?;
        }
        let (tiles, after) = bytes.split_at(bytes.len() / tile * tile);
        self.sum(backend, dtype, tiles)?;
        self.hold(after);
        Ok(())
    }

    fn hold(&mut self, part: &[u8]) {
        bytemuck::cast_slice_mut(&mut self.rest)[self.held..self.held + part.len()].copy_from_slice(part);
        self.held += part.len();
    }

    /// Adds the tensor's end.
    pub(crate) fn finish(mut self, backend: &Backend, dtype: Type) -> Result<Summed> {
        self.sum_held(backend, dtype)?;
        Ok(self.sums)
    }

    fn sum_held(&mut self, backend: &Backend, dtype: Type) -> Result<()> {
        let (rest, held) = (std::mem::take(&mut self.rest), std::mem::take(&mut self.held));
        self.sum(backend, dtype, &bytemuck::cast_slice(&rest)[..held])?;
        self.rest = rest;
        Ok(())
    }

    fn sum(&mut self, backend: &Backend, dtype: Type, bytes: &[u8]) -> Result<()> {
        fn of<E: Element>(backend: &Backend, start: u64, bytes: &[u8]) -> Result<Summed> {
            let partial = backend.partial_for(&Penalty::none(), start, bytemuck::cast_slice::<u8, E>(bytes))?;
            Ok(Summed::Library(Box::new(partial)))
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let sums = match dtype {
            Type::F32 => of::<f32>(backend, self.start, bytes),
            Type::F16 => of::<penalty::half::f16>(backend, self.start, bytes),
            Type::BF16 => of::<penalty::half::bf16>(backend, self.start, bytes),
            Type::F64 => Summed::of_f64(&Penalty::none(), bytemuck::cast_slice(bytes)),
        };
        self.sums.merge(&sums?);
        self.start += (bytes.len() / dtype.size()) as u64;
        Ok(())
    }
}
