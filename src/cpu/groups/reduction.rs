//! Reduces groups whose weights are at hand: one, many short ones side by side, or those of a block.

use crate::cpu::pass::BLOCK;
use crate::formula::group::find::Find;
use crate::formula::group::lanes::select::of_fours;
use crate::formula::group::lanes::{FoundLanes, LANES, LONGEST, Runs};
use crate::formula::group::{Found, Group, Members, Search};
use crate::formula::rule::Rule;
use crate::numeric::accumulator::Sums;
use crate::numeric::bits::{INFINITY, MAGNITUDE, flush, threshold};
use crate::numeric::element::Dtype;
use crate::numeric::simd::InstructionSet;

/// The groups' coefficients of some weights; they replace the last two of the segment's.
pub(in crate::cpu) enum OfGroups<'a> {
    /// The same for all of these weights.
    Alike([f32; 2]),
    Each([&'a [f32]; 2]),
}

/// Room for the reduction of a block's groups.
pub(in crate::cpu) struct GroupRows {
    coefficients: [[f32; BLOCK]; 2],
    cleaned: [u32; BLOCK],
    found: [FoundLanes; AT_ONCE],
}

impl Default for GroupRows {
    fn default() -> GroupRows {
        GroupRows { coefficients: [[0.0; BLOCK]; 2], cleaned: [0; BLOCK], found: [FoundLanes::NONE; AT_ONCE] }
    }
}

impl GroupRows {
    /// Room for the coefficients of so many weights.
    pub(super) fn coefficients(&mut self, len: usize) -> [&mut [f32]; 2] {
        self.coefficients.each_mut().map(|row| &mut row[..len])
    }
}

/// How each group of a segment is reduced.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Reduction<'a> {
    pub(super) find: Find,
    pub(super) search: Search<'a>,
    /// The threshold that the weights of a sparse group are first shrunk by.
    pub(super) soft: f32,
    pub(super) dtype: Dtype,
    pub(super) set: InstructionSet,
}

impl Reduction<'_> {
    /// Reduces one group.
    pub(super) fn one(&self, members: Members<'_>) -> Found {
        self.by_floats(members).unwrap_or_else(|| self.exact(members))
    }

    /// The same by integers alone.
    pub(super) fn exact(&self, members: Members<'_>) -> Found {
        (self.find.one)(&self.group(members), &self.search)
    }

    /// The result if floats leave nothing open. The weights may be anything.
    fn by_floats(&self, members: Members<'_>) -> Option<Found> {
        (self.find.by_floats)(&self.group(members), &self.search)
    }

    fn group<'a>(&self, members: Members<'a>) -> Group<'a> {
        Group { members, dtype: self.dtype, set: self.set }
    }

    /// Reduces a group whose weights may be anything. They are cleaned only if they must be.
    fn row(&self, bits: &[u32]) -> Found {
        let found = if self.soft == 0.0 { self.by_floats(Members::Gathered(bits)) } else { None };
        found.unwrap_or_else(|| self.cleaned_row(bits))
    }

    /// Apart, because the copy takes room.
    #[inline(never)]
    fn cleaned_row(&self, bits: &[u32]) -> Found {
        let mut cleaned = [0; BLOCK];
        let cleaned = &mut cleaned[..bits.len()];
        self.clean(bits, cleaned);
        self.one(Members::Gathered(cleaned))
    }

    fn clean(&self, bits: &[u32], cleaned: &mut [u32]) {
        let soft = self.soft;
        self.set.run(
            #[inline(always)]
            || cleaned.iter_mut().zip(bits).for_each(|(cleaned, bits)| *cleaned = clean(*bits, soft)),
        );
    }

    /// Reduces consecutive runs of weights, given as cleaned bits.
    pub(super) fn runs(&self, size: usize, bits: &[u32], found: &mut [Found]) {
        if self.in_lanes(size) {
            let mut lanes = [FoundLanes::NONE];
            let groups = bits.chunks(size * LANES).zip(found.chunks_mut(LANES));
            for (bits, found) in groups {
                self.lanes(size, bits, &mut lanes);
                found.iter_mut().enumerate().for_each(|(l, found)| *found = lanes[0].lane(l));
            }
        } else {
            let groups = bits.chunks(size).zip(found);
            groups.for_each(|(bits, found)| *found = self.one(Members::Gathered(bits)));
        }
    }

    /// Whether groups of this size are reduced side by side. If the stored results decide, that is only done for `f32`.
    fn in_lanes(&self, size: usize) -> bool {
        let stored = matches!(self.search.rule, Rule::Scale | Rule::Soft | Rule::Simplex);
        size <= LONGEST && (self.dtype == Dtype::F32 || !stored)
    }

    /// Reduces short runs side by side.
    fn lanes(&self, size: usize, bits: &[u32], found: &mut [FoundLanes]) {
        (self.find.runs)(&Runs { bits, size, set: self.set }, &self.search, found);
        for (bits, found) in bits.chunks(size * LANES).zip(found) {
            for (l, bits) in bits.chunks(size).enumerate() {
                if found.is_unknown(l) {
                    found.set_lane(l, self.one(Members::Gathered(bits)));
                }
            }
        }
    }

    /// Adds the shares of a block's groups, whose weights may be anything, to the term sum.
    pub(super) fn add_block(&self, size: usize, bits: &[u32], rows: &mut GroupRows, sums: &mut Sums) {
        if self.in_lanes(size) {
            let cleaned = &mut rows.cleaned[..bits.len()];
            self.clean(bits, cleaned);
            self.add_lanes(size, cleaned, &mut rows.found[..1], sums);
        } else {
            for found in bits.chunks(size).map(|bits| self.row(bits)) {
                sums.add_terms(found.share, found.exponent);
            }
        }
    }

    /// Adds those of consecutive runs, given as cleaned bits.
    pub(super) fn add_runs(&self, size: usize, bits: &[u32], rows: &mut GroupRows, sums: &mut Sums) {
        if self.in_lanes(size) {
            self.add_lanes(size, bits, &mut rows.found[..1], sums);
        } else {
            for found in bits.chunks(size).map(|bits| self.one(Members::Gathered(bits))) {
                sums.add_terms(found.share, found.exponent);
            }
        }
    }

    fn add_lanes(&self, size: usize, bits: &[u32], found: &mut [FoundLanes], sums: &mut Sums) {
        for bits in bits.chunks(size * LANES) {
            self.lanes(size, bits, found);
            self.set.run(
                #[inline(always)]
                || found[0].add_shares(bits.len() / size, sums),
            );
        }
    }

    /// The coefficients of a block's weights, which are whole groups.
    pub(super) fn of_block<'a>(&self, size: usize, bits: &[u32], rows: &'a mut GroupRows) -> OfGroups<'a> {
        let (set, select) = (self.set, self.search.rule == Rule::Select);
        let GroupRows { coefficients, cleaned, found } = rows;
        let [first, second] = coefficients.each_mut().map(|row| &mut row[..bits.len()]);
        let cleaned = &mut cleaned[..bits.len()];
        if select && size == 4 {
            let kept = self.search.bound().in_units(1, 0).min(4) as u32;
            self.clean(bits, cleaned);
            set.run(
                #[inline(always)]
                || of_fours(cleaned, kept, first),
            );
        } else if self.in_lanes(size) {
            self.clean(bits, cleaned);
            let len = size * LANES * AT_ONCE;
            let slices = first.chunks_mut(len).zip(second.chunks_mut(len));
            for (bits, (first, second)) in cleaned.chunks(len).zip(slices) {
                self.lanes(size, bits, found);
                set.run(
                    #[inline(always)]
                    || spread_lanes(found, select, size, first, second),
                );
            }
        } else {
            let slices = first.chunks_mut(size).zip(second.chunks_mut(size));
            for (group, (first, second)) in bits.chunks(size).zip(slices) {
                let found = self.row(group);
                // Where the last weight of the smallest kept magnitude is kept, so are the others.
                let alike = !select || found.coefficients[1].to_bits() as usize >= bits.len() - 1;
                if group.len() == bits.len() && alike {
                    return OfGroups::Alike(found.coefficients);
                }
                spread(found.coefficients, select, first, second);
            }
        }
        OfGroups::Each([first, second])
    }
}

/// How many times `LANES` groups are reduced before their weights get their coefficients.
const AT_ONCE: usize = 8;

/// Gives each weight of a group its coefficients.
#[inline(always)]
fn spread([a, b]: [f32; 2], select: bool, first: &mut [f32], second: &mut [f32]) {
    if select {
        // Among weights of the smallest kept magnitude, only those up to the last kept one are kept.
        for (i, kept) in (0..).zip(first) {
            *kept = f32::from_bits(a.to_bits().wrapping_add(u32::from(i > b.to_bits())));
        }
    } else {
        first.fill(a);
        second.fill(b);
    }
}

/// Gives the weights of many short groups their coefficients. A known size lets the compiler unroll the loops.
#[inline(always)]
fn spread_lanes(found: &[FoundLanes], select: bool, size: usize, first: &mut [f32], second: &mut [f32]) {
    let slices = first.chunks_mut(size * LANES).zip(second.chunks_mut(size * LANES));
    for (found, (first, second)) in found.iter().zip(slices) {
        match size {
            4 => spread_of::<4>(found, select, first, second),
            8 => spread_of::<8>(found, select, first, second),
            16 => spread_of::<16>(found, select, first, second),
            32 => spread_of::<32>(found, select, first, second),
            _ => {
                let groups = first.chunks_mut(size).zip(second.chunks_mut(size));
                for (coefficients, (first, second)) in found.each().zip(groups) {
                    spread(coefficients, select, first, second);
                }
            }
        }
    }
}

/// Gives the weights of groups of N their coefficients.
#[inline(always)]
fn spread_of<const N: usize>(found: &FoundLanes, select: bool, first: &mut [f32], second: &mut [f32]) {
    let groups = first.as_chunks_mut::<N>().0.iter_mut().zip(second.as_chunks_mut::<N>().0);
    let groups = found.each().zip(groups);
    // Asked once: each group's few instructions take no branch.
    if select {
        groups.for_each(|(coefficients, (first, second))| spread(coefficients, true, first, second));
    } else {
        groups.for_each(|(coefficients, (first, second))| spread(coefficients, false, first, second));
    }
}

/// The bits of a weight, in the form that a group's sums take.
#[inline(always)]
pub(super) fn clean(bits: u32, soft: f32) -> u32 {
    let v = flush(f32::from_bits(if bits & MAGNITUDE < INFINITY { bits } else { 0 }));
    flush(threshold(v, soft)).to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formula::rule::Purpose;
    use crate::numeric::element::Element;
    use crate::numeric::noise::Noise;
    use crate::plan::operation::Operation;
    use crate::plan::{Name, Segment};
    use crate::{Groups, Penalty, Result};
    use half::{bf16, f16};
    use std::cell::Cell;

    struct Random(Noise);

    impl Random {
        fn next(&mut self) -> u64 {
            let state = self.0.next();
            (state ^ (state >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16
        }

        /// Between −1 and 1.
        fn uniform(&mut self) -> f32 {
            (self.next() % (1 << 25)) as f32 / (1 << 24) as f32 - 1.0
        }
    }

    const KINDS: usize = 11;

    /// Weights of one kind: ordinary ones, ties, zeros, any bits, tiny ones, huge ones, equal ones, those whose sums
    /// just meet a bound of 1, 3 or 1000, or one of another scale than the rest.
    fn weights(kind: usize, len: usize, random: &mut Random) -> Vec<u32> {
        let scale = [1.0, 1e-3, 100.0, 1e-36, 3e38][random.next() as usize % 5];
        if kind >= 9 {
            let first = if kind == 9 { 1000.0f32 } else { [1.0, 3.0][random.next() as usize % 2] };
            return (0..len).map(|i| if i % 32 == len % 3 { first } else { 0.0 }.to_bits()).collect();
        }
        let weight = |random: &mut Random| match kind {
            0 => random.uniform().to_bits(),
            1 => ((random.next() % 5) as f32 - 2.0).to_bits(),
            2 => [0.0, 0.0, -0.0, random.uniform()][random.next() as usize % 4].to_bits(),
            3 => random.next() as u32,
            4 => random.uniform().powi(9).to_bits(),
            5 => (random.uniform() * scale).to_bits(),
            6 => [f32::NAN, f32::INFINITY, -1.0, random.uniform()][random.next() as usize % 4].to_bits(),
            7 => [0.75f32, -1e-20, 3e30][len % 3].to_bits(),
            _ if random.next().is_multiple_of(9) => random.uniform().to_bits(),
            _ => (random.uniform() * 1e-6).to_bits(),
        };
        (0..len).map(|_| weight(random)).collect()
    }

    fn every_rule(bound: f64) -> Result<Vec<Penalty>> {
        let most = bound.min(1e38);
        Ok(vec![
            Penalty::l2_norm(bound)?,
            Penalty::sparse_group_lasso(bound, 0.5, Groups::whole())?,
            Penalty::group_lasso(bound, Groups::whole())?,
            Penalty::linf_norm(bound)?,
            Penalty::l2_ball(most)?,
            Penalty::l1_ball(most)?,
            Penalty::simplex(most)?,
            Penalty::top_k(most.clamp(1.0, 64.0) as u64)?,
        ])
    }

    /// Calls `check` with reductions by every rule, for every purpose, with many bounds and every instruction set.
    fn every_reduction<E: Element>(
        random: &mut Random,
        check: impl Fn(&Reduction<'_>, &str, &mut Random),
    ) -> Result<()> {
        let segment = Segment { name: Name::Alone, len: 1 << 10, dtype: E::DTYPE };
        let bounds = [0.0, 1e-38, 1e-5, 0.25, 1.0, 3.0, 1e3, 1e20, 1.7e38];
        for (bound, set) in
            bounds.into_iter().flat_map(|bound| InstructionSet::available().into_iter().map(move |set| (bound, set)))
        {
            for penalty in every_rule(bound)? {
                for operation in [Operation::Evaluate, Operation::Gradient, Operation::Prox] {
                    let step = [1.0, 1.0, 0.0, 1e-6, 1e30][random.next() as usize % 5];
                    let Ok(coefficients) = operation.coefficients(&segment, &penalty, step) else { continue };
                    let rule = penalty.rule().expect("it has groups");
                    let purpose = match operation {
                        Operation::Evaluate => Purpose::Value,
                        Operation::Gradient => Purpose::Gradient,
                        _ => Purpose::Prox,
                    };
                    let (c, value) = (&coefficients.c, coefficients.terms.map(f32::to_bits));
                    let find = penalty.formula().loops.find;
                    let search = Search { rule, purpose, c, value };
                    let reduction = Reduction { find, search, soft: 0.0, dtype: E::DTYPE, set };
                    check(&reduction, &format!("{} {purpose:?} {bound} {set:?}", penalty.name()), random);
                }
            }
        }
        Ok(())
    }

    fn assert_same(search: &Search<'_>, found: &Found, want: &Found, what: &str, bits: &[u32]) {
        let same = match (search.purpose, search.rule) {
            (Purpose::Value, _) => {
                (found.share, found.exponent * i32::from(found.share != 0.0)) == (want.share, want.exponent)
            }
            // Which weights are kept.
            (_, Rule::Select) => {
                let kept = |found: &Found| {
                    let (mut first, mut second) = (vec![0.0; bits.len()], vec![0.0; bits.len()]);
                    spread(found.coefficients, true, &mut first, &mut second);
                    let each = bits.iter().zip(first);
                    each.map(|(b, from)| clean(*b, 0.0) & MAGNITUDE >= from.to_bits()).collect::<Vec<bool>>()
                };
                kept(found) == kept(want)
            }
            _ => found.coefficients.map(f32::to_bits) == want.coefficients.map(f32::to_bits),
        };
        assert!(same, "{what} {bits:x?}: {found:?}, not {want:?}");
    }

    fn runs_are_reduced_as_single_groups_are<E: Element>() -> Result<()> {
        every_reduction::<E>(&mut Random(Noise(E::DTYPE.lost_bits().into())), |reduction, what, random| {
            for turn in 0..24 {
                let sizes = [1, 2, 3, 4, 8, 16, 17, 32, LONGEST];
                let size = sizes.get(turn).copied().unwrap_or(1 + random.next() as usize % LONGEST);
                let (kind, groups) = (random.next() as usize % KINDS, 1 + random.next() as usize % 40);
                let bits = weights(kind, size * groups, random);
                let bits: Vec<u32> = bits.iter().map(|b| clean(E::encode(*b).decode(), 0.0)).collect();
                let mut found = vec![Found::default(); groups];
                reduction.runs(size, &bits, &mut found);
                let (mut rows, mut of_all) = (GroupRows::default(), Sums::default());
                for (found, bits) in found.iter().zip(bits.chunks(size)) {
                    let want = reduction.one(Members::Gathered(bits));
                    assert_same(&reduction.search, found, &want, &format!("{what} {kind}"), bits);
                    of_all.add_terms(want.share, want.exponent);
                }
                if reduction.search.purpose == Purpose::Value {
                    let mut sums = Sums::default();
                    reduction.add_runs(size, &bits, &mut rows, &mut sums);
                    assert_eq!(sums, of_all, "{what} {kind} {size}");
                }
            }
        })
    }

    #[test]
    fn runs_are_reduced_as_single_groups() -> Result<()> {
        runs_are_reduced_as_single_groups_are::<f32>()?;
        runs_are_reduced_as_single_groups_are::<f16>()?;
        runs_are_reduced_as_single_groups_are::<bf16>()
    }
    /// Also rows that are not clean, and rows that floats leave open.
    fn rows_are_reduced_by_floats_as_by_integers<E: Element>() -> Result<()> {
        let (known, all) = (Cell::new(0), Cell::new(0));
        every_reduction::<E>(&mut Random(Noise(7 + u64::from(E::DTYPE.lost_bits()))), |reduction, what, random| {
            for len in [1, 15, 16, 33, 65, 200, 1000, BLOCK] {
                let kind = random.next() as usize % KINDS;
                let bits: Vec<u32> = weights(kind, len, random).iter().map(|b| E::encode(*b).decode()).collect();
                let cleaned: Vec<u32> = bits.iter().map(|b| clean(*b, 0.0)).collect();
                let want = (reduction.find.one)(&reduction.group(Members::Gathered(&cleaned)), &reduction.search);
                for bits in [&bits, &cleaned] {
                    assert_same(&reduction.search, &reduction.row(bits), &want, &format!("{what} {kind}"), bits);
                    if reduction.search.purpose == Purpose::Value {
                        let (mut sums, mut of_row) = (Sums::default(), Sums::default());
                        reduction.add_block(len, bits, &mut GroupRows::default(), &mut sums);
                        of_row.add_terms(want.share, want.exponent);
                        assert_eq!(sums, of_row, "{what} {kind} {len}");
                    }
                }
                known.update(|known| known + u32::from(reduction.by_floats(Members::Gathered(&cleaned)).is_some()));
                all.update(|all| all + 1);
            }
        })?;
        assert!(known.get() > all.get() / 2, "{} of {}", known.get(), all.get());
        Ok(())
    }

    #[test]
    fn rows_are_reduced_by_floats() -> Result<()> {
        rows_are_reduced_by_floats_as_by_integers::<f32>()?;
        rows_are_reduced_by_floats_as_by_integers::<f16>()?;
        rows_are_reduced_by_floats_as_by_integers::<bf16>()
    }
}
