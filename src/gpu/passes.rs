//! Steps whose one group is spread over ranks: between two passes over this rank's part, the host adds up what all ranks
//! have found.
//!
//! The kernels are those of many workgroups that share a group (`gpu/team/grid.wgsl`): a dispatch for each maximum or sum.
//! The host runs the reduction too, and asks for one after the other. It gets the part's from the partial sums, and
//! writes there those of all parts. So all ranks take the same way, whichever device has their parts.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::device::{self, Gpu};
use super::readback::Recorded;
use super::recorder::{Begun, Recorder, Step};
use super::wait::WaitMode;
use crate::formula::group::elsewhere::find_not_here;
use crate::formula::group::{Found, Search};
use crate::formula::rule::Purpose;
use crate::plan::coefficients::CoefficientRecord;
use crate::plan::operation::Part;
use crate::plan::penalties::Penalties;
use crate::plan::{Plan, Segment};
use crate::transport::{Across, Elsewhere, Transport};
use crate::{Penalty, Result};

/// The words of a maximum or a sum.
const ENTRY: u64 = 16;

impl Recorder {
    /// Runs a step and waits for it. Gives also what the group adds to the term sum, if the step sums.
    pub(super) fn run_part(
        &mut self,
        gpu: &Gpu,
        of: (&Plan, &Penalties),
        step: &Step,
        (transport, whole): (&dyn Transport, u64),
    ) -> Result<(Recorded, Option<Found>)> {
        let begun = self.begin(gpu, of, step)?;
        let (segment, penalty) = (&of.0.segments[0], &of.1.list()[0]);
        let mut encoder = gpu.encoder()?;
        self.clear(&mut encoder, &begun);
        let mut value = None;
        let mut first = 0;
        let order = |turn: &super::dispatch::Turn| self.layout.dispatches[turn.dispatch].order;
        for turns in self.layout.turns.chunk_by(|a, b| order(a) == order(b)) {
            let range = first..first + turns.len();
            first = range.end;
            let Part::Find(purpose) = self.layout.dispatches[turns[0].dispatch].kernel.part else {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                range.for_each(|turn| self.dispatch(&mut pass, &begun, turn));
                continue;
            };
            gpu.submit_so_far(&mut encoder)?;
            let passes = Passes::new(gpu, self, &begun, range)?;
            let across = Across::elsewhere(transport, whole, &passes);
            let found = find(purpose, (segment, penalty), &self.coefficients[0], &across)?;
            match purpose {
                Purpose::Value => value = Some(found),
                _ => passes.write(self.groups.as_ref().map(|groups| &groups.coefficients), 0, &found.coefficients)?,
            }
        }
        let recorded = self.end(gpu, &mut encoder, begun);
        gpu.guarded(|| gpu.queue().submit([encoder.finish()]))?;
        Ok((recorded, value))
    }
}

/// The reduction of a group of which this rank has no weights at hand.
pub(super) fn find(
    purpose: Purpose,
    (segment, penalty): (&Segment, &Penalty),
    coefficients: &CoefficientRecord,
    across: &Across<'_>,
) -> Result<Found> {
    let Some(rule) = penalty.rule() else { return Ok(Found::default()) };
    let value = coefficients.terms.map(f32::to_bits);
    let search = Search { rule, purpose, c: &coefficients.c, value };
    let found = find_not_here(penalty.formula().loops.find, &search, segment.dtype, across);
    across.result().map(|()| found)
}

/// The passes of one reduction.
struct Passes<'a> {
    gpu: &'a Gpu,
    recorder: &'a Recorder,
    begun: &'a Begun,
    turns: Range<usize>,
    /// Where the partial sums of the group begin, in bytes.
    entries: u64,
    staging: wgpu::Buffer,
    next: AtomicUsize,
}

impl<'a> Passes<'a> {
    fn new(gpu: &'a Gpu, recorder: &'a Recorder, begun: &'a Begun, turns: Range<usize>) -> Result<Passes<'a>> {
        let layout = &recorder.layout;
        let first = layout.dispatches[layout.turns[turns.start].dispatch].first;
        let entries = ENTRY + 4 * u64::from(layout.spans.placed[first].places[2]);
        let staging = gpu.staging_buffer(ENTRY)?;
        Ok(Passes { gpu, recorder, begun, turns, entries, staging, next: AtomicUsize::new(0) })
    }

    fn partial_sums(&self) -> Option<&wgpu::Buffer> {
        self.recorder.groups.as_ref()?.partial_sums.as_ref()
    }

    fn write<T: bytemuck::NoUninit>(&self, buffer: Option<&wgpu::Buffer>, offset: u64, words: &[T]) -> Result<()> {
        let buffer = buffer.ok_or_else(device::gone)?;
        self.gpu.guarded(|| self.gpu.queue().write_buffer(buffer, offset, bytemuck::cast_slice(words)))
    }

    fn entry(&self, at: usize) -> u64 {
        self.entries + ENTRY * at as u64
    }
}

impl Elsewhere for Passes<'_> {
    fn next(&self) -> Result<[u32; 4]> {
        let at = self.next.load(Relaxed);
        let sums = self.partial_sums().ok_or_else(device::gone)?;
        let reduce = |encoder: &mut wgpu::CommandEncoder| {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            let turns = self.turns.clone().filter(|turn| self.recorder.layout.turns[*turn].known as usize == at);
            turns.for_each(|turn| self.recorder.dispatch(&mut pass, self.begun, turn));
        };
        let (of, wait) = ((sums, self.entry(at)), WaitMode::Block(Gpu::TIMEOUT));
        let bytes = pollster::block_on(self.gpu.read_after(reduce, of, &self.staging, wait))?;
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(&bytes);
        <[u32; 4]>::try_from(words).map_err(|_| device::gone())
    }

    fn tell(&self, all: [u32; 4]) -> Result<()> {
        let at = self.next.fetch_add(1, Relaxed);
        self.write(self.partial_sums(), self.entry(at), &all)
    }
}
