//! Ranks that are threads, and tensors that can be cut into parts.

#![allow(dead_code, reason = "each test binary uses some of it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use penalty::cpu::InstructionSet;
use penalty::exact::Transport;
use penalty::half::{bf16, f16};
use penalty::{Cpu, Dtype, Error, Groups, HostSet, Parameter, Penalty, Slice, SliceMut};
use penalty_mpi::{Layout, Tensor, Threads};

/// It only guards against hanging: a busy machine never reaches it.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(120);
/// How many ranks the tests have.
pub(crate) const SIZES: [usize; 5] = [1, 2, 3, 7, 64];

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

impl Weights {
    /// Little-endian, filled up to whole words.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let bits = self.bits().into_iter();
        let mut bytes: Vec<u8> = match self {
            Weights::F32(_) => bits.flat_map(u32::to_le_bytes).collect(),
            Weights::F16(_) | Weights::BF16(_) => bits.flat_map(|bits| (bits as u16).to_le_bytes()).collect(),
        };
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    /// Replaces them by the weights of these bytes.
    pub(crate) fn set_bytes(&mut self, bytes: &[u8]) {
        let halves = bytes.as_chunks().0.iter().map(|half| u16::from_le_bytes(*half));
        match self {
            Weights::F32(weights) => {
                let words = bytes.as_chunks().0.iter().map(|word| f32::from_le_bytes(*word));
                weights.iter_mut().zip(words).for_each(|(weight, word)| *weight = word);
            }
            Weights::F16(weights) => weights.iter_mut().zip(halves).for_each(|(x, half)| *x = f16::from_bits(half)),
            Weights::BF16(weights) => weights.iter_mut().zip(halves).for_each(|(x, half)| *x = bf16::from_bits(half)),
        }
    }

    pub(crate) fn dtype(&self) -> Dtype {
        self.slice().dtype()
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

/// Tensors of every type, longer and shorter than a tile, with penalties of every kind that stay apart.
pub(crate) fn mixed() -> Vec<Tensor> {
    use Dtype::{BF16, F16, F32};
    vec![
        tensor("l1", 30_001, F32, Penalty::l1(0.3)),
        tensor("bias", 100, F32, Ok(Penalty::none())),
        tensor("empty", 0, F32, Penalty::l1(1.0)),
        tensor("elastic net", 9000, F16, Penalty::elastic_net(0.1, 0.7)),
        tensor("l_half", 20_000, BF16, Penalty::l_half(0.2)),
        tensor("mcp", 12_289, F32, Penalty::mcp(0.1, 3.0)),
        tensor("rows", 36_000, F32, Penalty::group_lasso(0.05, Groups::rows(48).expect("48 is not 0"))),
        tensor("2:4", 16_384, BF16, Penalty::n_of_m(2, 4)),
        tensor("1:3", 36_867, F32, Penalty::n_of_m(1, 3)),
        tensor("columns", 9000, F32, Penalty::group_lasso(0.05, Groups::columns(90).expect("90 is not 0"))),
    ]
}

/// Tensors that are one group each, and lie on several ranks.
pub(crate) fn whole(len: u64, dtype: Dtype) -> Vec<Tensor> {
    let radius = (len as f64).sqrt();
    let penalties = [
        ("l2_norm", Penalty::l2_norm(0.5)),
        ("shrunk to 0", Penalty::l2_norm(1e9)),
        ("group_lasso", Penalty::group_lasso(0.01, Groups::whole())),
        ("a run of all", Penalty::group_lasso(0.01, Groups::runs(len).expect("it is not 0"))),
        ("sparse_group_lasso", Penalty::sparse_group_lasso(0.1, 0.5, Groups::whole())),
        ("l2_ball", Penalty::l2_ball(0.3 * radius)),
        ("inside of the l2_ball", Penalty::l2_ball(1e4 * radius)),
        ("l1_ball", Penalty::l1_ball(0.05 * len as f64)),
        ("a tight l1_ball", Penalty::l1_ball(1e-3)),
        ("simplex", Penalty::simplex(1.0)),
        ("linf_norm", Penalty::linf_norm(0.02 * len as f64)),
        ("top_k", Penalty::top_k(len / 3)),
        ("top_k of few", Penalty::top_k(1)),
        ("top_k of ties", Penalty::top_k(len - len / 32)),
        ("top_k of all", Penalty::top_k(len + 1)),
    ];
    penalties.into_iter().map(|(name, penalty)| tensor(name, len, dtype, penalty)).collect()
}

/// What one rank with all weights does is what any number of ranks do, each on its parts: the same result, and the same
/// weights and states.
pub(crate) fn same_on_all_ranks<R: PartialEq + std::fmt::Debug + Send>(
    tensors: &[Tensor],
    operands: &[Vec<Weights>],
    what: &str,
    call: impl Fn(&HostSet<'_>, &mut [Vec<Weights>]) -> penalty::Result<R> + Sync,
) {
    let run = |rank: Threads, layout: &Layout, parts: &mut [Vec<Weights>]| {
        let set = layout.set(cpu_of(rank.rank()), Arc::new(rank))?;
        call(&set, parts)
    };
    same_as_one((tensors, operands, what), &SIZES, &call, run);
}

/// The same, where `run` is what a rank does.
pub(crate) fn same_as_one<R: PartialEq + std::fmt::Debug + Send>(
    (tensors, operands, what): (&[Tensor], &[Vec<Weights>], &str),
    sizes: &[usize],
    one: impl Fn(&HostSet<'_>, &mut [Vec<Weights>]) -> penalty::Result<R>,
    run: impl Fn(Threads, &Layout, &mut [Vec<Weights>]) -> penalty::Result<R> + Sync,
) {
    let parameters = tensors.iter().map(|tensor| Parameter::new(&*tensor.name, tensor.penalty.clone())).collect();
    let mut whole = operands.to_vec();
    let want = one(&HostSet::new(Cpu::new(), parameters), &mut whole);
    let want = want.unwrap_or_else(|error| panic!("{what} on one rank: {error}"));
    // Many ranks take long, so only tensors that are cut are worthwhile there.
    let layouts = |&size: &usize| layouts(tensors, size).into_iter().skip((size > 7).into()).map(move |l| (size, l));
    for (size, layout) in sizes.iter().flat_map(layouts) {
        let found = on_ranks(size, TIMEOUT, |rank| {
            let at = rank.rank();
            let part = |(i, weights): (usize, &Weights)| weights.part(layout.part(i, at));
            let mut parts: Vec<Vec<Weights>> =
                operands.iter().map(|operand| operand.iter().enumerate().map(part).collect()).collect();
            run(rank, &layout, &mut parts).map(|result| (result, parts))
        });
        // Once one has failed, the others say that it has ended.
        let first = found.iter().filter_map(|found| found.as_ref().err()).find(|e| !matches!(e, Error::Ranks { .. }));
        assert_eq!(first, None, "{what} on {size} ranks");
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

/// The tensors one after the other, so that most are on one rank; and each of them over all ranks, as far as it may be cut.
pub(crate) fn layouts(tensors: &[Tensor], size: usize) -> [Layout; 2] {
    let even = |tensors| Layout::even(tensors, size).expect("the groups cover the tensors");
    let cuts = tensors.iter().map(|tensor| {
        let alone = even(vec![tensor.clone()]);
        (0..size).map(|rank| alone.part(0, rank).start).chain([tensor.len]).collect()
    });
    let each = Layout::new(tensors.to_vec(), cuts.collect()).expect("they end with the lengths");
    [even(tensors.to_vec()), each]
}

/// Ranks have different instruction sets, as those of a cluster may.
pub(crate) fn cpu_of(rank: usize) -> Cpu {
    let sets = InstructionSet::available();
    Cpu::with_instructions(sets[rank % sets.len()]).expect("it is available")
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

/// A rank whose calls and bytes are counted, and which may end before one of them.
#[derive(Debug)]
pub(crate) struct Watched {
    rank: Threads,
    pub(crate) calls: AtomicUsize,
    pub(crate) bytes: AtomicUsize,
    pub(crate) ends_before: usize,
}

impl Watched {
    pub(crate) fn new(rank: Threads, ends_before: usize) -> Watched {
        Watched { rank, calls: AtomicUsize::new(0), bytes: AtomicUsize::new(0), ends_before }
    }

    /// Starts to count anew.
    pub(crate) fn reset(&self) {
        self.calls.store(0, Relaxed);
        self.bytes.store(0, Relaxed);
    }

    pub(crate) fn counted(&self) -> [usize; 2] {
        [&self.calls, &self.bytes].map(|count| count.load(Relaxed))
    }

    fn before(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Relaxed);
        if self.calls.fetch_add(1, Relaxed) == self.ends_before {
            // Without a message: it is planted.
            std::panic::resume_unwind(Box::new(Ended));
        }
    }
}

/// Why a watched rank's thread unwinds.
pub(crate) struct Ended;

impl Transport for Watched {
    fn rank(&self) -> usize {
        self.rank.rank()
    }

    fn size(&self) -> usize {
        self.rank.size()
    }

    fn sum_u64(&self, words: &mut [u64]) -> penalty::Result<()> {
        self.before(size_of_val(words));
        self.rank.sum_u64(words)
    }

    fn max_u32(&self, words: &mut [u32]) -> penalty::Result<()> {
        self.before(size_of_val(words));
        self.rank.max_u32(words)
    }
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
