//! Group penalties over slices: reduce each group, then visit each weight with its group's coefficients.

use rayon::prelude::*;

use super::Cpu;
use super::pass::{BLOCK, Pass, SegmentOperands};
use crate::formula::group::find::Find;
use crate::formula::group::lanes::{FoundLanes, LANES, LONGEST, Runs};
use crate::formula::group::{Found, Group, Members, PARALLEL, Search};
use crate::formula::rule::{Purpose, Rule};
use crate::formula::scalars::Scalars;
use crate::numeric::accumulator::Sums;
use crate::numeric::bits::{INFINITY, MAGNITUDE, flush, threshold};
use crate::numeric::element::{Dtype, Element};
use crate::numeric::simd::InstructionSet;
use crate::penalty::groups::Geometry;
use crate::plan::Span;
use crate::plan::operation::{Operation, Part};

/// About how many weights each task of the pool reduces.
const TASK: u64 = 1 << 14;
/// About how many columns are gathered at a time, so that each cache line is read once.
const JOINT: u64 = 16;

/// How the groups of a segment are reduced.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// With the block that they are in, while it is in the cache: blocks hold whole groups.
    InBlocks,
    /// All groups before the first weight is visited. The groups are consecutive runs of weights.
    Runs,
    /// One group after the other, each by all threads.
    Large,
    /// All groups before the first weight is visited, from copies of their weights.
    Gathered,
}

impl Way {
    fn of(geometry: &Geometry) -> Way {
        let size = geometry.largest();
        match () {
            () if !geometry.is_contiguous() => Way::Gathered,
            () if size >= PARALLEL as u64 => Way::Large,
            () if (BLOCK as u64).is_multiple_of(size.max(1)) => Way::InBlocks,
            () => Way::Runs,
        }
    }
}

/// The coefficients of a segment's groups.
pub(super) enum GroupCoefficients<'a> {
    /// The reduction is done, and its results are here.
    Found { geometry: &'a Geometry, found: &'a [Found], rule: Rule },
    /// Each block reduces its groups when it is visited.
    InBlocks { reduction: Reduction<'a>, size: usize },
}

/// The groups' coefficients of some weights; they replace the last two of the segment's.
pub(super) enum OfGroups<'a> {
    /// The same for all of these weights.
    Alike([f32; 2]),
    Each([&'a [f32]; 2]),
}

impl GroupCoefficients<'_> {
    /// The coefficients of these weights, which begin at an index and are at most a block. They are written to the two
    /// slices if they differ.
    pub(super) fn of<'a>(&self, at: u64, bits: &[u32], slices: [&'a mut [f32]; 2]) -> OfGroups<'a> {
        match self {
            GroupCoefficients::Found { geometry, found, rule } => of_found(geometry, found, *rule, at, slices),
            GroupCoefficients::InBlocks { reduction, size } => reduction.of_block(*size, bits, slices),
        }
    }
}

fn of_found<'a>(
    geometry: &Geometry,
    found: &[Found],
    rule: Rule,
    at: u64,
    [first, second]: [&'a mut [f32]; 2],
) -> OfGroups<'a> {
    let len = first.len();
    let mut filled = 0;
    let mut next = geometry.at(at);
    while filled < len {
        let index = at + filled as u64;
        let (group, run) = next;
        let run = run.min((len - filled) as u64) as usize;
        let [a, b] = found[group as usize].coefficients;
        if rule == Rule::Select {
            // Among weights of the smallest kept magnitude, only those up to the last kept index are kept.
            for (kept, i) in first[filled..filled + run].iter_mut().zip(index..) {
                *kept = f32::from_bits(a.to_bits() + u32::from(i > b.to_bits().into()));
            }
        } else if run == len {
            return OfGroups::Alike([a, b]);
        } else {
            first[filled..filled + run].fill(a);
            second[filled..filled + run].fill(b);
        }
        filled += run;
        if filled < len {
            // The divisions of `at` take longer than the rest.
            let follows = geometry.is_contiguous();
            next = if follows { (group + 1, geometry.largest()) } else { geometry.at(at + filled as u64) };
        }
    }
    OfGroups::Each([first, second])
}

/// How each group of a segment is reduced.
#[derive(Clone, Copy)]
pub(super) struct Reduction<'a> {
    find: Find,
    search: Search<'a>,
    /// The threshold that the weights of a sparse group are first shrunk by.
    soft: f32,
    dtype: Dtype,
    set: InstructionSet,
}

impl Reduction<'_> {
    /// Reduces one group.
    fn one(&self, members: Members<'_>) -> Found {
        (self.find.one)(&Group { members, dtype: self.dtype, set: self.set }, &self.search)
    }

    /// Reduces consecutive runs of weights, given as cleaned bits.
    fn runs(&self, size: usize, bits: &[u32], found: &mut [Found]) {
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

    /// The coefficients of a block's weights, which are whole groups.
    fn of_block<'a>(&self, size: usize, bits: &[u32], [first, second]: [&'a mut [f32]; 2]) -> OfGroups<'a> {
        let mut cleaned = [0; BLOCK];
        let cleaned = &mut cleaned[..bits.len()];
        let (set, soft) = (self.set, self.soft);
        set.run(
            #[inline(always)]
            || cleaned.iter_mut().zip(bits).for_each(|(cleaned, bits)| *cleaned = clean(*bits, soft)),
        );
        let select = self.search.rule == Rule::Select;
        if self.in_lanes(size) {
            let mut found = [FoundLanes::NONE; AT_ONCE];
            let len = size * LANES * AT_ONCE;
            let slices = first.chunks_mut(len).zip(second.chunks_mut(len));
            for (bits, (first, second)) in cleaned.chunks(len).zip(slices) {
                self.lanes(size, bits, &mut found);
                set.run(
                    #[inline(always)]
                    || spread_lanes(&found, select, size, first, second),
                );
            }
        } else {
            let slices = first.chunks_mut(size).zip(second.chunks_mut(size));
            for (bits, (first, second)) in cleaned.chunks(size).zip(slices) {
                let found = self.one(Members::Gathered(bits));
                if bits.len() == cleaned.len() && !select {
                    return OfGroups::Alike(found.coefficients);
                }
                spread(found.coefficients, select, first, second);
            }
        }
        OfGroups::Each([first, second])
    }
}

/// How many times `LANES` groups are reduced before their weights get their coefficients.
const AT_ONCE: usize = 4;

/// Gives each weight of a group its coefficients.
#[inline(always)]
fn spread([a, b]: [f32; 2], select: bool, first: &mut [f32], second: &mut [f32]) {
    if select {
        // Among weights of the smallest kept magnitude, only those up to the last kept one are kept.
        for (i, kept) in (0..).zip(first) {
            *kept = f32::from_bits(a.to_bits() + u32::from(i > b.to_bits()));
        }
    } else {
        first.fill(a);
        second.fill(b);
    }
}

/// Gives the weights of many short groups their coefficients. A known size lets the compiler unroll the loops.
#[inline(always)]
fn spread_lanes(found: &[FoundLanes], select: bool, size: usize, first: &mut [f32], second: &mut [f32]) {
    match size {
        4 => spread_of::<4>(found, select, first, second),
        8 => spread_of::<8>(found, select, first, second),
        16 => spread_of::<16>(found, select, first, second),
        32 => spread_of::<32>(found, select, first, second),
        _ => {
            let groups = first.chunks_mut(size).zip(second.chunks_mut(size)).enumerate();
            for (group, (first, second)) in groups {
                spread(coefficients(found, group), select, first, second);
            }
        }
    }
}

/// Gives the weights of groups of N their coefficients.
#[inline(always)]
fn spread_of<const N: usize>(found: &[FoundLanes], select: bool, first: &mut [f32], second: &mut [f32]) {
    let groups = first.as_chunks_mut::<N>().0.iter_mut().zip(second.as_chunks_mut::<N>().0).enumerate();
    for (group, (first, second)) in groups {
        spread(coefficients(found, group), select, first, second);
    }
}

#[inline(always)]
fn coefficients(found: &[FoundLanes], group: usize) -> [f32; 2] {
    let [first, second] = &found[group / LANES].coefficients;
    [first[group % LANES], second[group % LANES]]
}

impl Cpu {
    /// Runs an operation on the segments with groups, and uses up their operands.
    pub(super) fn run_groups<E: Element>(
        &self,
        spans: &[Span],
        pass: &Pass<'_>,
        operands: &mut [SegmentOperands<'_, E>],
        sums: &mut [Sums],
    ) {
        for spans in spans.chunk_by(|a, b| a.segment == b.segment) {
            let at = spans[0].segment as usize;
            let (segment, penalty) = (&pass.segments[at], &pass.penalties[at]);
            // Coverage of the segment by the groups was checked before.
            let (Some(rule), Ok(Some(geometry))) = (penalty.rule(), penalty.geometry(segment.len)) else { continue };
            let operands = operands[at].take(segment.len as usize);
            let sums = if pass.sums { &mut sums[at..=at] } else { &mut [] };
            let alone = Pass {
                segments: &pass.segments[at..=at],
                penalties: &pass.penalties[at..=at],
                coefficients: &pass.coefficients[at..=at],
                ..*pass
            };
            let spans: Vec<Span> = spans.iter().map(|span| Span { segment: 0, ..*span }).collect();
            self.run_segment(&spans, &alone, (rule, &geometry), operands, sums);
        }
    }

    /// Runs the operation on the one segment of a pass.
    fn run_segment<E: Element>(
        &self,
        spans: &[Span],
        pass: &Pass<'_>,
        (rule, geometry): (Rule, &Geometry),
        mut operands: SegmentOperands<'_, E>,
        sums: &mut [Sums],
    ) {
        let way = Way::of(geometry);
        let mut found = Vec::new();
        let mut in_blocks = None;
        for part in pass.operation.parts(pass.sums) {
            match part {
                Part::Each => {
                    let evaluates = pass.operation == Operation::Evaluate;
                    let operands = &mut [operands.reborrow()];
                    self.visit(spans, &Pass { sums: evaluates, ..*pass }, None, operands, sums);
                }
                Part::Find(purpose) => {
                    let read = match pass.operation {
                        Operation::Evaluate | Operation::Gradient | Operation::AddGradient => operands.source,
                        Operation::Prox if purpose == Purpose::Prox && !operands.source.is_empty() => operands.source,
                        _ => &*operands.written[0],
                    };
                    let reduction = self.reduction::<E>((rule, purpose), pass);
                    if way == Way::InBlocks && purpose != Purpose::Value {
                        in_blocks = Some(GroupCoefficients::InBlocks { reduction, size: geometry.largest() as usize });
                        continue;
                    }
                    found = self.find(way, &reduction, geometry, read);
                    if let (Purpose::Value, [sums]) = (purpose, &mut *sums) {
                        found.iter().for_each(|f| sums.add_terms(f.share, f.exponent));
                    }
                }
                Part::Apply => {
                    let operation = pass.operation.applied();
                    let mut operands = operands.reborrow();
                    if operation != pass.operation {
                        operands.source = &[];
                    }
                    let groups = GroupCoefficients::Found { geometry, found: &found, rule };
                    let groups = in_blocks.as_ref().unwrap_or(&groups);
                    let pass = Pass { operation, scalars: Scalars::default(), ..*pass };
                    self.visit(spans, &pass, Some(groups), &mut [operands], sums);
                }
            }
        }
    }

    fn reduction<'a, E: Element>(&self, (rule, purpose): (Rule, Purpose), pass: &'a Pass<'_>) -> Reduction<'a> {
        let coefficients = &pass.coefficients[0];
        let (c, value) = (&coefficients.c, coefficients.terms.map(f32::to_bits));
        Reduction {
            find: pass.penalties[0].formula().loops.find,
            search: Search { rule, purpose, c, value },
            soft: if matches!((rule, purpose), (Rule::Shrink { .. }, Purpose::Prox)) { c[0] } else { 0.0 },
            dtype: E::DTYPE,
            set: self.set,
        }
    }

    /// The reduction of each group.
    fn find<E: Element>(&self, way: Way, reduction: &Reduction<'_>, geometry: &Geometry, weights: &[E]) -> Vec<Found> {
        let size = geometry.largest() as usize;
        let mut found = match way {
            Way::Large => {
                let find = |weights: &[E]| {
                    let read = |first: usize, bits: &mut [u32]| self.clean(&weights[first..], reduction.soft, bits);
                    reduction.one(Members::Read(size, &read))
                };
                weights.chunks(size).map(find).collect()
            }
            Way::Runs | Way::InBlocks => self.find_runs(reduction, size, weights),
            Way::Gathered => self.find_gathered(reduction, geometry, weights),
        };
        if reduction.search.rule == Rule::Select && reduction.search.purpose != Purpose::Value {
            let members = (0..).zip(&mut found).map(|(group, found)| (group, &mut found.coefficients[1]));
            for (group, last) in members.filter(|(_, last)| last.to_bits() != u32::MAX) {
                *last = f32::from_bits(geometry.index(group, last.to_bits().into()) as u32);
            }
        }
        found
    }

    /// The reduction of runs.
    fn find_runs<E: Element>(&self, reduction: &Reduction<'_>, size: usize, weights: &[E]) -> Vec<Found> {
        let at_once = (BLOCK / size).max(1);
        let per_task = (TASK as usize / size).max(1).next_multiple_of(at_once);
        let mut found = vec![Found::default(); weights.len() / size];
        let tasks = weights.par_chunks(per_task * size).zip(found.par_chunks_mut(per_task));
        tasks.for_each(|(weights, found)| {
            let mut bits = vec![0; (at_once * size).min(weights.len())];
            for (weights, found) in weights.chunks(at_once * size).zip(found.chunks_mut(at_once)) {
                let bits = &mut bits[..weights.len()];
                self.clean(weights, reduction.soft, bits);
                reduction.runs(size, bits, found);
            }
        });
        found
    }

    /// The reduction of groups whose weights are not consecutive.
    fn find_gathered<E: Element>(&self, reduction: &Reduction<'_>, geometry: &Geometry, weights: &[E]) -> Vec<Found> {
        let across = if geometry.lists.is_none() { geometry.across } else { geometry.count };
        let few = (TASK / geometry.largest().max(1)).clamp(1, across.max(1));
        // How many groups are gathered at once: a task's consecutive groups all together.
        let joint = match &geometry.lists {
            Some(_) => 1,
            None => (JOINT / geometry.width).clamp(1, across.max(1)),
        };
        let per_task = few.next_multiple_of(joint);
        // The groups of one task lie side by side.
        let tasks = (0..geometry.count.div_ceil(across.max(1))).flat_map(|row| {
            let end = ((row + 1) * across).min(geometry.count);
            (row * across..end).step_by(per_task as usize).map(move |first| first..(first + per_task).min(end))
        });
        let tasks: Vec<std::ops::Range<u64>> = tasks.collect();
        let run = |groups: std::ops::Range<u64>| {
            let mut bits = Vec::new();
            let mut found = Vec::with_capacity((groups.end - groups.start) as usize);
            for first in groups.clone().step_by(joint as usize) {
                let together = first..(first + joint).min(groups.end);
                self.gather(geometry, together.clone(), weights, reduction.soft, &mut bits);
                let mut rest = &bits[..];
                for group in together {
                    let (members, others) = rest.split_at(geometry.size(group) as usize);
                    rest = others;
                    found.push(reduction.one(Members::Gathered(members)));
                }
            }
            found
        };
        let found: Vec<Vec<Found>> = tasks.into_par_iter().map(run).collect();
        found.concat()
    }

    /// The bits of these groups' weights, one group after the other: thresholded, with +0 for non-finite weights.
    fn gather<E: Element>(
        &self,
        geometry: &Geometry,
        groups: std::ops::Range<u64>,
        weights: &[E],
        soft: f32,
        bits: &mut Vec<u32>,
    ) {
        bits.clear();
        if geometry.lists.is_some() {
            for group in groups {
                let members = (0..geometry.size(group)).map(|member| &weights[geometry.index(group, member) as usize]);
                bits.extend(members.map(|weight| clean(weight.decode(), soft)));
            }
            return;
        }
        let size = geometry.largest() as usize;
        bits.resize(size * (groups.end - groups.start) as usize, 0);
        let width = geometry.width as usize;
        for row in 0..geometry.height {
            for (at, group) in groups.clone().enumerate() {
                let from = geometry.index(group, row * geometry.width) as usize;
                let to = at * size + row as usize * width;
                for (bits, weight) in bits[to..to + width].iter_mut().zip(&weights[from..from + width]) {
                    *bits = clean(weight.decode(), soft);
                }
            }
        }
    }

    /// Fills `bits` with the cleaned bits of the first weights.
    fn clean<E: Element>(&self, weights: &[E], soft: f32, bits: &mut [u32]) {
        self.set.run(
            #[inline(always)]
            || bits.iter_mut().zip(weights).for_each(|(bits, weight)| *bits = clean(weight.decode(), soft)),
        );
    }
}

/// The bits of a weight, in the form that a group's sums take.
#[inline(always)]
fn clean(bits: u32, soft: f32) -> u32 {
    let v = flush(f32::from_bits(if bits & MAGNITUDE < INFINITY { bits } else { 0 }));
    flush(threshold(v, soft)).to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Name, Segment};
    use crate::{Groups, Penalty, Result};
    use half::{bf16, f16};

    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (self.0 ^ (self.0 >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16
        }

        /// Between −1 and 1.
        fn uniform(&mut self) -> f32 {
            (self.next() % (1 << 25)) as f32 / (1 << 24) as f32 - 1.0
        }
    }

    /// Weights of one kind: ordinary ones, ties, zeros, any bits, tiny ones, huge ones, or one of another scale than
    /// the rest.
    fn weights(kind: usize, len: usize, random: &mut Random) -> Vec<u32> {
        let scale = [1.0, 1e-3, 100.0, 1e-36, 3e38][random.next() as usize % 5];
        let weight = |random: &mut Random| match kind {
            0 => random.uniform().to_bits(),
            1 => ((random.next() % 5) as f32 - 2.0).to_bits(),
            2 => [0.0, 0.0, -0.0, random.uniform()][random.next() as usize % 4].to_bits(),
            3 => random.next() as u32,
            4 => random.uniform().powi(9).to_bits(),
            5 => (random.uniform() * scale).to_bits(),
            6 => [f32::NAN, f32::INFINITY, -1.0, random.uniform()][random.next() as usize % 4].to_bits(),
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

    fn runs_are_reduced_as_single_groups_are<E: Element>() -> Result<()> {
        let segment = Segment { name: Name::Alone, len: 1 << 10, dtype: E::DTYPE };
        let mut random = Random(E::DTYPE.lost_bits().into());
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
                    for turn in 0..24 {
                        let sizes = [1, 2, 3, 4, 8, 16, 17, 32, LONGEST];
                        let size = sizes.get(turn).copied().unwrap_or(1 + random.next() as usize % LONGEST);
                        let (kind, groups) = (random.next() as usize % 8, 1 + random.next() as usize % 40);
                        let bits = weights(kind, size * groups, &mut random);
                        let bits: Vec<u32> = bits.iter().map(|b| clean(E::encode(*b).decode(), 0.0)).collect();
                        let mut found = vec![Found::default(); groups];
                        reduction.runs(size, &bits, &mut found);
                        for (found, bits) in found.iter().zip(bits.chunks(size)) {
                            let want = reduction.one(Members::Gathered(bits));
                            let same = if purpose == Purpose::Value {
                                (found.share, found.exponent * i32::from(found.share != 0.0))
                                    == (want.share, want.exponent)
                            } else {
                                found.coefficients.map(f32::to_bits) == want.coefficients.map(f32::to_bits)
                            };
                            assert!(
                                same,
                                "{} {purpose:?} {bound} {set:?} {kind} {bits:x?}: {found:?}, not {want:?}",
                                penalty.name()
                            );
                        }
                    }
                }
            }
        }
        Ok(())
    }

    #[test]
    fn runs_are_reduced_as_single_groups() -> Result<()> {
        runs_are_reduced_as_single_groups_are::<f32>()?;
        runs_are_reduced_as_single_groups_are::<f16>()?;
        runs_are_reduced_as_single_groups_are::<bf16>()
    }
}
