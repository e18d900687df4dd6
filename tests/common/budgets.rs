//! Models to prune, and what a stable sort prunes of them.

use std::ops::RangeInclusive;

use penalty::half::{bf16, f16};
use penalty::{Budget, BudgetSearch, Cpu, Dtype, Element, Parameter, Penalty, Reports, Result, Slice, SliceMut};

use super::cases::{at_scale, noise};

/// The weights of a tensor, as bits of its type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Weights {
    F32(Vec<u32>),
    F16(Vec<u16>),
    BF16(Vec<u16>),
}

impl Weights {
    pub(crate) fn of(dtype: Dtype, numbers: &[f32]) -> Weights {
        match dtype {
            Dtype::F32 => Weights::F32(numbers.iter().map(|x| x.to_bits()).collect()),
            Dtype::F16 => Weights::F16(numbers.iter().map(|x| f16::from_f32(*x).to_bits()).collect()),
            Dtype::BF16 => Weights::BF16(numbers.iter().map(|x| bf16::from_f32(*x).to_bits()).collect()),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Weights::F32(bits) => bits.len(),
            Weights::F16(bits) | Weights::BF16(bits) => bits.len(),
        }
    }

    pub(crate) fn dtype(&self) -> Dtype {
        match self {
            Weights::F32(_) => Dtype::F32,
            Weights::F16(_) => Dtype::F16,
            Weights::BF16(_) => Dtype::BF16,
        }
    }

    pub(crate) fn slice(&self) -> Slice<'_> {
        match self {
            Weights::F32(bits) => bytemuck::cast_slice::<u32, f32>(bits).into(),
            Weights::F16(bits) => bytemuck::cast_slice::<u16, f16>(bits).into(),
            Weights::BF16(bits) => bytemuck::cast_slice::<u16, bf16>(bits).into(),
        }
    }

    pub(crate) fn slice_mut(&mut self) -> SliceMut<'_> {
        fn of<E: Element>(bits: &mut [impl bytemuck::Pod]) -> SliceMut<'_> {
            bytemuck::cast_slice_mut::<_, E>(bits).into()
        }
        match self {
            Weights::F32(bits) => of::<f32>(bits),
            Weights::F16(bits) => of::<f16>(bits),
            Weights::BF16(bits) => of::<bf16>(bits),
        }
    }

    /// Parts of this many weights.
    pub(crate) fn chunks_mut(&mut self, len: usize) -> Vec<SliceMut<'_>> {
        fn of<E: Element>(bits: &mut [impl bytemuck::Pod], len: usize) -> Vec<SliceMut<'_>> {
            bytemuck::cast_slice_mut::<_, E>(bits).chunks_mut(len).map(SliceMut::from).collect()
        }
        match self {
            Weights::F32(bits) => of::<f32>(bits, len),
            Weights::F16(bits) => of::<f16>(bits, len),
            Weights::BF16(bits) => of::<bf16>(bits, len),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Weights::F32(bits) => bytemuck::cast_slice(bits),
            Weights::F16(bits) | Weights::BF16(bits) => bytemuck::cast_slice(bits),
        }
    }

    /// The bits of |θ| as an `f32`. A NaN keeps its payload.
    fn magnitude(&self, i: usize) -> u32 {
        match self {
            Weights::F32(bits) => bits[i] & 0x7fff_ffff,
            Weights::BF16(bits) => u32::from(bits[i] & 0x7fff) << 16,
            Weights::F16(bits) if bits[i] & 0x7fff > 0x7c00 => 0x7f80_0000 | u32::from(bits[i] & 0x3ff) << 13,
            Weights::F16(bits) => f16::from_bits(bits[i] & 0x7fff).to_f32().to_bits(),
        }
    }

    /// 1 where a weight is not 0.
    pub(crate) fn mask(&self) -> Weights {
        match self {
            Weights::F32(bits) => {
                Weights::F32(bits.iter().map(|b| if b << 1 == 0 { 0 } else { 0x3f80_0000 }).collect())
            }
            Weights::F16(bits) => Weights::F16(bits.iter().map(|b| if b << 1 == 0 { 0 } else { 0x3c00 }).collect()),
            Weights::BF16(bits) => Weights::BF16(bits.iter().map(|b| if b << 1 == 0 { 0 } else { 0x3f80 }).collect()),
        }
    }

    fn clear(&mut self, i: usize) {
        match self {
            Weights::F32(bits) => bits[i] = 0,
            Weights::F16(bits) | Weights::BF16(bits) => bits[i] = 0,
        }
    }
}

/// The tensors of a model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Model(pub(crate) Vec<Weights>);

impl Model {
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(Weights::len).sum()
    }

    pub(crate) fn parameters(&self) -> Vec<Parameter> {
        (0..self.0.len()).map(|i| Parameter::new(format!("tensor {i}"), Penalty::none())).collect()
    }

    pub(crate) fn prune(&mut self, cpu: &Cpu, budget: &Budget) -> Result<Reports> {
        cpu.prune_in_place(budget, &mut self.0.iter_mut().map(Weights::slice_mut).collect::<Vec<_>>())
    }

    /// The same in chunks of this many weights.
    pub(crate) fn prune_in_chunks(&mut self, cpu: &Cpu, budget: &Budget, len: usize) -> Result<()> {
        let lens: Vec<u64> = self.0.iter().map(|weights| weights.len() as u64).collect();
        let mut search = BudgetSearch::new(cpu, budget, &lens)?;
        while search.reads() {
            for (tensor, weights) in self.0.iter_mut().enumerate() {
                weights.chunks_mut(len).iter().rev().try_for_each(|chunk| search.count(tensor, chunk.as_slice()))?;
            }
            search.narrow()?;
        }
        for (tensor, weights) in self.0.iter_mut().enumerate() {
            weights.chunks_mut(len).into_iter().try_for_each(|chunk| search.prune(tensor, chunk))?;
        }
        Ok(())
    }

    /// What a stable sort prunes: this many weights, of each tensor as many as its range allows.
    pub(crate) fn sorted(&self, pruned: usize, ranges: &[RangeInclusive<usize>]) -> Model {
        let mut order: Vec<(u32, usize, usize)> = (0..)
            .zip(&self.0)
            .flat_map(|(tensor, weights)| (0..weights.len()).map(move |i| (weights.magnitude(i), tensor, i)))
            .collect();
        order.sort_by_key(|(magnitude, ..)| *magnitude);
        let mut left = self.clone();
        let mut ranks = vec![0; self.0.len()];
        let (mut free, mut missing) = (Vec::new(), pruned);
        for (_, tensor, i) in order {
            let (rank, range) = (ranks[tensor], &ranges[tensor]);
            ranks[tensor] += 1;
            if rank < *range.start() {
                left.0[tensor].clear(i);
                missing -= 1;
            } else if rank < *range.end() {
                free.push((tensor, i));
            }
        }
        assert!(missing <= free.len(), "the ranges allow it");
        free.into_iter().take(missing).for_each(|(tensor, i)| left.0[tensor].clear(i));
        left
    }

    /// The ranges that bounds mean.
    pub(crate) fn ranges(&self, bounds: &[RangeInclusive<f64>]) -> Vec<RangeInclusive<usize>> {
        let of = |share: f64, len: usize| (share * len as f64).floor() as usize;
        let range = |(i, weights): (usize, &Weights)| match bounds.get(i) {
            Some(bound) => of(*bound.start(), weights.len())..=of(*bound.end(), weights.len()),
            None => 0..=weights.len(),
        };
        self.0.iter().enumerate().map(range).collect()
    }
}

/// Ordinary weights.
pub(crate) fn ordinary(lens: &[usize], dtype: impl Fn(usize) -> Dtype) -> Model {
    Model((0..).zip(lens).map(|(i, &len)| Weights::of(dtype(i), &noise(len, 100 + i as u64))).collect())
}

/// Few magnitudes, so that many weights tie; both zeros.
pub(crate) fn tied(lens: &[usize], dtype: impl Fn(usize) -> Dtype) -> Model {
    let round = |x: &f32| (x * 3.0).round() / 4.0;
    let of = |(i, &len): (usize, &usize)| {
        let numbers: Vec<f32> = noise(len, 200 + i as u64).iter().map(round).collect();
        Weights::of(dtype(i), &numbers)
    };
    Model(lens.iter().enumerate().map(of).collect())
}

/// Every scale, subnormals, zeros, infinities and NaN with several payloads.
pub(crate) fn special(lens: &[usize], dtype: impl Fn(usize) -> Dtype) -> Model {
    let nan = [0x7fc0_0000u32, 0xffc0_0000, 0x7fa1_2000, 0x7fff_e000].map(f32::from_bits);
    let of = |(i, &len): (usize, &usize)| {
        let mut numbers = noise(len, 300 + i as u64);
        for (at, x) in numbers.iter_mut().enumerate() {
            match at % 8 {
                1 => *x = at_scale(at as i32 % 278 - 150, 1)[0],
                2 => *x = if at % 16 < 8 { 0.0 } else { -0.0 },
                3 if at % 64 < 32 => *x = [f32::INFINITY, f32::NEG_INFINITY][at / 8 % 2],
                4 if at % 64 < 24 => *x = nan[at / 8 % 4],
                5 => *x = f32::from_bits(at as u32),
                6 => *x = 6e-8 * (at % 5) as f32,
                _ => {}
            }
        }
        Weights::of(dtype(i), &numbers)
    };
    Model(lens.iter().enumerate().map(of).collect())
}

/// A type that changes from tensor to tensor.
pub(crate) fn mixed(i: usize) -> Dtype {
    [Dtype::F32, Dtype::F16, Dtype::BF16][i % 3]
}
