//! `penalty bench`: times the operations against the bandwidth of the device that they run on.

mod device;
mod host;

use penalty::{Backend, Penalty, Report, wgpu};
use serde_json::{Value, json};

use crate::args::{self, Sizes};
use crate::backend::Device;
use crate::error::{Error, Result};
use crate::named::Asked;
use crate::output;
use crate::report::{self, Table};

/// The kernels take turns this many times; the median counts.
const ROUNDS: usize = 7;
/// Each turn repeats its kernel for about this many seconds, so that the cost of submitting is negligible.
const TURN: f64 = 0.02;
const MOST_REPEATS: f64 = 200.0;
/// The default sizes: from FIRST to LAST, or to LAST_ON_SOFTWARE on a software adapter.
const FIRST: usize = 1 << 10;
const LAST: usize = 1 << 28;
const LAST_ON_SOFTWARE: usize = 1 << 22;
/// The step of the proxes. The penalty's λ is so small that weights keep their size through all rounds.
const STEP: f64 = 0.5;

/// The time of one run in seconds, by the wall clock and by the device's clock.
#[derive(Clone, Copy)]
struct Times {
    wall: f64,
    device: Option<f64>,
}

/// One of our kernels or one of the machine's, ready to run.
struct Kernel<'a> {
    /// The bytes that a perfect implementation moves.
    moved: usize,
    /// Runs the kernel this many times and returns the time of one run.
    run: Box<dyn FnMut(usize) -> Result<Times> + 'a>,
}

/// An operation, and the machine's kernel that moves the same bytes.
struct Pair<'a> {
    operation: &'static str,
    ours: Kernel<'a>,
    machine: Kernel<'a>,
}

/// An operation's speed and the machine's, in GB/s.
struct Row {
    operation: &'static str,
    weights: usize,
    wall: f64,
    device: Option<f64>,
    machine: f64,
    machine_device: Option<f64>,
}

impl Row {
    /// The operation's share of the machine's bandwidth. It uses the device's clock if there is one, else the wall
    /// clock.
    fn ratio(&self) -> f64 {
        match (self.device, self.machine_device) {
            (Some(ours), Some(machine)) => ours / machine,
            _ => self.wall / self.machine,
        }
    }
}

pub(crate) fn run(args: &args::Bench) -> Result<()> {
    let backend = args.backend.open()?;
    let penalty = Penalty::keras(1e-9, 1e-10)?;
    let sizes = args.sizes.clone().unwrap_or_else(|| Sizes::between(FIRST, last(&backend)));
    let mut rows = Vec::new();
    for &weights in &sizes.0 {
        rows.extend(match &backend {
            Backend::Gpu(gpu) => device::rows(gpu, &penalty, weights)?,
            _ => host::rows(&backend, &penalty, weights)?,
        });
    }
    let device = Device::of(&backend);
    let mut out = output::stdout();
    if args.json {
        let mut object = report::head(&device, &Asked::from(penalty));
        object.insert("rows".to_owned(), rows.iter().map(json_row).collect());
        out.json(object)?;
    } else {
        out.line(&device)?;
        table(&rows).print(&mut out)?;
    }
    Ok(out.flush()?)
}

fn last(backend: &Backend) -> usize {
    match backend {
        Backend::Gpu(gpu) if gpu.adapter_info().device_type == wgpu::DeviceType::Cpu => LAST_ON_SOFTWARE,
        _ => LAST,
    }
}

/// Runs the kernels in turn, so that a drift in the machine's speed affects all of them alike.
fn measure(weights: usize, pairs: Vec<Pair<'_>>) -> Result<Vec<Row>> {
    let mut timed = Vec::new();
    for mut pair in pairs {
        let mut repeats = Vec::new();
        for kernel in [&mut pair.ours, &mut pair.machine] {
            // The first run also pays for one-time work.
            (kernel.run)(1)?;
            let once = (kernel.run)(1)?.wall;
            repeats.push((TURN / once.max(1e-9)).ceil().clamp(1.0, MOST_REPEATS) as usize);
        }
        timed.push((pair, repeats, Vec::new(), Vec::new()));
    }
    for _ in 0..ROUNDS {
        for (pair, repeats, ours, machine) in &mut timed {
            ours.push((pair.ours.run)(repeats[0])?);
            machine.push((pair.machine.run)(repeats[1])?);
        }
    }
    Ok(timed
        .into_iter()
        .map(|(pair, _, ours, machine)| {
            let wall = |kernel: &Kernel<'_>, times: &[Times]| rate(kernel, times.iter().map(|t| Some(t.wall)));
            let device = |kernel: &Kernel<'_>, times: &[Times]| rate(kernel, times.iter().map(|t| t.device));
            Row {
                operation: pair.operation,
                weights,
                wall: wall(&pair.ours, &ours).unwrap_or(f64::NAN),
                device: device(&pair.ours, &ours),
                machine: wall(&pair.machine, &machine).unwrap_or(f64::NAN),
                machine_device: device(&pair.machine, &machine),
            }
        })
        .collect())
}

/// The rate in GB/s at the median time.
fn rate(kernel: &Kernel<'_>, times: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let mut times: Vec<f64> = times.collect::<Option<_>>()?;
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).map(|median| kernel.moved as f64 / 1e9 / median)
}

/// Irregular weights from −1 to 1, none so small that it would be flushed to zero.
fn weights(len: usize) -> Vec<f32> {
    let mut state = 0x9e37_79b9u32;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (f64::from(state | 1) / f64::from(1u32 << 31) - 1.0) as f32
    })
    .take(len)
    .collect()
}

/// Fails if the answer is wrong, because its time would mean nothing.
fn expect_report(found: &Report, expected: &Report, len: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let (expected, found) = (format!("{expected:?}"), format!("{found:?}"));
    Err(Error::Wrong { operation: "evaluate", len, expected, found })
}

fn expect_weights(operation: &'static str, found: &[f32], expected: &[f32]) -> Result<()> {
    let differs = |(a, b): (&f32, &f32)| a.to_bits() != b.to_bits();
    match found.iter().zip(expected).position(differs) {
        None if found.len() == expected.len() => Ok(()),
        at => {
            let at = at.unwrap_or(found.len().min(expected.len()));
            let text = |x: &[f32]| format!("{:?} at {at}", x.get(at));
            Err(Error::Wrong { operation, len: expected.len(), expected: text(expected), found: text(found) })
        }
    }
}

fn json_row(row: &Row) -> Value {
    json!({
        "operation": row.operation,
        "weights": row.weights,
        "gb_per_second": row.wall,
        "device_gb_per_second": row.device,
        "machine_gb_per_second": row.machine,
        "machine_device_gb_per_second": row.machine_device,
        "ratio": row.ratio(),
    })
}

fn table(rows: &[Row]) -> Table {
    let headings = ["operation", "weights", "GB/s", "machine", "GB/s by device", "machine", "ratio"];
    let mut table = Table::new(1, &headings);
    let one = |x: f64| format!("{x:.2}");
    let optional = |x: Option<f64>| x.map_or("-".to_owned(), one);
    for row in rows {
        let rates = [one(row.wall), one(row.machine), optional(row.device), optional(row.machine_device)];
        let text = [row.operation.to_owned(), row.weights.to_string()];
        table.row(text.into_iter().chain(rates).chain([one(row.ratio())]));
    }
    table
}
