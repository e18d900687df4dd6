//! Ranks that are threads, and tensors that can be cut into parts.

#![allow(dead_code, reason = "each test binary uses some of it")]

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use penalty::exact::Transport;
use penalty::half::{bf16, f16};
use penalty::{Cpu, Dtype, HostSet, Parameter, Penalty, Slice, SliceMut};
use penalty_mpi::{Layout, Tensor, Threads};

/// It only guards against hanging: a busy machine never reaches it.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(120);
/// How many ranks the tests have.
pub(crate) const SIZES: [usize; 4] = [1, 2, 3, 7];

/// The weights of a tensor, of a type that is a value.
#[derive(Clone, Debug)]
pub(crate) enum Weights {
    F32(Vec<f32>),
    F16(Vec<f16>),
    BF16(Vec<bf16>),
}

impl Weights {
    pub(crate) fn new(dtype: Dtype, weights: Vec<f32>) -> Weights {
        match dtype {
            Dtype::F32 => Weights::F32(weights),
            Dtype::F16 => Weights::F16(weights.into_iter().map(f16::from_f32).collect()),
            Dtype::BF16 => Weights::BF16(weights.into_iter().map(bf16::from_f32).collect()),
        }
    }

    pub(crate) fn part(&self, part: std::ops::Range<u64>) -> Weights {
        let range = part.start as usize..part.end as usize;
        match self {
            Weights::F32(weights) => Weights::F32(weights[range].to_vec()),
            Weights::F16(weights) => Weights::F16(weights[range].to_vec()),
            Weights::BF16(weights) => Weights::BF16(weights[range].to_vec()),
        }
    }

    pub(crate) fn slice(&self) -> Slice<'_> {
        match self {
            Weights::F32(weights) => weights[..].into(),
            Weights::F16(weights) => weights[..].into(),
            Weights::BF16(weights) => weights[..].into(),
        }
    }

    pub(crate) fn slice_mut(&mut self) -> SliceMut<'_> {
        match self {
            Weights::F32(weights) => (&mut weights[..]).into(),
            Weights::F16(weights) => (&mut weights[..]).into(),
            Weights::BF16(weights) => (&mut weights[..]).into(),
        }
    }

    pub(crate) fn bits(&self) -> Vec<u32> {
        match self {
            Weights::F32(weights) => weights.iter().map(|x| x.to_bits()).collect(),
            Weights::F16(weights) => weights.iter().map(|x| x.to_bits().into()).collect(),
            Weights::BF16(weights) => weights.iter().map(|x| x.to_bits().into()).collect(),
        }
    }
}

pub(crate) fn slices(all: &[Weights]) -> Vec<Slice<'_>> {
    all.iter().map(Weights::slice).collect()
}

pub(crate) fn slices_mut(all: &mut [Weights]) -> Vec<SliceMut<'_>> {
    all.iter_mut().map(Weights::slice_mut).collect()
}

/// Uniform numbers between −1 and 1 and some of other kinds: ties, zeros, far-off scales, and non-finite ones if asked.
pub(crate) fn weights(seed: u64, len: u64, non_finite: bool) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mut weight = || {
        let (kind, x) = (next() % 64, (next() >> 40) as f32 / (1 << 23) as f32 - 1.0);
        match kind {
            0..8 => (x * 4.0).round() / 4.0,
            8..12 => x * 1e-3,
            12 => x * 1e-30,
            13 => x * 100.0,
            14 if non_finite && next() % 50 == 0 => [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][next() as usize % 3],
            _ => x,
        }
    };
    (0..len).map(|_| weight()).collect()
}

/// What one rank with all weights does is what so many ranks do, each on its parts: the same result, and the same weights
/// and states.
pub(crate) fn same_on_all_ranks<R: PartialEq + std::fmt::Debug + Send>(
    tensors: &[Tensor],
    operands: &[Vec<Weights>],
    what: &str,
    call: impl Fn(&HostSet<'_>, &mut [Vec<Weights>]) -> penalty::Result<R> + Sync,
) {
    let parameters = tensors.iter().map(|tensor| Parameter::new(&*tensor.name, tensor.penalty.clone())).collect();
    let mut whole = operands.to_vec();
    let want = call(&HostSet::new(Cpu::new(), parameters), &mut whole);
    let want = want.unwrap_or_else(|error| panic!("{what} on one rank: {error}"));
    for size in SIZES {
        let layout = Layout::even(tensors.to_vec(), size).expect("the groups cover the tensors");
        let found = on_ranks(size, TIMEOUT, |rank| {
            let at = rank.rank();
            let part = |(i, weights): (usize, &Weights)| weights.part(layout.part(i, at));
            let mut parts: Vec<Vec<Weights>> =
                operands.iter().map(|operand| operand.iter().enumerate().map(part).collect()).collect();
            let set = layout.set(Cpu::new(), Arc::new(rank))?;
            call(&set, &mut parts).map(|result| (result, parts))
        });
        for (rank, found) in found.into_iter().enumerate() {
            let (result, parts) = found.unwrap_or_else(|error| panic!("{what} on {size} ranks: {error}"));
            assert_eq!(result, want, "{what} on rank {rank} of {size}");
            for (parts, whole) in parts.iter().zip(&whole) {
                for (i, (part, whole)) in parts.iter().zip(whole).enumerate() {
                    let same = part.bits() == whole.part(layout.part(i, rank)).bits();
                    assert!(same, "{what}: {} on rank {rank} of {size}", tensors[i].name);
                }
            }
        }
    }
}

/// What each rank returns.
pub(crate) fn on_ranks<R: Send>(size: usize, timeout: Duration, run: impl Fn(Threads) -> R + Sync) -> Vec<R> {
    thread::scope(|scope| {
        let spawn = |rank| {
            let run = &run;
            scope.spawn(move || run(rank))
        };
        let ranks: Vec<_> = Threads::connect(size, timeout).into_iter().map(spawn).collect();
        ranks.into_iter().map(|rank| rank.join().expect("no rank panics")).collect()
    })
}

pub(crate) fn tensor(name: &str, len: u64, dtype: Dtype, penalty: penalty::Result<Penalty>) -> Tensor {
    Tensor::new(name, len, dtype, penalty.expect("it is a penalty"))
}

/// Weights for each tensor.
pub(crate) fn of(tensors: &[Tensor], seed: u64, non_finite: bool) -> Vec<Weights> {
    let of =
        |(i, tensor): (usize, &Tensor)| Weights::new(tensor.dtype, weights(seed + i as u64, tensor.len, non_finite));
    tensors.iter().enumerate().map(of).collect()
}
