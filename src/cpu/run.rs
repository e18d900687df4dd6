//! Runs a plan over the slices of its segments: one task of the pool per span.

use rayon::prelude::*;

use super::Cpu;
use super::groups::GroupCoefficients;
use super::pass::{Pass, SegmentOperands, TILES_PER_SPAN};
use super::task::Task;
use crate::numeric::accumulator::Sums;
use crate::numeric::element::Element;
use crate::numeric::tile::TILE;
use crate::plan::{Plan, Span, Stage};

/// Up to this many weights, a pass takes no other thread: what one task of the pool takes.
const ALONE: u64 = TILES_PER_SPAN as u64 * TILE as u64;
/// How many tasks are made at a time: few enough that their inputs and results stay in the caches.
const SPANS: usize = 1024;

impl Cpu {
    /// Runs an operation on the operands of every segment of a stage. Adds to the segments' sums if the pass sums.
    pub(super) fn run<E: Element>(
        &self,
        stage: &Stage,
        pass: &Pass<'_>,
        operands: &mut [SegmentOperands<'_, E>],
        sums: &mut [Sums],
    ) {
        if pass.penalties.iter().any(|penalty| penalty.rule().is_some()) {
            self.run_groups(&stage.spans, pass, operands, sums);
        }
        self.visit(&stage.spans, pass, None, operands, sums);
    }

    /// Runs an operation on the one segment of a pass. Gives its sums if the pass sums. A short tensor takes no list and
    /// no thread.
    pub(super) fn run_one<E: Element>(&self, pass: &Pass<'_>, operands: SegmentOperands<'_, E>) -> Option<Sums> {
        let segment = &pass.segments[0];
        if segment.len <= ALONE && pass.penalties[0].rule().is_none() {
            let task = self.task(pass, 0, None);
            if task.updates_once(&operands) {
                task.update_once(0, operands);
                return None;
            }
            let mut sums = Sums::default();
            task.visit(0, operands, &mut sums);
            return pass.sums.then_some(sums);
        }
        let (plan, mut sums) = (Plan::new(vec![segment.clone()], TILES_PER_SPAN), pass.no_sums());
        if let [stage] = &plan.stages[..] {
            self.run(stage, pass, &mut [operands], &mut sums);
        }
        sums.pop()
    }

    pub(super) fn task<'a>(
        &self,
        pass: &'a Pass<'a>,
        segment: usize,
        groups: Option<&'a GroupCoefficients<'a>>,
    ) -> Task<'a> {
        let penalty = &pass.penalties[segment];
        Task {
            set: self.set,
            pass,
            loops: &penalty.formula().loops,
            c: &pass.coefficients[segment],
            len: pass.segments[segment].len,
            groups,
            grouped: penalty.rule().is_some(),
        }
    }

    /// Visits each weight of these spans. Each span takes the front of what is left of its segment's operands; if
    /// nothing is left, it takes nothing.
    pub(super) fn visit<E: Element>(
        &self,
        spans: &[Span],
        pass: &Pass<'_>,
        groups: Option<&GroupCoefficients<'_>>,
        operands: &mut [SegmentOperands<'_, E>],
        sums: &mut [Sums],
    ) {
        if spans.iter().map(|span| u64::from(span.len)).sum::<u64>() <= ALONE {
            let mut unused = Sums::default();
            for span in spans {
                let at = span.segment as usize;
                let operands = operands[at].take(span.len as usize);
                let sums = sums.get_mut(at).unwrap_or(&mut unused);
                self.task(pass, at, groups).visit(span.start, operands, sums);
            }
            return;
        }
        for spans in spans.chunks(SPANS) {
            let tasks = spans.iter().map(|span| (span, operands[span.segment as usize].take(span.len as usize)));
            let tasks: Vec<(&Span, SegmentOperands<'_, E>)> = tasks.collect();
            let visit = |(span, operands): (&Span, SegmentOperands<'_, E>)| {
                let mut sums = Sums::default();
                self.task(pass, span.segment as usize, groups).visit(span.start, operands, &mut sums);
                pass.sums.then_some(sums)
            };
            let found: Vec<Option<Sums>> = tasks.into_par_iter().map(visit).collect();
            for (span, found) in spans.iter().zip(&found) {
                if let Some(found) = found {
                    sums[span.segment as usize].merge(found);
                }
            }
        }
    }
}
