//! Group penalties over slices: reduce each group, then visit each weight with its group's coefficients.

mod large;
mod reduction;

use rayon::prelude::*;

use large::Large;
pub(super) use reduction::{GroupRows, OfGroups};
use reduction::{Reduction, clean};

use super::Cpu;
use super::pass::{BLOCK, Pass, SegmentOperands};
use crate::formula::group::{Found, Members, PARALLEL, Search};
use crate::formula::rule::{Purpose, Rule};
use crate::formula::scalars::Scalars;
use crate::numeric::accumulator::Sums;
use crate::numeric::element::Element;
use crate::penalty::groups::{Geometry, Groups};
use crate::plan::operation::{Operation, Part};
use crate::plan::{Plan, Span};
use crate::transport::Across;

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

impl GroupCoefficients<'_> {
    /// The coefficients of these weights, which begin at an index and are at most a block.
    pub(super) fn of<'a>(&self, at: u64, bits: &[u32], rows: &'a mut GroupRows) -> OfGroups<'a> {
        match self {
            GroupCoefficients::Found { geometry, found, rule } => {
                of_found(geometry, found, *rule, at, rows.coefficients(bits.len()))
            }
            GroupCoefficients::InBlocks { reduction, size } => reduction.of_block(*size, bits, rows),
        }
    }

    /// Adds the shares of a block's groups to the term sum.
    pub(super) fn add_shares(&self, bits: &[u32], rows: &mut GroupRows, sums: &mut Sums) {
        if let GroupCoefficients::InBlocks { reduction, size } = self {
            reduction.add_block(*size, bits, rows, sums);
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
            let last = u64::from(b.to_bits());
            let kept = |i: u64| f32::from_bits(a.to_bits() + u32::from(i > last));
            if run == len && (index + len as u64 <= last || index > last) {
                return OfGroups::Alike([kept(index), b]);
            }
            for (of_weight, i) in first[filled..filled + run].iter_mut().zip(index..) {
                *of_weight = kept(i);
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
            self.run_segment_at(at, spans.iter().copied(), pass, operands, sums, None);
        }
    }

    /// Runs it on one segment that is one group, of which several ranks have parts. This rank's may be empty.
    pub(super) fn run_group_across<E: Element>(
        &self,
        plan: &Plan,
        pass: &Pass<'_>,
        at: usize,
        operands: &mut [SegmentOperands<'_, E>],
        sums: &mut [Sums],
        across: &Across<'_>,
    ) {
        let spans = plan.stages.iter().flat_map(|stage| &stage.spans).filter(|span| span.segment as usize == at);
        self.run_segment_at(at, spans.copied(), pass, operands, sums, Some(across));
    }

    /// Runs it on one segment of several.
    fn run_segment_at<E: Element>(
        &self,
        at: usize,
        spans: impl Iterator<Item = Span>,
        pass: &Pass<'_>,
        operands: &mut [SegmentOperands<'_, E>],
        sums: &mut [Sums],
        across: Option<&Across<'_>>,
    ) {
        let (segment, penalty) = (&pass.segments[at], &pass.penalties[at]);
        // Coverage of the segment by the groups was checked before.
        let geometry = match across {
            // The group may be a run or a row that is longer than this rank's part.
            Some(_) => Groups::whole().geometry(segment.len).map(Some),
            None => penalty.geometry(segment.len),
        };
        let (Some(rule), Ok(Some(geometry))) = (penalty.rule(), geometry) else { return };
        let operands = operands[at].take(segment.len as usize);
        let sums = if pass.sums { &mut sums[at..=at] } else { &mut [] };
        let alone = Pass {
            segments: &pass.segments[at..=at],
            penalties: &pass.penalties[at..=at],
            coefficients: &pass.coefficients[at..=at],
            ..*pass
        };
        let spans: Vec<Span> = spans.map(|span| Span { segment: 0, ..span }).collect();
        self.run_segment(&spans, &alone, (rule, &geometry), operands, sums, across);
    }

    /// Runs the operation on the one segment of a pass.
    fn run_segment<E: Element>(
        &self,
        spans: &[Span],
        pass: &Pass<'_>,
        (rule, geometry): (Rule, &Geometry),
        mut operands: SegmentOperands<'_, E>,
        sums: &mut [Sums],
        across: Option<&Across<'_>>,
    ) {
        let way = if across.is_some() { Way::Large } else { Way::of(geometry) };
        // The reduction of a whole tensor takes its weights tile by tile, so it sums each tile too.
        let whole = way == Way::Large && geometry.count == 1 && across.is_none();
        let joined = pass.operation == Operation::Evaluate && pass.sums && whole;
        // So does that of blocks, for the value of any result.
        let in_blocks = pass.sums && way == Way::InBlocks;
        let mut found = Vec::new();
        let mut of_blocks = None;
        for part in pass.operation.parts(pass.sums) {
            match part {
                Part::Each if joined => {}
                Part::Each => {
                    let evaluates = pass.operation == Operation::Evaluate;
                    if evaluates && in_blocks {
                        continue;
                    }
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
                    if let Some(across) = across {
                        found = vec![self.find_across(&reduction, read, across)];
                        // What all ranks have found together counts once.
                        if let (Purpose::Value, [sums], 0) = (purpose, &mut *sums, across.transport.rank()) {
                            found.iter().for_each(|f| sums.add_terms(f.share, f.exponent));
                        }
                        continue;
                    }
                    let size = geometry.largest() as usize;
                    match (way, purpose, &mut *sums) {
                        (Way::InBlocks, Purpose::Value, _) => {
                            let groups = GroupCoefficients::InBlocks { reduction, size };
                            let pass = Pass { operation: Operation::Evaluate, ..*pass };
                            let operands = &mut [SegmentOperands::read(read, &[])];
                            self.visit(spans, &pass, Some(&groups), operands, sums);
                        }
                        (Way::InBlocks, ..) => of_blocks = Some(GroupCoefficients::InBlocks { reduction, size }),
                        (Way::Runs, Purpose::Value, [sums]) => sums.merge(&self.shares_of_runs(&reduction, size, read)),
                        (_, Purpose::Value, [sums]) => {
                            let found = if joined {
                                self.tile_by_tile(pass, read, sums, |visit| {
                                    self.find(way, &reduction, geometry, read, Some(visit))
                                })
                            } else {
                                self.find(way, &reduction, geometry, read, None)
                            };
                            found.iter().for_each(|f| sums.add_terms(f.share, f.exponent));
                        }
                        _ => found = self.find(way, &reduction, geometry, read, None),
                    }
                }
                // Nothing was found.
                Part::Apply if across.is_some_and(|across| across.result().is_err()) => return,
                Part::Apply => {
                    let operation = pass.operation.applied();
                    let mut operands = operands.reborrow();
                    if operation != pass.operation {
                        operands.source = &[];
                    }
                    let groups = GroupCoefficients::Found { geometry, found: &found, rule };
                    let groups = of_blocks.as_ref().unwrap_or(&groups);
                    let pass = Pass { operation, sums: pass.sums && !in_blocks, scalars: Scalars::default(), ..*pass };
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

    /// The reduction of each group. `visit` is told what is read, if a group is large.
    fn find<E: Element>(
        &self,
        way: Way,
        reduction: &Reduction<'_>,
        geometry: &Geometry,
        weights: &[E],
        visit: Option<&(dyn Fn(usize) + Sync)>,
    ) -> Vec<Found> {
        let size = geometry.largest() as usize;
        let mut found = match way {
            Way::Large => {
                let groups =
                    weights.chunks(size).map(|weights| Large { weights, soft: reduction.soft, cpu: self, visit });
                groups.map(|weights| reduction.one(Members::Large(&weights))).collect()
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

    /// The term sum of runs.
    fn shares_of_runs<E: Element>(&self, reduction: &Reduction<'_>, size: usize, weights: &[E]) -> Sums {
        let at_once = (BLOCK / size).max(1) * size;
        let tasks = weights.par_chunks((TASK as usize / at_once).max(1) * at_once).map(|weights| {
            let (mut bits, mut rows, mut sums) = (vec![0; at_once], GroupRows::default(), Sums::default());
            for weights in weights.chunks(at_once) {
                let bits = &mut bits[..weights.len()];
                self.clean(weights, reduction.soft, bits);
                reduction.add_runs(size, bits, &mut rows, &mut sums);
            }
            sums
        });
        let mut all = Sums::default();
        tasks.collect::<Vec<Sums>>().iter().for_each(|sums| all.merge(sums));
        all
    }

    /// The reduction of a group of which this rank has some weights.
    fn find_across<E: Element>(&self, reduction: &Reduction<'_>, weights: &[E], across: &Across<'_>) -> Found {
        let here = Large { weights, soft: reduction.soft, cpu: self, visit: None };
        reduction.exact(Members::Shard(&here, across))
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
