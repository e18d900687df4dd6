//! The weights of a large group, which are read in chunks by several threads.

use rayon::prelude::*;

use super::rows::{Range, range};
use super::{CHUNK, Group, Members, PARALLEL};
use crate::numeric::bits::MAGNITUDE;

/// How many chunks make a task worthwhile.
pub(super) const CHUNKS_PER_TASK: usize = 4;

impl Group<'_> {
    /// Whether several threads read it.
    pub(super) fn is_large(&self) -> bool {
        self.len() >= PARALLEL
    }

    /// Whether its weights are read where they are. If they were copied before, one read less saves little.
    pub(super) fn is_in_place(&self) -> bool {
        matches!(self.members, Members::Large(_))
    }

    /// The bits of the largest magnitude.
    pub(super) fn largest(&self) -> u32 {
        if self.is_large() {
            let here = self.chunk_numbers().map(|chunk| self.largest_of(chunk)).reduce(|| 0, u32::max);
            return self.max_of_ranks(here);
        }
        self.greatest(
            #[inline(always)]
            |b| b & MAGNITUDE,
        )
    }

    /// The same of a chunk.
    pub(super) fn largest_of(&self, chunk: usize) -> u32 {
        let range = self.scan_chunk(
            chunk,
            false,
            #[inline(always)]
            |bits| ((), range(bits)),
        );
        range.1.largest()
    }

    pub(super) fn chunk_numbers(&self) -> impl IndexedParallelIterator<Item = usize> + use<> {
        (0..self.len().div_ceil(CHUNK)).into_par_iter().with_min_len(CHUNKS_PER_TASK)
    }

    /// Applies `f` to each chunk of the weights and the place of its first.
    pub(super) fn chunks<R: Send>(
        &self,
        f: impl Fn(usize, &[u32]) -> R + Sync + Send,
    ) -> impl IndexedParallelIterator<Item = R> {
        self.chunk_numbers().map(move |chunk| self.chunk(chunk, &f))
    }

    /// Applies `f` to a chunk of the weights and the place of its first.
    pub(super) fn chunk<R>(&self, chunk: usize, f: impl FnOnce(usize, &[u32]) -> R) -> R {
        let (first, len) = self.place(chunk);
        let weights = match self.members {
            Members::Gathered(bits) => return f(first, &bits[first..first + len]),
            Members::Large(weights) | Members::Shard(weights, _) => weights,
        };
        if let Some(bits) = weights.bits(first, len) {
            let range = self.set.run(
                #[inline(always)]
                || range(bits),
            );
            if range.is_clean(true) {
                return f(first, bits);
            }
        }
        let mut bits = [0; CHUNK];
        weights.clean(first, &mut bits[..len]);
        f(first, &bits[..len])
    }

    /// Applies a loop to a chunk of the weights. If these were not clean, as its range says, it is applied again to clean
    /// ones. A −0 is only clean if signs do not matter.
    #[inline(always)]
    pub(super) fn scan_chunk<R>(
        &self,
        chunk: usize,
        signed: bool,
        mut f: impl FnMut(&[u32]) -> (R, Range),
    ) -> (R, Range) {
        self.chunk_until(
            chunk,
            #[inline(always)]
            |bits| {
                let found = f(bits);
                let is_clean = found.1.is_clean(signed);
                (found, is_clean)
            },
        )
    }

    /// Applies a loop to a chunk of the weights, and again to clean ones if it says that it must be.
    #[inline(always)]
    pub(super) fn chunk_until<R>(&self, chunk: usize, mut f: impl FnMut(&[u32]) -> (R, bool)) -> R {
        let (first, len) = self.place(chunk);
        let mut run = |bits: &[u32]| {
            self.set.run(
                #[inline(always)]
                || f(bits),
            )
        };
        let weights = match self.members {
            Members::Gathered(bits) => return run(&bits[first..first + len]).0,
            Members::Large(weights) | Members::Shard(weights, _) => weights,
        };
        if let Some(bits) = weights.bits(first, len)
            && let (found, true) = run(bits)
        {
            return found;
        }
        let mut bits = [0; CHUNK];
        weights.clean(first, &mut bits[..len]);
        run(&bits[..len]).0
    }

    /// The place of a chunk's first weight, and how many it has.
    fn place(&self, chunk: usize) -> (usize, usize) {
        let first = chunk * CHUNK;
        (first, CHUNK.min(self.len() - first))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::formula::group::Weights;
    use crate::numeric::element::Dtype;
    use crate::numeric::noise::Noise;
    use crate::numeric::simd::InstructionSet;

    /// Weights that are all clean.
    pub(in crate::formula::group) struct Clean(pub(in crate::formula::group) Vec<u32>);

    impl Weights for Clean {
        fn len(&self) -> usize {
            self.0.len()
        }

        fn bits(&self, first: usize, len: usize) -> Option<&[u32]> {
            Some(&self.0[first..first + len])
        }

        fn clean(&self, first: usize, bits: &mut [u32]) {
            bits.copy_from_slice(&self.0[first..first + bits.len()]);
        }
    }

    impl Clean {
        /// Between −1 and 1, and never 0.
        pub(in crate::formula::group) fn uniform(len: usize) -> Clean {
            let mut noise = Noise(1);
            let mut next = || ((noise.next() >> 40) as f32 + 0.5) / 2f32.powi(23) - 1.0;
            Clean((0..len).map(|_| next().to_bits()).collect())
        }

        pub(in crate::formula::group) fn group(&self) -> Group<'_> {
            Group { members: Members::Large(self), dtype: Dtype::F32, set: InstructionSet::Baseline }
        }
    }
}
