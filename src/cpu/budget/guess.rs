//! The cut of many weights from one read: a sample says between which two magnitudes it lies. The weights below both are
//! only counted, and those between them are gathered. The counts prove the guess.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use rayon::prelude::*;

use crate::cpu::Cpu;
use crate::cpu::search::{ROW, SPAN, magnitude};
use crate::formula::budget::Cut;
use crate::numeric::element::Element;
use crate::numeric::slice::{Slice, with_element};

/// From this many weights on, a sample pays.
const MANY: usize = 1 << 20;
/// How many lines of weights are sampled, and how many weights each has: neighbours, since memory is read in lines.
const LINES: usize = 1024;
const LINE: usize = 64;
/// By how many deviations a guess may be wrong, and by how many sampled weights in any case.
const DEVIATIONS: f64 = 5.0;
const SPARE: f64 = 16.0;
/// At most one in this many weights is gathered.
const GATHERED: usize = 8;

/// What a span has.
#[derive(Default)]
struct Part {
    tensor: usize,
    below: u64,
    /// The magnitudes between both.
    between: Vec<u32>,
}

impl Cpu {
    /// The cut of every tensor, if there are enough weights and the guess is right.
    pub(super) fn guessed(&self, slices: &[Slice<'_>], pruned: u64) -> Option<Vec<Cut>> {
        let all: usize = slices.iter().map(Slice::len).sum();
        if all < MANY {
            return None;
        }
        let [low, high] = bracket(sample(slices, all), pruned as f64 / all as f64)?;
        let gathered = AtomicUsize::new(0);
        let spans: Vec<(usize, Slice<'_>)> =
            (0..).zip(slices).flat_map(|(tensor, slice)| slice.chunks(SPAN).map(move |span| (tensor, span))).collect();
        let read = |(tensor, span): (usize, Slice<'_>)| {
            if gathered.load(Relaxed) > all / GATHERED {
                return None;
            }
            let mut part = Part { tensor, ..Part::default() };
            with_element!(span.dtype(), E => self.set.run(
                #[inline(always)]
                || part.read::<E>(span.elements(), low, high),
            ));
            gathered.fetch_add(part.between.len(), Relaxed);
            Some(part)
        };
        let parts: Vec<Part> = spans.into_par_iter().map(read).collect::<Option<_>>()?;
        let below: u64 = parts.iter().map(|part| part.below).sum();
        let at = pruned.checked_sub(below)? as usize;
        let mut between: Vec<u32> = parts.iter().flat_map(|part| &part.between).copied().collect();
        if at >= between.len() {
            return None;
        }
        // The first weight that is kept.
        let (_, &mut cut, _) = between.select_nth_unstable(at);
        let mut of_tensors = vec![[0; 2]; slices.len()];
        for part in &parts {
            let [below, equal] = &mut of_tensors[part.tensor];
            let count = |of: fn(&u32, &u32) -> bool| part.between.iter().filter(|m| of(m, &cut)).count() as u64;
            *below += part.below + count(u32::lt);
            *equal += count(u32::eq);
        }
        let lens = slices.iter().map(|slice| slice.len() as u64);
        Some(lens.zip(of_tensors).map(|(len, [below, equal])| Cut::at(len, cut, below, equal)).collect())
    }
}

impl Part {
    #[inline(always)]
    fn read<E: Element>(&mut self, elements: &[E], low: u32, high: u32) {
        let wide = high - low;
        let (rows, rest) = elements.as_chunks::<ROW>();
        let mut below = [0u32; ROW];
        for row in rows {
            let magnitudes: [u32; ROW] = std::array::from_fn(|i| magnitude(&row[i]));
            let mut inside = 0;
            for i in 0..ROW {
                below[i] += u32::from(magnitudes[i] < low);
                inside |= u32::from(magnitudes[i].wrapping_sub(low) <= wide) << i;
            }
            while inside != 0 {
                self.between.push(magnitudes[inside.trailing_zeros() as usize]);
                inside &= inside - 1;
            }
        }
        let rest = rest.iter().map(magnitude);
        self.below += below.iter().map(|count| u64::from(*count)).sum::<u64>();
        self.below += rest.clone().filter(|magnitude| *magnitude < low).count() as u64;
        self.between.extend(rest.filter(|magnitude| (low..=high).contains(magnitude)));
    }
}

/// The magnitudes of lines of weights, at equal distances over all tensors.
fn sample(slices: &[Slice<'_>], all: usize) -> Vec<Vec<u32>> {
    let mut tensors = slices.iter();
    let (mut first, mut tensor) = (0, Slice::from(&[0f32; 0][..]));
    let line = |at: usize| {
        while at >= first + tensor.len() {
            first += tensor.len();
            tensor = *tensors.next()?;
        }
        let part = tensor.part(at - first..tensor.len().min(at - first + LINE));
        Some(with_element!(part.dtype(), E => part.elements::<E>().iter().map(magnitude).collect()))
    };
    (0..LINES).map(|line| (line as u128 * all as u128 / LINES as u128) as usize).map_while(line).collect()
}

/// Two magnitudes that very likely have the first kept weight between them, if this share of the weights is pruned.
fn bracket(lines: Vec<Vec<u32>>, share: f64) -> Option<[u32; 2]> {
    let mut sizes: Vec<u32> = lines.iter().flatten().copied().collect();
    let place = share * sizes.len() as f64;
    let last = sizes.len().checked_sub(1)?;
    let (_, &mut middle, _) = sizes.select_nth_unstable((place as usize).min(last));
    // Neighbours may be alike, so lines say how far a sample may be off.
    let off = |line: &Vec<u32>| {
        let below = line.iter().filter(|magnitude| **magnitude < middle).count() as f64;
        (below - share * line.len() as f64).powi(2)
    };
    let wrong = DEVIATIONS * lines.iter().map(off).sum::<f64>().sqrt() + SPARE;
    let low = match place - wrong {
        at if at < 0.0 => 0,
        at => *sizes.select_nth_unstable(at as usize).1,
    };
    let high = match (place + wrong) as usize {
        at if at > last => u32::MAX,
        at => *sizes.select_nth_unstable(at).1,
    };
    Some([low, high])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formula::budget::{Quota, ties};
    use crate::numeric::noise::Noise;

    /// Compares a guess with counting digits, and says whether there was one.
    fn check(slices: &[Slice<'_>], pruned: u64) -> bool {
        let cpu = Cpu::new();
        let Some(guessed) = cpu.guessed(slices, pruned) else { return false };
        let quotas: Vec<Quota> = slices.iter().map(|slice| Quota { least: 0, most: slice.len() as u64 }).collect();
        let counted = cpu.counted(slices, pruned, &quotas);
        let (a, b) = (ties(pruned, &guessed), ties(pruned, &counted));
        for (i, slice) in slices.iter().enumerate() {
            // Counting may name another magnitude for a tensor that is pruned or kept as a whole.
            let left = |cut: &Cut, ties: u64| {
                with_element!(slice.dtype(), E => {
                    let elements = slice.elements::<E>().iter().map(magnitude);
                    elements.filter(|magnitude| *magnitude < cut.magnitude).count() as u64 + ties
                })
            };
            assert_eq!(left(&guessed[i], a[i]), left(&counted[i], b[i]), "tensor {i}, {pruned}");
        }
        true
    }

    fn uniform(len: usize) -> Vec<f32> {
        let mut noise = Noise(7);
        (0..len).map(|_| (noise.next() >> 40) as f32 / 2f32.powi(23) - 1.0).collect()
    }

    #[test]
    fn a_guess_is_what_counting_finds() {
        let (a, b) = (uniform(MANY), uniform(12_345).iter().map(|x| half::bf16::from_f32(3.0 * x)).collect::<Vec<_>>());
        let slices = [Slice::from(&a[..700_001]), Slice::from(&b[..]), Slice::from(&a[700_001..])];
        let all: u64 = slices.iter().map(|slice| slice.len() as u64).sum();
        for pruned in [1, 1000, all / 10, all / 2, all / 2 + 1, all * 9 / 10, all - 1000, all - 1] {
            assert!(check(&slices, pruned), "{pruned} of {all}");
        }
        // Nothing is kept, so there is no first kept weight.
        assert!(!check(&slices, all));
    }

    #[test]
    fn ties_and_layers_of_other_scales_are_found() {
        let mut tied = uniform(MANY);
        tied.iter_mut().for_each(|x| *x = (*x * 20.0).round());
        let mut layers = uniform(MANY);
        layers.iter_mut().enumerate().for_each(|(i, x)| *x *= [1.0, 1e-3, 1e3][i / 100_000 % 3]);
        let mut found = 0;
        for weights in [&tied, &layers] {
            for pruned in [0.05, 0.3, 0.5, 0.95].map(|share| (share * MANY as f64) as u64) {
                found += u32::from(check(&[Slice::from(&weights[..])], pruned));
            }
        }
        assert!(found > 3, "only {found} guesses");
    }

    #[test]
    fn a_wrong_guess_gives_nothing() {
        // What is sampled is small, all else is large.
        let mut weights = vec![1.0f32; MANY];
        for line in 0..LINES {
            weights[line * MANY / LINES..][..LINE].fill(1e-3);
        }
        assert!(!check(&[Slice::from(&weights[..])], MANY as u64 / 2));
        // Most weights would be gathered.
        assert!(!check(&[Slice::from(&vec![1.0f32; MANY][..])], MANY as u64 / 2));
    }
}
