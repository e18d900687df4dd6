//! The check of custom penalties: compares what their Rust and their WGSL give on a probe.

use super::device::Gpu;
use super::lock::lock;
use super::operand::Located;
use super::placement::Placement;
use super::recorder::{Step, once};
use super::wait::WaitMode;
use crate::cpu::Cpu;
use crate::cpu::set::HostSet;
use crate::error::shortest;
use crate::formula::descriptor::Descriptor;
use crate::formula::scalars::Metric;
use crate::numeric::element::Dtype;
use crate::plan::operation::Operation;
use crate::plan::optimizer::Adam;
use crate::plan::parameter::Parameter;
use crate::plan::penalties::Penalties;
use crate::plan::{Name, Segment};
use crate::slices::{Slices, Tensor, Update};
use crate::{Error, Penalty, Result};

/// The steps at which proxes are compared. A step that the penalty rejects is skipped.
const STEPS: [f64; 5] = [0.0, 1e-3, 0.1, 1.0, 30.0];

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
        let Some(own) = custom(penalty) else { return Some(Ok(())) };
        lock(&self.inner.verdicts).get(&own.id()).map(|verdict| verdict.as_ref().map(drop).map_err(Error::clone))
    }

    async fn check_anew(&self, penalty: &Penalty, wait: WaitMode) -> Result<()> {
        let Some(own) = custom(penalty) else { return Ok(()) };
        let parameters = penalty.formula_parameters();
        match lock(&self.inner.verdicts).get(&own.id()) {
            Some(Err(error)) => return Err(error.clone()),
            Some(Ok(known)) if known.contains(&parameters) => return Ok(()),
            _ => {}
        }
        let found = Twins { gpu: self, cpu: Cpu::new(), penalty, own, wait }.compare().await;
        let mut verdicts = lock(&self.inner.verdicts);
        match &found {
            Ok(()) => {
                if let Ok(known) = verdicts.entry(own.id()).or_insert_with(|| Ok(Vec::new())) {
                    known.push(parameters);
                }
            }
            Err(error @ (Error::Wgsl { .. } | Error::CustomPenalty { .. })) => {
                verdicts.insert(own.id(), Err(error.clone()));
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

/// A custom penalty whose halves are compared.
struct Twins<'a> {
    gpu: &'a Gpu,
    cpu: Cpu,
    penalty: &'a Penalty,
    own: &'static Descriptor,
    wait: WaitMode,
}

impl Twins<'_> {
    async fn compare(&self) -> Result<()> {
        self.compare_terms().await?;
        if self.penalty.has_gradient() {
            self.compare_gradients().await?;
        }
        for step in STEPS {
            if let Ok(numbers) = self.penalty.prox_coefficients(step, Metric::Plain, Dtype::F32) {
                self.compare_proxes(step, &numbers).await?;
            }
            if let Ok(numbers) = self.penalty.prox_coefficients(step, Metric::Adam, Dtype::F32) {
                self.compare_metric_proxes(step, &numbers).await?;
            }
        }
        Ok(())
    }

    /// Kernels give only sums of terms. So each number is a tensor of its own, which holds it four times.
    async fn compare_terms(&self) -> Result<()> {
        let numbers = self.penalty.term_coefficients(Dtype::F32).unwrap_or_default();
        let probe = self.probe(&numbers);
        let bound = |x: f32| if x.abs() < power(57) { power(115) } else { f32::MAX };
        let rule = ("a finite number ≥ 0, and at most 2^115 where |θ| < 2^57", |x: f32, term: f32| {
            (0.0..=bound(x)).contains(&term)
        });
        let terms: Vec<f32> = probe.iter().map(|x| (self.own.term)(x.to_bits(), &numbers)).collect();
        self.follows("the term", rule, &probe, &terms)?;
        let fours: Vec<[f32; 4]> = probe.iter().map(|&x| [x; 4]).collect();
        let tensors: Vec<Tensor<'_>> = fours.iter().map(|four| Tensor::new(self.penalty.into(), four)).collect();
        let segments: Vec<Segment> = tensors.iter().map(Tensor::segment).collect();
        let partials = self.gpu.partials(&tensors, &segments, self.wait).await?;
        for (((x, partial), want), term) in
            probe.iter().zip(&partials).zip(self.cpu.partials(&tensors).await?).zip(terms)
        {
            if partial.sums().terms() != want.sums().terms() {
                let found = (partial.sums().terms() / 4.0) as f32;
                return Err(self.disagree("the term", *x, term, found));
            }
        }
        Ok(())
    }

    async fn compare_gradients(&self) -> Result<()> {
        let probe = self.probe(&self.penalty.gradient_coefficients());
        let update = Update::gradient::<f32>(Operation::Gradient, self.penalty.into());
        let rust = self.in_rust(&update, &probe).await?;
        let rule = ("a number", |_, gradient: f32| !gradient.is_nan());
        self.follows("the gradient", rule, &probe, &rust)?;
        self.same("the gradient", &probe, &rust, &self.in_wgsl(&update, &probe).await?)
    }

    async fn compare_proxes(&self, step: f64, numbers: &[f32]) -> Result<()> {
        let probe = self.probe(numbers);
        let update = Update::prox::<f32>(self.penalty.into(), step);
        let rust = self.in_rust(&update, &probe).await?;
        let operation = format!("the prox with the step {}", shortest(step));
        self.follows(&operation, FINITE, &probe, &rust)?;
        self.same(&operation, &probe, &rust, &self.in_wgsl(&update, &probe).await?)
    }

    /// With gradient and first state 0, Adam's step moves weights only by the prox.
    async fn compare_metric_proxes(&self, step: f64, numbers: &[f32]) -> Result<()> {
        let metrics = [1e-12, 1e-3, 0.25, 1.0, 3.0, 1e5];
        let probe: Vec<f32> = self.probe(numbers).into_iter().flat_map(|x| metrics.map(|_| x)).collect();
        let zeros = vec![0.0f32; probe.len()];
        let squares: Vec<f32> = metrics.iter().map(|d| d * d).cycle().take(probe.len()).collect();
        let adam = Adam { step, metric: Metric::Adam, ..Adam::default() };
        let parameter = Parameter::new(self.penalty.name(), probe.len() as u64, Dtype::F32, self.penalty.clone());
        let (mut rust, mut first, mut second) = (probe.clone(), zeros.clone(), squares.clone());
        HostSet::new(Cpu::new(), vec![parameter]).adam(
            &adam,
            &[(&zeros[..]).into()],
            &mut [(&mut rust[..]).into()],
            &mut [(&mut first[..]).into()],
            &mut [(&mut second[..]).into()],
        )?;
        let operation = format!("the prox in Adam's metric with the step {}", shortest(step));
        self.follows(&operation, FINITE, &probe, &rust)?;
        self.same(&operation, &probe, &rust, &self.stepped(&adam, [&zeros, &probe, &zeros, &squares]).await?)
    }

    /// What the Rust half gives for the probe.
    async fn in_rust(&self, update: &Update<'_>, probe: &[f32]) -> Result<Vec<f32>> {
        let mut output = vec![0.0f32; probe.len()];
        self.cpu.update(update, Some(probe.into()), output[..].as_mut().into()).await?;
        Ok(output)
    }

    /// What a kernel gives for the probe.
    async fn in_wgsl(&self, update: &Update<'_>, probe: &[f32]) -> Result<Vec<f32>> {
        let segment = self.segment(probe);
        let (output, _) = self.gpu.update(update, &segment, probe.into(), probe.into(), self.wait).await?;
        Ok(bytemuck::pod_collect_to_vec(&output))
    }

    fn segment(&self, probe: &[f32]) -> Segment {
        Segment { name: Name::Alone, len: probe.len() as u64, dtype: Dtype::F32 }
    }

    /// What Adam's kernel gives for weights, from (gradients, weights, first state, second state).
    async fn stepped(&self, adam: &Adam, operands: [&[f32]; 4]) -> Result<Vec<f32>> {
        let size = size_of_val(operands[1]) as u64;
        let mut located = Vec::with_capacity(operands.len());
        for operand in operands {
            let buffer = self.gpu.storage_buffer("penalty weights", size)?;
            self.gpu.write(&buffer, 0, operand.into())?;
            located.push([Located { buffer, offset: 0 }]);
        }
        let roles = std::array::from_fn(|role| Some(&located[role][..]));
        let placement = Placement { roles, element_weights: &[] };
        let (plan, step) =
            (self.gpu.plan(vec![self.segment(operands[1])]), Step { size: adam.step, scalars: adam.scalars()? });
        let penalties = Penalties::new(vec![self.penalty.clone()]);
        // Without sums: the kernel that sums is the longest, and so the slowest to compile.
        let pass = (adam.operation(), false);
        self.gpu.submit(|gpu, encoder| once(gpu, encoder, pass, (&plan, &penalties), &placement, &step))?;
        let bytes = self.gpu.read_buffer(&located[1][0].buffer, size, self.wait).await?;
        Ok(bytemuck::pod_collect_to_vec(&bytes))
    }

    /// Numbers of every scale and of both signs, numbers close to these coefficients and to the parameters, and
    /// non-finite ones. Their count is a multiple of four, so that one kernel takes them.
    fn probe(&self, numbers: &[f32]) -> Vec<f32> {
        let parameters = self.penalty.formula_parameters();
        let single: Vec<f32> = parameters.iter().map(|&p| p as f32).chain(numbers.iter().copied()).collect();
        let sums = single.iter().flat_map(|a| single.iter().map(move |b| a + b));
        let mut kinks: Vec<u32> = single.iter().copied().chain(sums).map(|x| x.abs().to_bits()).collect();
        kinks.sort_unstable();
        kinks.dedup();
        let noise = |i: u32| (i.wrapping_mul(2_654_435_761) ^ 0x5bd1_e995).wrapping_mul(0x85eb_ca6b) >> 9;
        let scales = (0..=254u32).flat_map(|e| [0, 1, noise(e), 0x7f_ffff].map(|m| e << 23 | m));
        // Around a kink: its two neighbours on each side, and numbers up to twice as large.
        let near = kinks.iter().flat_map(|&k| (0..5).map(move |i| k.saturating_add(i).saturating_sub(2)));
        let around = kinks
            .iter()
            .flat_map(|&k| (0..12).map(move |i| (f32::from_bits(k) * noise(k ^ i) as f32 / power(22)).to_bits()));
        let special = [0x7f80_0000, 0x7fc0_0000, 0x7f80_1234];
        let all = scales.chain(near).chain(around).chain(special);
        let mut probe: Vec<f32> = all.flat_map(|m| [m & 0x7fff_ffff, m | 1 << 31]).map(f32::from_bits).collect();
        probe.resize(probe.len().next_multiple_of(4), 0.0);
        probe
    }

    /// Rejects the first number for which the WGSL differs from the Rust.
    fn same(&self, operation: &str, probe: &[f32], rust: &[f32], wgsl: &[f32]) -> Result<()> {
        let differ = |((_, r), w): &((&f32, &f32), &f32)| r.to_bits() != w.to_bits();
        match probe.iter().zip(rust).zip(wgsl).find(differ) {
            None => Ok(()),
            Some(((&x, &rust), &wgsl)) => Err(self.disagree(operation, x, rust, wgsl)),
        }
    }

    /// Rejects the first finite number for which the Rust half breaks a rule.
    fn follows(
        &self,
        operation: &str,
        (expected, rule): (&'static str, impl Fn(f32, f32) -> bool),
        probe: &[f32],
        rust: &[f32],
    ) -> Result<()> {
        match probe.iter().zip(rust).find(|&(&x, &found)| x.is_finite() && !rule(x, found)) {
            None => Ok(()),
            Some((&input, &found)) => {
                let found = format!("{} in Rust", shown(found));
                let expected = expected.into();
                Err(Error::CustomPenalty {
                    penalty: self.penalty.name(),
                    operation: operation.into(),
                    input,
                    expected,
                    found,
                })
            }
        }
    }

    fn disagree(&self, operation: &str, input: f32, rust: f32, wgsl: f32) -> Error {
        let (expected, found) = (format!("{} as in Rust", shown(rust)), format!("{} in WGSL", shown(wgsl)));
        Error::CustomPenalty { penalty: self.penalty.name(), operation: operation.into(), input, expected, found }
    }
}

/// The rule for a prox.
const FINITE: (&str, fn(f32, f32) -> bool) = ("finite", |_, x| x.is_finite());

fn shown(x: f32) -> String {
    format!("{} ({:#010x})", shortest(x), x.to_bits())
}

/// 2^k, if that is a normal number.
fn power(k: i32) -> f32 {
    f32::from_bits(((k + 127) as u32) << 23)
}
