//! The lasso by proximal gradient descent on `ndarray`'s own memory.
//!
//! ```sh
//! cargo run --release --manifest-path examples/frameworks/Cargo.toml --bin ndarray
//! ```

use ndarray::{Array1, Array2};
use penalty::{Cpu, HostSet, Momentum, Parameter, Penalty, Sgd};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // y = 3·x₀ − 2·x₁, and ten columns that have nothing to do with it.
    let noise = |(row, column)| ((row as f32 * 12.9898 + column as f32 * 78.233).sin() * 43_758.547).fract();
    let x = Array2::from_shape_fn((200, 12), noise);
    let y = &x.column(0) * 3.0 - &x.column(1) * 2.0;
    let mut theta = Array1::<f32>::zeros(12);

    let set = HostSet::new(Cpu::new(), vec![Parameter::new("theta", Penalty::l1(0.1)?)]);
    let sgd = Sgd { step: 0.5, momentum: Momentum::None };
    for _ in 0..500 {
        let gradient = x.t().dot(&(x.dot(&theta) - &y)) / 200.0;
        let (weights, gradient) = (theta.as_slice_mut().ok_or("strided")?, gradient.as_slice().ok_or("strided")?);
        set.sgd(&mut [weights.into()], &[gradient.into()], &mut [], &sgd)?;
    }
    println!("{theta:.2}");
    assert!(theta[0] > 2.0 && theta[1] < -1.0 && theta.iter().skip(2).all(|theta| *theta == 0.0));
    Ok(())
}
