//! Whether the Rust and the WGSL of a custom penalty give the same bits, and whether the Rust follows the rules.

use super::probe::{power, probe};
use crate::cpu::Cpu;
use crate::cpu::set::HostSet;
use crate::error::shortest;
use crate::formula::descriptor::Descriptor;
use crate::formula::scalars::Metric;
use crate::gpu::device::Gpu;
use crate::gpu::operand::Located;
use crate::gpu::placement::Placement;
use crate::gpu::recorder::{Step, once};
use crate::gpu::wait::WaitMode;
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

/// A custom penalty whose halves are compared.
pub(super) struct Halves<'a> {
    pub(super) gpu: &'a Gpu,
    pub(super) cpu: Cpu,
    pub(super) penalty: &'a Penalty,
    pub(super) formula: &'static Descriptor,
    pub(super) wait: WaitMode,
}

impl Halves<'_> {
    pub(super) async fn compare(&self) -> Result<()> {
        self.compare_terms().await?;
        if self.penalty.has_gradient() {
            self.compare_gradients().await?;
        }
        for step in STEPS {
            if let Ok(c) = self.penalty.prox_coefficients(step, Metric::Plain, Dtype::F32) {
                self.compare_proxes(step, &c).await?;
            }
            if let Ok(c) = self.penalty.prox_coefficients(step, Metric::Adam, Dtype::F32) {
                self.compare_metric_proxes(step, &c).await?;
            }
        }
        Ok(())
    }

    /// Kernels give only sums of terms. So each number is a tensor of its own, which holds it four times.
    async fn compare_terms(&self) -> Result<()> {
        let t = self.penalty.term_coefficients(Dtype::F32).unwrap_or_default();
        let probe = probe(self.penalty, &t);
        let bound = |x: f32| if x.abs() < power(57) { power(115) } else { f32::MAX };
        let rule = ("a finite number ≥ 0, and at most 2^115 where |θ| < 2^57", |x: f32, term: f32| {
            (0.0..=bound(x)).contains(&term)
        });
        let terms: Vec<f32> = probe.iter().map(|x| (self.formula.term)(x.to_bits(), &t)).collect();
        self.follows("the term", rule, &probe, &terms)?;
        let fours: Vec<[f32; 4]> = probe.iter().map(|&x| [x; 4]).collect();
        let tensors: Vec<Tensor<'_>> =
            fours.iter().map(|four| Tensor::new(self.penalty.into(), four[..].into())).collect();
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
        let probe = probe(self.penalty, &self.penalty.gradient_coefficients());
        let update = Update::new(Operation::Gradient, self.penalty.into());
        let rust = self.in_rust(&update, &probe).await?;
        let rule = ("a number", |_, gradient: f32| !gradient.is_nan());
        self.follows("the gradient", rule, &probe, &rust)?;
        self.same("the gradient", &probe, &rust, &self.in_wgsl(&update, &probe).await?)
    }

    async fn compare_proxes(&self, step: f64, c: &[f32]) -> Result<()> {
        let probe = probe(self.penalty, c);
        let update = Update { step, ..Update::new(Operation::Prox, self.penalty.into()) };
        let rust = self.in_rust(&update, &probe).await?;
        let operation = format!("the prox with the step {}", shortest(step));
        self.follows(&operation, FINITE, &probe, &rust)?;
        self.same(&operation, &probe, &rust, &self.in_wgsl(&update, &probe).await?)
    }

    /// With gradient and first state 0, Adam's step moves weights only by the prox.
    async fn compare_metric_proxes(&self, step: f64, c: &[f32]) -> Result<()> {
        let metrics = [1e-12, 1e-3, 0.25, 1.0, 3.0, 1e5];
        let probe: Vec<f32> = probe(self.penalty, c).into_iter().flat_map(|x| metrics.map(|_| x)).collect();
        let zeros = vec![0.0f32; probe.len()];
        let squares: Vec<f32> = metrics.iter().map(|d| d * d).cycle().take(probe.len()).collect();
        let adam = Adam { step, metric: Metric::Adam, ..Adam::default() };
        let parameter = Parameter::new(self.penalty.name(), self.penalty.clone());
        let (mut rust, mut first, mut second) = (probe.clone(), zeros.clone(), squares.clone());
        HostSet::new(Cpu::new(), vec![parameter]).adam_and_evaluate(
            &mut [(&mut rust[..]).into()],
            &[(&zeros[..]).into()],
            &mut [(&mut first[..]).into()],
            &mut [(&mut second[..]).into()],
            &adam,
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
        let (plan, step) = (self.gpu.plan(vec![self.segment(operands[1])]), Step::adam(adam)?);
        let penalties = Penalties::new(vec![self.penalty.clone()]);
        // Without sums: the kernel that sums is the longest, and so the slowest to compile.
        let pass = (adam.operation(), false);
        self.gpu.submit(|gpu, encoder| once(gpu, encoder, pass, (&plan, &penalties), &placement, &step))?;
        let bytes = self.gpu.read_buffer(&located[1][0].buffer, size, self.wait).await?;
        Ok(bytemuck::pod_collect_to_vec(&bytes))
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
