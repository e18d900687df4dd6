//! The check of custom penalties on a device: which types have passed, and which were rejected.

mod compare;
mod probe;

use compare::Halves;

use super::device::Gpu;
use super::lock::lock;
use super::wait::WaitMode;
use crate::cpu::Cpu;
use crate::formula::descriptor::Descriptor;
use crate::{Error, Penalty, Result};

impl Gpu {
    /// Checks a [`custom`](Penalty::custom) penalty on this device: its WGSL must compile and give the bits of its
    /// Rust.
    ///
    /// The CPU and the kernels compute the term, the gradient, the prox and, if the penalty has one, the prox in Adam's
    /// metric, on some thousand `f32`. These are all powers of two and numbers next to them, zeros, subnormals, NaN and
    /// infinities. Kinks are often at a parameter, at a coefficient, or at the sum of two of these, so numbers next to
    /// all of them are included. Proxes take steps from 0 to 30 that the penalty does not reject.
    ///
    /// The Rust half must also follow the rules of a formula: terms are finite and ≥ 0, gradients are not NaN, proxes
    /// are finite. The check does not compare numbers outside the probe, and does not check that gradient and prox
    /// belong to the term.
    ///
    /// A type that passed, with any parameters, may be recorded here from then on. A type that was rejected stays
    /// rejected. The device remembers both. To check a type with other parameters, call this with them. Built-in
    /// penalties pass at once.
    ///
    /// On a device that is not [`GpuToGpu`](super::Determinism::GpuToGpu), a pair may be rejected that agrees
    /// elsewhere.
    ///
    /// It compiles and waits, so call it where a program begins. Calls on host slices run it themselves on their first
    /// use.
    ///
    /// ```no_run
    /// use penalty::custom::Elementwise;
    /// use penalty::{Gpu, Penalty};
    ///
    /// # fn checked<MyPenalty: Elementwise>(gpu: &Gpu) -> penalty::Result<()> {
    /// let penalty = Penalty::custom::<MyPenalty>([0.5, 0.25])?;
    /// gpu.check(&penalty)?; // `record_…` calls take it from here on
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Wgsl`] if the WGSL does not compile or lacks a function. [`Error::CustomPenalty`] if the halves
    /// disagree or the Rust breaks a rule. [`Error::Device`] and [`Error::Timeout`] if the device fails.
    #[cfg(not(target_family = "wasm"))]
    pub fn check(&self, penalty: &Penalty) -> Result<()> {
        pollster::block_on(self.check_anew(penalty, WaitMode::Block(Gpu::TIMEOUT)))
    }

    /// [`check`](Gpu::check) without blocking. Somebody else must poll the device.
    ///
    /// # Errors
    ///
    /// As `check`.
    pub async fn check_async(&self, penalty: &Penalty) -> Result<()> {
        self.check_anew(penalty, WaitMode::PolledElsewhere).await
    }

    /// Checks a type unless it was checked here before.
    pub(crate) async fn check_once(&self, penalty: &Penalty, wait: WaitMode) -> Result<()> {
        match self.verdict(penalty) {
            Some(verdict) => verdict,
            None => self.check_anew(penalty, wait).await,
        }
    }

    /// Rejects a custom penalty that was not checked here, or did not pass.
    pub(super) fn checked(&self, penalty: &Penalty) -> Result<()> {
        self.verdict(penalty).unwrap_or_else(|| Err(Error::Unchecked { penalty: penalty.name() }))
    }

    /// What is known of a penalty's type: `None` if nobody has checked it.
    fn verdict(&self, penalty: &Penalty) -> Option<Result<()>> {
        let Some(formula) = custom(penalty) else { return Some(Ok(())) };
        lock(&self.inner.verdicts).get(&formula.id()).map(|verdict| verdict.as_ref().map(drop).map_err(Error::clone))
    }

    async fn check_anew(&self, penalty: &Penalty, wait: WaitMode) -> Result<()> {
        let Some(formula) = custom(penalty) else { return Ok(()) };
        let parameters = penalty.formula_parameters();
        match lock(&self.inner.verdicts).get(&formula.id()) {
            Some(Err(error)) => return Err(error.clone()),
            Some(Ok(known)) if known.contains(&parameters) => return Ok(()),
            _ => {}
        }
        let penalty = &penalty.beside_net();
        let found = Halves { gpu: self, cpu: Cpu::new(), penalty, formula, wait }.compare().await;
        let mut verdicts = lock(&self.inner.verdicts);
        match &found {
            Ok(()) => {
                if let Ok(known) = verdicts.entry(formula.id()).or_insert_with(|| Ok(Vec::new())) {
                    known.push(parameters);
                }
            }
            Err(error @ (Error::Wgsl { .. } | Error::CustomPenalty { .. })) => {
                verdicts.insert(formula.id(), Err(error.clone()));
            }
            // A fault of the device says nothing about the penalty.
            Err(_) => {}
        }
        found
    }
}

/// The formula of a custom penalty.
fn custom(penalty: &Penalty) -> Option<&'static Descriptor> {
    Some(penalty.formula()).filter(|formula| formula.custom)
}
