//! Group penalties over slices: reduce each group, then visit each weight with its group's coefficients.

use rayon::prelude::*;

use super::Cpu;
use super::pass::{Pass, SegmentOperands};
use crate::formula::group::{Found, Group, Members, PARALLEL};
use crate::formula::rule::{Purpose, Rule};
use crate::formula::scalars::Scalars;
use crate::numeric::accumulator::Sums;
use crate::numeric::bits::{INFINITY, MAGNITUDE, flush, threshold};
use crate::numeric::element::Element;
use crate::penalty::groups::Geometry;
use crate::plan::Span;
use crate::plan::operation::{Operation, Part};

/// About how many weights each task of the pool reduces.
const TASK: u64 = 1 << 14;
/// About how many columns are gathered at a time, so that each cache line is read once.
const JOINT: u64 = 16;

/// The coefficients of a segment's groups.
pub(super) struct GroupCoefficients<'a> {
    geometry: &'a Geometry,
    found: &'a [Found],
    rule: Rule,
}

/// The groups' coefficients of some weights; they replace the last two of the segment's.
pub(super) enum OfGroups<'a> {
    /// The same for all of these weights.
    Alike([f32; 2]),
    Each([&'a [f32]; 2]),
}

impl GroupCoefficients<'_> {
    /// The coefficients of the weights from `at` on. They are written to the two slices if they differ.
    pub(super) fn of<'a>(&self, at: u64, [first, second]: [&'a mut [f32]; 2]) -> OfGroups<'a> {
        let len = first.len();
        let mut filled = 0;
        while filled < len {
            let index = at + filled as u64;
            let (group, run) = self.geometry.at(index);
            let run = run.min((len - filled) as u64) as usize;
            let [a, b] = self.found[group as usize].coefficients;
            if self.rule == Rule::Select {
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
        }
        OfGroups::Each([first, second])
    }
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
        let mut found = Vec::new();
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
                    found = self.find((rule, purpose), pass, geometry, read);
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
                    let groups = GroupCoefficients { geometry, found: &found, rule };
                    let pass = Pass { operation, scalars: Scalars::default(), ..*pass };
                    self.visit(spans, &pass, Some(&groups), &mut [operands], sums);
                }
            }
        }
    }

    /// The reduction of each group.
    fn find<E: Element>(
        &self,
        (rule, purpose): (Rule, Purpose),
        pass: &Pass<'_>,
        geometry: &Geometry,
        weights: &[E],
    ) -> Vec<Found> {
        let (loops, coefficients) = (&pass.penalties[0].formula().loops, &pass.coefficients[0]);
        let soft =
            if matches!((rule, purpose), (Rule::Shrink { .. }, Purpose::Prox)) { coefficients.c[0] } else { 0.0 };
        let find = |group: u64, members: Members<'_>| {
            let group_of = Group { members, dtype: E::DTYPE, set: self.set };
            let mut found =
                (loops.find)(&group_of, rule, purpose, &coefficients.c, coefficients.terms.map(f32::to_bits));
            if rule == Rule::Select && found.coefficients[1].to_bits() != u32::MAX {
                let last = geometry.index(group, found.coefficients[1].to_bits().into());
                found.coefficients[1] = f32::from_bits(last as u32);
            }
            found
        };
        if geometry.is_contiguous() && geometry.largest() >= PARALLEL as u64 {
            let size = geometry.largest() as usize;
            let find = |group: u64| {
                let weights = &weights[group as usize * size..][..size];
                find(group, Members::Read(size, &|first, bits| self.clean(&weights[first..], soft, bits)))
            };
            return (0..geometry.count).map(find).collect();
        }
        let across =
            if geometry.lists.is_none() && !geometry.is_contiguous() { geometry.across } else { geometry.count };
        let few = (TASK / geometry.largest().max(1)).clamp(1, across.max(1));
        // How many groups are gathered at once: a task's consecutive groups all together.
        let joint = match &geometry.lists {
            Some(_) => 1,
            None if geometry.is_contiguous() => few,
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
                self.gather(geometry, together.clone(), weights, soft, &mut bits);
                let mut rest = &bits[..];
                for group in together {
                    let (members, others) = rest.split_at(geometry.size(group) as usize);
                    rest = others;
                    found.push(find(group, Members::Gathered(members)));
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
        if geometry.is_contiguous() {
            self.clean(&weights[geometry.index(groups.start, 0) as usize..], soft, bits);
            return;
        }
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
