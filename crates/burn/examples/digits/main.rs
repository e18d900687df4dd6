//! Trains a small network on handwritten digits in every way that this crate offers, and compares accuracy and zeros.
//!
//! ```sh
//! cargo run --release -p penalty-burn --example digits                       # on the CPU; `-- --backend wgpu` for a GPU
//! cargo run --release -p penalty-cli -- eval target/digits/l1_prox.safetensors --l1 3e-4 --include 'weight$'
//! ```
//!
//! All runs start from the same weights and see the same batches. Theory says, and a full run checks, that the proximal routes leave exact
//! zeros and hardly reduce the accuracy, and that the group lasso removes whole neurons. Squared L2, decay, and L1 by its subgradient only
//! leave small weights.
//!
//! `--epochs N` shortens the runs, which then check nothing. `--out DIR` sets where the checkpoints go.

mod data;
mod network;
mod runs;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use penalty_burn::penalty::{Penalty, Report};
use penalty_burn::{Rules, Wgpu};

use runs::Training;

const EPOCHS: usize = 300;
const TIMEOUT: Duration = Duration::from_secs(600);

struct Arguments {
    epochs: usize,
    wgpu: bool,
    out: PathBuf,
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut arguments = Arguments { epochs: EPOCHS, wgpu: false, out: "target/digits".into() };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let value = given.next().ok_or_else(|| format!("{name} takes a value"))?;
        match (name.as_str(), value.as_str()) {
            ("--epochs", _) => arguments.epochs = value.parse()?,
            ("--backend", "flex" | "wgpu") => arguments.wgpu = value == "wgpu",
            ("--out", _) => arguments.out = value.into(),
            _ => return Err("usage: digits [--epochs N] [--backend flex|wgpu] [--out DIR]".into()),
        }
    }
    Ok(arguments)
}

/// What a run left.
struct Outcome {
    accuracy: f64,
    total: Report,
    neurons_removed: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    let (device, wgpu) = if arguments.wgpu {
        let (device, setup) = Device::wgpu_options().init_with_setup()?;
        println!("on {}", setup.adapter.get_info().name);
        let wgpu = Wgpu::new(&device, &setup)?;
        (device, Some(wgpu))
    } else {
        (Device::flex(), None)
    };
    let (train_rows, test_rows) = data::rows()?;
    std::fs::create_dir_all(&arguments.out)?;
    let training = Training { rows: &train_rows, epochs: arguments.epochs, device: device.autodiff(), wgpu };

    println!(
        "{:<20}{:>12}{:>9}{:>8}{:>9}{:>9}{:>10}{:>8}",
        "run", "test acc. %", "weights", "zeros", "zeros %", "neurons", "Σ|θ|", "time"
    );
    let mut left: BTreeMap<&str, Outcome> = BTreeMap::new();
    for (name, how) in runs::runs()? {
        let began = Instant::now();
        let model = training.run(&how)?;
        let total = training.regularizer(Rules::new(Penalty::none())).evaluate(&model)?.wait(TIMEOUT)?.total;
        let accuracy = model.accuracy(&test_rows, &training.device)?;
        let neurons_removed = model.neurons_removed()?;
        model.save(&arguments.out.join(format!("{name}.safetensors")))?;
        println!(
            "{name:<20}{accuracy:>12.2}{:>9}{:>8}{:>9.2}{:>9}{:>10.2}{:>7.1}s",
            total.len,
            total.zeros(),
            100.0 * total.zeros() as f64 / total.len as f64,
            format!("-{neurons_removed}"),
            total.l1,
            began.elapsed().as_secs_f64(),
        );
        left.insert(name, Outcome { accuracy, total, neurons_removed });
    }
    println!("checkpoints: {}", arguments.out.display());

    if arguments.epochs < EPOCHS {
        println!("{} epochs of {EPOCHS}: nothing is checked", arguments.epochs);
        return Ok(());
    }
    let run = |name: &str| left.get(name).ok_or_else(|| format!("there is no run {name}"));
    let zeros = |name: &str| Ok::<_, String>(run(name)?.total.zeros() as f64 / run(name)?.total.len as f64);
    let without_zeros =
        ["none", "l2_squared", "l1_subgradient", "adam_none", "adam_l2", "adamw", "adam_l1_subgradient"];
    let dense = run("adam_none")?.accuracy;
    let claims = [
        ("the prox after SGD makes at least half of the weights exactly 0", zeros("l1_prox")? >= 0.5),
        ("it costs at most 1.5 points of accuracy", run("l1_prox")?.accuracy >= run("none")?.accuracy - 1.5),
        ("proximal Adam makes at least 80 % of the weights exactly 0", zeros("adam_l1_proximal")? >= 0.8),
        ("it costs at most 1.5 points of accuracy", run("adam_l1_proximal")?.accuracy >= dense - 1.5),
        ("the group lasso removes whole neurons", run("group_lasso_columns")?.neurons_removed > 0),
        (
            "no run by gradients alone has an exact 0",
            without_zeros.iter().map(|name| zeros(name)).sum::<Result<f64, _>>()? == 0.0,
        ),
    ];
    for (claim, holds) in claims {
        println!("{}: {claim}", if holds { "holds" } else { "FAILS" });
    }
    if claims.iter().all(|(_, holds)| *holds) { Ok(()) } else { Err("a claim fails".into()) }
}
