//! A plan over the slices of its segments: one task of the pool a span.

use rayon::prelude::*;

use super::Cpu;
use super::groups::OwnNumbers;
use super::pass::{Operands, Pass};
use super::task::Task;
use crate::numeric::accumulator::Sums;
use crate::numeric::element::Element;
use crate::plan::{Plan, Segment, Span};
use crate::report::Partial;

/// How many tasks are made at a time: what they need and give stays in the caches.
const SPANS: usize = 1024;

impl Cpu {
    /// Does an operation with every segment's operands, and sums its weights where `sums` is set: then one partial a
    /// segment, else none.
    pub(super) fn run<E: Element>(
        &self,
        plan: &Plan,
        pass: &Pass<'_>,
        mut operands: Vec<Operands<'_, E>>,
    ) -> Vec<Partial> {
        let mut sums = vec![Sums::default(); if pass.sums { pass.segments.len() } else { 0 }];
        if pass.segments.iter().any(|segment| segment.penalty.rule().is_some()) {
            self.run_groups(plan, pass, &mut operands, &mut sums);
        }
        for stage in &plan.stages {
            self.visit(&stage.spans, pass, None, &mut operands, &mut sums);
        }
        let partial = |(sums, Segment { penalty, dtype, .. }): (Sums, &Segment)| Partial::new(sums, penalty, *dtype);
        sums.into_iter().zip(pass.segments).map(partial).collect()
    }

    /// Visits each weight of these spans. Each takes the front of what is left of its segment's operands, and none where nothing is
    /// left.
    pub(super) fn visit<E: Element>(
        &self,
        spans: &[Span],
        pass: &Pass<'_>,
        own: Option<&OwnNumbers<'_>>,
        operands: &mut [Operands<'_, E>],
        sums: &mut [Sums],
    ) {
        for spans in spans.chunks(SPANS) {
            let tasks = spans.iter().map(|span| (span, operands[span.segment as usize].take(span.len as usize)));
            let tasks: Vec<(&Span, Operands<'_, E>)> = tasks.collect();
            let visit = |(span, operands): (&Span, Operands<'_, E>)| {
                let penalty = &pass.segments[span.segment as usize].penalty;
                let task = Task {
                    set: self.set,
                    pass,
                    loops: &penalty.formula().loops,
                    c: &pass.coefficients[span.segment as usize],
                    own,
                    grouped: penalty.rule().is_some(),
                };
                task.visit(span.start, operands)
            };
            let found: Vec<Option<Sums>> = if tasks.len() == 1 {
                tasks.into_iter().map(visit).collect()
            } else {
                tasks.into_par_iter().map(visit).collect()
            };
            for (span, found) in spans.iter().zip(&found) {
                if let Some(found) = found {
                    sums[span.segment as usize].merge(found);
                }
            }
        }
    }
}
