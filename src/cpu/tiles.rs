//! Sums the tiles of a tensor while a reduction reads them, in any order.

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use super::Cpu;
use super::pass::{Pass, SegmentOperands};
use crate::formula::group::CHUNK;
use crate::numeric::accumulator::Sums;
use crate::numeric::element::Element;
use crate::numeric::tile::TILE;

// A chunk is a tile, so both are read at once.
const _: () = assert!(CHUNK == TILE);

impl Cpu {
    /// Calls `read` with a function. `read` calls that with the first weight of each tile that it reads, from any thread.
    /// The first such call adds the tile to the sums. At the end, we add the tiles that were not read.
    pub(super) fn tile_by_tile<E: Element, R>(
        &self,
        pass: &Pass<'_>,
        weights: &[E],
        sums: &mut Sums,
        read: impl FnOnce(&(dyn Fn(usize) + Sync)) -> R,
    ) -> R {
        let task = self.task(pass, 0, None);
        let visited: Vec<AtomicBool> = weights.chunks(TILE).map(|_| AtomicBool::new(false)).collect();
        // Each thread of the pool has its own, and the calling one may be outside.
        let of_threads: Vec<Mutex<Sums>> = (0..=rayon::current_num_threads()).map(|_| Mutex::default()).collect();
        let visit = |first: usize| {
            if visited[first / TILE].swap(true, Relaxed) {
                return;
            }
            let tile = &weights[first..weights.len().min(first + TILE)];
            let thread = rayon::current_thread_index().map_or(0, |thread| 1 + thread);
            // Nothing that holds the lock panics.
            let mut sums = of_threads[thread].lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            task.visit(first as u64, SegmentOperands::read(tile, &[]), &mut sums);
        };
        let found = read(&visit);
        (0..weights.len()).step_by(TILE).for_each(visit);
        for of_thread in of_threads {
            sums.merge(&of_thread.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()));
        }
        found
    }
}
