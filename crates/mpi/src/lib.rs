//! Regularization penalties over weights that are spread over ranks: on each rank's CPU or GPU, with the bits of one
//! rank that holds all of them, however many ranks there are.
//!
//! A [`Layout`] says which part of each tensor each rank has. [`Layout::set`] compares it on all ranks and makes a
//! [`HostSet`](penalty::HostSet) of this rank's parts. The calls on that set give reports of all weights: values and
//! statistics by two messages a step, 388 bytes for each tensor and 8 more. Separable penalties and optimizer steps need
//! no other.
//!
//! ```
//! use std::sync::Arc;
//! use std::thread;
//! use std::time::Duration;
//!
//! use penalty::{Cpu, Dtype, HostSet, Parameter, Penalty};
//! use penalty_mpi::{Layout, Tensor, Threads};
//!
//! let (l1, weights) = (Penalty::l1(0.5)?, vec![0.75f32; 10_000]);
//! let layout = Layout::even(vec![Tensor::new("weight", 10_000, Dtype::F32, l1.clone())], 2)?;
//! let values = thread::scope(|scope| {
//!     let ranks = Threads::connect(2, Duration::from_secs(30)).into_iter().map(|rank| {
//!         let (layout, weights) = (&layout, &weights);
//!         scope.spawn(move || {
//!             let here = layout.part(0, penalty::exact::Transport::rank(&rank));
//!             let mut part = weights[here.start as usize..here.end as usize].to_vec();
//!             let set = layout.set(Cpu::new(), Arc::new(rank))?;
//!             let reports = set.prox_and_evaluate_in_place(&mut [(&mut part[..]).into()], 1.0)?;
//!             Ok(reports.total.value)
//!         })
//!     });
//!     let ranks: Vec<_> = ranks.collect();
//!     ranks.into_iter().map(|rank| rank.join().expect("no rank panics")).collect::<penalty::Result<Vec<f64>>>()
//! })?;
//!
//! let (one, mut whole) = (HostSet::new(Cpu::new(), vec![Parameter::new("weight", l1)]), weights);
//! let expected = one.prox_and_evaluate_in_place(&mut [(&mut whole[..]).into()], 1.0)?.total.value;
//! assert_eq!(values, [expected; 2]);
//! # Ok::<(), penalty::Error>(())
//! ```
//!
//! A rank whose parts are on a GPU has the same calls on a [`SetAcross`](penalty::gpu::SetAcross), which `Layout::set_on`
//! makes, with the feature `gpu`. Whoever has partials from elsewhere gives them to
//! [`Reports::across`](penalty::Reports::across), which adds up the same two messages.
//!
//! # Transports
//!
//! [`Threads`] connects threads of one process, for tests. `Mpi`, with the feature `mpi`, connects the processes that
//! `mpirun` starts, and `Nccl`, with the feature `nccl`, those whose GPUs NCCL connects. Any library that adds up 64-bit
//! integers can be another: implement [`Transport`](penalty::exact::Transport), whose documentation says what it must
//! promise. `docs/ranks.md` in the repository has one over `torch.distributed`, and a model of the cost up to 1024 ranks.
//!
//! # Errors
//!
//! Ranks that disagree on the layout, or of which one is late or lost, all get
//! [`Error::Ranks`](penalty::Error::Ranks) within the time that the transport was made with. After that the transport
//! gives only errors, since its messages no longer match.

mod layout;
#[cfg(feature = "mpi")]
mod mpi;
#[cfg(feature = "nccl")]
mod nccl;
mod threads;
#[cfg(any(feature = "mpi", feature = "nccl"))]
mod wait;

#[cfg(feature = "mpi")]
pub use crate::mpi::Mpi;
#[cfg(feature = "nccl")]
pub use crate::nccl::Nccl;
pub use layout::{Layout, Tensor};
pub use threads::Threads;
