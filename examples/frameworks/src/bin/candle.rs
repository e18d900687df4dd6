//! Proximal Adam on the memory of candle's CPU tensors, with candle's gradients.
//!
//! ```sh
//! cargo run --release --manifest-path examples/frameworks/Cargo.toml --bin candle
//! ```

use candle_core::{CpuStorage, Device, Error, InplaceOp2, Layout, Result, Tensor, Var};
use penalty::{Adam, Cpu, HostSet, Parameter, Penalty};
use std::sync::Mutex;

/// A step of Adam with the penalty's prox, in place. The states are beside it.
struct Step {
    set: HostSet<'static>,
    states: Mutex<[Vec<f32>; 2]>,
    adam: Adam,
}

impl InplaceOp2 for Step {
    fn name(&self) -> &'static str {
        "proximal-adam"
    }

    fn cpu_fwd(&self, theta: &mut CpuStorage, at: &Layout, gradient: &CpuStorage, of: &Layout) -> Result<()> {
        let (CpuStorage::F32(theta), CpuStorage::F32(gradient)) = (theta, gradient) else {
            return Err(Error::Msg("expected f32".into()));
        };
        // Both in row order: a range of the storage holds the elements.
        let (Some((start, end)), Some((first, last))) = (at.contiguous_offsets(), of.contiguous_offsets()) else {
            return Err(Error::Msg("expected tensors in row order".into()));
        };
        let mut states = self.states.lock().map_err(|_| Error::Msg("an earlier step panicked".into()))?;
        let [m, v] = &mut *states;
        self.set
            .adam(
                &mut [(&mut theta[start..end]).into()],
                &[gradient[first..last].into()],
                &mut [(&mut m[..]).into()],
                &mut [(&mut v[..]).into()],
                &self.adam,
            )
            .map_err(Error::wrap)
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let centre = Tensor::new(&[1.0f32, 0.4, -2.0, 0.1], &Device::Cpu)?;
    let theta = Var::zeros(4, candle_core::DType::F32, &Device::Cpu)?;
    let mut step = Step {
        set: HostSet::new(Cpu::new(), vec![Parameter::new("theta", Penalty::l1(0.5)?)]),
        states: Mutex::new([vec![0.0; 4], vec![0.0; 4]]),
        adam: Adam { step: 0.1, beta2: 0.9, epsilon: 1.0, ..Adam::default() },
    };
    for iteration in 1..=600 {
        let loss = ((theta.as_tensor() - &centre)?.sqr()?.sum_all()? * 0.5)?;
        let gradient = loss.backward()?.remove(&theta).ok_or("no gradient")?;
        step.adam.iteration = iteration;
        theta.inplace_op2(&gradient.contiguous()?, &step)?;
    }
    let theta = theta.to_vec1::<f32>()?;
    println!("{theta:?}"); // c ∓ 0.5, or 0
    let want = [0.5, 0.0, -1.5, 0.0];
    assert!(theta.iter().zip(want).all(|(theta, want)| (theta - want).abs() < 1e-4));
    Ok(())
}
