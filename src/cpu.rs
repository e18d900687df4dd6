//! The CPU: runs a plan over slices, on the calling thread and its rayon pool.

mod budget;
mod group_budget;
mod group_norms;
pub(crate) mod group_search;
mod groups;
mod lambda;
mod pass;
mod run;
mod scaled;
pub(crate) mod search;
pub(crate) mod search_f64;
pub(crate) mod set;
mod slices;
mod task;
mod tiles;

pub use crate::numeric::simd::InstructionSet;
use crate::{Error, Result};

/// Computes on the calling thread and its rayon pool, with the best vector instructions that the processor has.
///
/// The bits depend neither on the number of threads nor on the instructions. To bound the threads, call from inside
/// [`rayon::ThreadPool::install`](https://docs.rs/rayon/latest/rayon/struct.ThreadPool.html#method.install).
///
/// ```
/// use penalty::{Backend, Cpu, Penalty};
///
/// let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("the thread starts");
/// let backend = Backend::Cpu(Cpu::new());
/// let report = pool.install(|| backend.evaluate(&Penalty::none(), &[3.0f32, -4.0]))?;
/// assert_eq!(report.l2_squared, 25.0);
/// # Ok::<(), penalty::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Cpu {
    set: InstructionSet,
}

impl Default for Cpu {
    fn default() -> Cpu {
        Cpu { set: InstructionSet::available().pop().unwrap_or(InstructionSet::Baseline) }
    }
}

impl Cpu {
    /// Uses the best instructions that the processor has.
    ///
    /// ```
    /// use penalty::{Cpu, HostSet, Parameter, Penalty};
    ///
    /// let set = HostSet::new(Cpu::new(), vec![Parameter::new("weight", Penalty::l1(0.5)?)]);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    pub fn new() -> Cpu {
        Cpu::default()
    }

    /// Uses these instructions; for tests and measurements.
    ///
    /// ```
    /// use penalty::cpu::InstructionSet;
    /// use penalty::{Backend, Cpu, Penalty};
    ///
    /// let baseline = Backend::Cpu(Cpu::with_instructions(InstructionSet::Baseline)?);
    /// let (l_half, weights) = (Penalty::l_half(0.1)?, [0.3f32, -0.7, 2.0]);
    /// assert_eq!(baseline.evaluate(&l_half, &weights)?, Backend::cpu().evaluate(&l_half, &weights)?);
    /// # Ok::<(), penalty::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InstructionSet`] if the processor does not have them.
    pub fn with_instructions(set: InstructionSet) -> Result<Cpu> {
        if InstructionSet::available().contains(&set) { Ok(Cpu { set }) } else { Err(Error::InstructionSet(set)) }
    }

    /// The vector instructions in use.
    ///
    /// ```
    /// use penalty::Cpu;
    /// use penalty::cpu::InstructionSet;
    ///
    /// assert_eq!(Some(&Cpu::new().instruction_set()), InstructionSet::available().last());
    /// ```
    pub fn instruction_set(&self) -> InstructionSet {
        self.set
    }
}
