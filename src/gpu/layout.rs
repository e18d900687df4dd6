//! Turns a plan and the places of its operands into dispatches, each of one kernel and one window of its buffers, and
//! orders them.

use super::dispatch::{Dispatch, Turn};
use super::element_spans::{Placed, Spans, Turns};
use super::kernel::{Access, Bindings, Kernel, Subject};
use super::placement::{Limits, Placement, aligned};
use super::rows;
use crate::plan::Plan;
use crate::plan::operation::{Operation, Part};
use crate::{Penalty, Result};

/// The dispatches of a plan, and each span's rows in the table. Laying out again allocates only to grow.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) spans: Spans,
    pub(super) dispatches: Vec<Dispatch>,
    /// The order in which they run.
    pub(super) turns: Vec<Turn>,
    /// The rows of each span, then those of each geometry.
    pub(super) rows: Vec<[[u32; 4]; 2]>,
    /// Whether each segment is one span, which alone writes its results.
    pub(super) owned: bool,
}

impl Layout {
    pub(super) fn new(operation: Operation) -> Layout {
        Layout {
            spans: Spans::new(operation),
            dispatches: Vec::new(),
            turns: Vec::new(),
            rows: Vec::new(),
            owned: false,
        }
    }

    /// Joins the plan's spans into as few dispatches as kernels, buffers and the limit on bindings allow. `rows_before`
    /// is how many rows the table has before the spans'.
    ///
    /// # Errors
    ///
    /// [`Error::Groups`] if groups do not cover their tensor, [`Error::NoMetricProx`] if a penalty has no prox in the
    /// step's metric, [`Error::Limit`] if a tensor whose groups are not runs does not fit one binding. Each names its
    /// tensor.
    pub(super) fn lay_out(
        &mut self,
        (plan, penalties): (&Plan, &[Penalty]),
        sums: bool,
        placement: &Placement<'_>,
        limits: Limits,
        rows_before: usize,
    ) -> Result<()> {
        self.place((plan, penalties), sums, placement, limits)?;
        self.dispatches.clear();
        for (at, p) in self.spans.placed.iter().enumerate() {
            let needed = p.needed();
            let joined = self.dispatches.last_mut().and_then(|dispatch| {
                let buffers = |segment| placement.buffers(segment, p.roles);
                let same = dispatch.order == p.order
                    && dispatch.kernel == p.kernel
                    && dispatch.turns == p.turns
                    && dispatch.roles == p.roles
                    && buffers(dispatch.segment) == buffers(p.span.segment);
                let mut windows = dispatch.windows;
                for (window, needed) in windows.iter_mut().zip(needed) {
                    *window = aligned(window.union(needed), limits);
                }
                (same && windows.iter().all(|w| w.end - w.start <= limits.binding)).then_some((dispatch, windows))
            });
            match joined {
                Some((dispatch, windows)) => {
                    dispatch.spans += 1;
                    dispatch.windows = windows;
                }
                None => self.dispatches.push(Dispatch {
                    order: p.order,
                    kernel: p.kernel,
                    turns: p.turns,
                    roles: p.roles,
                    segment: p.span.segment,
                    first: at,
                    spans: 1,
                    windows: needed.map(|window| aligned(window, limits)),
                }),
            }
        }
        let spans = &self.spans;
        let none_is_empty = plan.segments.iter().all(|segment| segment.len > 0);
        self.owned = none_is_empty && spans.groups == 0 && spans.placed.len() == plan.segments.len();
        rows::write(&self.spans, &self.dispatches, rows_before, &mut self.rows);
        self.take_turns();
        Ok(())
    }

    /// Takes every dispatch once, except those of sums over groups: these run once for each sum, turn by turn.
    fn take_turns(&mut self) {
        self.turns.clear();
        let mut first = 0;
        for alike in self.dispatches.chunk_by(|a, b| a.order == b.order) {
            let dispatches = first..first + alike.len();
            first = dispatches.end;
            let most = |dispatch: &Dispatch| if let Turns::Each(sums) = dispatch.turns { sums } else { 1 };
            for known in 0..alike.iter().map(most).max().unwrap_or(0) {
                for (dispatch, d) in dispatches.clone().zip(alike) {
                    match d.turns {
                        Turns::Once if known == 0 => self.turns.push(Turn { dispatch, known: 0, last: true }),
                        Turns::Each(sums) if known < sums => self.turns.push(Turn { dispatch, known, last: false }),
                        Turns::After(sums) if known == 0 => {
                            self.turns.push(Turn { dispatch, known: sums, last: true });
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    /// Chooses each span's kernel from where its operands lie, and sorts spans of one kernel and one window side by
    /// side.
    fn place(
        &mut self,
        (plan, penalties): (&Plan, &[Penalty]),
        sums: bool,
        placement: &Placement<'_>,
        limits: Limits,
    ) -> Result<()> {
        self.spans.clear();
        let operation = self.spans.operation;
        for stage in &plan.stages {
            for spans in stage.spans.chunk_by(|a, b| a.segment == b.segment) {
                let at = spans[0].segment as usize;
                let (segment, penalty) = (&plan.segments[at], &penalties[at]);
                let kernel = Kernel {
                    operation,
                    subject: Subject::Formula(penalty.formula()),
                    part: Part::Each,
                    groups: None,
                    sums,
                    dtype: stage.dtype,
                    access: Access::Scalar,
                    bindings: Bindings::default(),
                };
                let geometry = segment.about(penalty.geometry(self.spans.whole.unwrap_or(segment.len)))?;
                // Otherwise a kernel might not compile: a custom penalty's WGSL may lack what the operation calls.
                segment.about(operation.admits_metric(penalty))?;
                match geometry {
                    // If values follow from the statistics, one kernel evaluates all such penalties.
                    None if operation == Operation::Evaluate && !penalty.sums_terms() => {
                        let kernel = Kernel { subject: Subject::Statistics, ..kernel };
                        spans.iter().for_each(|span| self.spans.put(placement, limits, (0, kernel), *span));
                    }
                    None => spans.iter().for_each(|span| self.spans.put(placement, limits, (0, kernel), *span)),
                    Some(geometry) => {
                        self.spans.put_groups(placement, limits, kernel, (segment, penalty, spans), &geometry)?
                    }
                }
            }
        }
        self.spans.placed.sort_unstable_by(|a, b| {
            let by_kernel = (a.order, a.kernel, a.turns, a.roles).cmp(&(b.order, b.kernel, b.turns, b.roles));
            let buffers = |p: &Placed| placement.buffers(p.span.segment, p.roles);
            let by_buffers = || buffers(a).cmp(&buffers(b));
            let by_place = || (a.starts, a.span.segment, a.span.start).cmp(&(b.starts, b.span.segment, b.span.start));
            by_kernel.then_with(by_buffers).then_with(by_place)
        });
        Ok(())
    }
}
