//! `penalty bench`: times the operations beside what the machine itself does.

mod case;
mod device;
mod formula;
mod host;
mod measure;
mod row;
pub(crate) mod shape;

use penalty::half::{bf16, f16};
use penalty::{Backend, Cpu, Dtype, wgpu};

use crate::args;
use crate::backend;
use crate::error::{Error, Result};
use crate::memory;
use crate::output;
use case::Case;
use device::{Device, OnDevice};
use formula::Number;
use host::Host;
use measure::Times;
use row::Row;
use shape::Shape;

/// The default sizes go from FIRST to LAST, or to LAST_ON_SOFTWARE on a software adapter.
const FIRST: usize = 1 << 10;
const LAST: usize = 1 << 28;
const LAST_ON_SOFTWARE: usize = 1 << 22;
/// The default sets. The first one is smaller where single tensors are.
const FEW_LARGE: Shape = Shape::set(1_000, 65_536);
const FEW_LARGE_ON_SOFTWARE: Shape = Shape::set(1_000, 4_096);
const MANY_SMALL: Shape = Shape::set(10_000, 16);

pub(crate) fn run(args: &args::Bench) -> Result<()> {
    let backend = args.open()?;
    let shapes = args.sizes.as_ref().map_or_else(|| default_shapes(&backend), |shapes| shapes.0.clone());
    let device = match &backend {
        Backend::Gpu(gpu) => Some(Device::new(gpu)?),
        _ => None,
    };
    let mut cases = case::cases(&shapes, device.is_some());
    if let Some(include) = &args.include {
        cases.retain(|case| include.is_match(&case.to_string()));
        if cases.is_empty() {
            return Err(Error::NoRow(include.to_string()));
        }
    }
    // A device's answers are held against those of the CPU.
    let cpu = match &backend {
        Backend::Cpu(cpu) => cpu.clone(),
        _ => Cpu::new(),
    };
    let determinism = match &backend {
        Backend::Gpu(gpu) => Some(gpu.determinism().to_string()),
        _ => None,
    };
    let described = backend::Device::of(&backend);
    let mut out = output::stdout();
    if !args.json_lines {
        let check = determinism.as_ref().map_or(String::new(), |level| format!(", self-check {level}"));
        out.line(format_args!("{described}{check}"))?;
        out.row(&row::headings())?;
        out.flush()?;
    }
    let mut failed = 0;
    for case in &cases {
        let timed = match case.dtype {
            Dtype::F32 => timed::<f32>(device.as_ref(), &cpu, case),
            Dtype::F16 => timed::<f16>(device.as_ref(), &cpu, case),
            Dtype::BF16 => timed::<bf16>(device.as_ref(), &cpu, case),
        };
        failed += usize::from(timed.is_err());
        let row = Row::new(&described, determinism.as_deref(), case, timed.map_err(|error| error.to_string()));
        match args.json_lines {
            true => out.json_line(&row)?,
            false => out.row(&row.line())?,
        }
        out.flush()?;
    }
    if failed == 0 { Ok(()) } else { Err(Error::Rows { failed, all: cases.len() }) }
}

/// Checks the answers of a row, then times it.
fn timed<E: Number>(device: Option<&Device>, cpu: &Cpu, case: &Case) -> Result<(Times, Option<Times>)> {
    match device {
        Some(device) => {
            let mut on_device = OnDevice::new(device, case)?;
            on_device.check(Host::<E>::new(cpu, case)?)?;
            measure::measure(&mut on_device, case.measure)
        }
        None => {
            let mut host = Host::<E>::new(cpu, case)?;
            host.check()?;
            measure::measure(&mut host, case.measure)
        }
    }
}

fn default_shapes(backend: &Backend) -> Vec<Shape> {
    let last = match backend {
        Backend::Gpu(gpu) if gpu.adapter_info().device_type == wgpu::DeviceType::Cpu => LAST_ON_SOFTWARE,
        // The four arrays of Adam's step fill at most half of what is free.
        _ => match memory::available().map(|bytes| (bytes / 32) as usize) {
            Some(weights) => LAST.min(1 << weights.max(FIRST).ilog2()),
            None => LAST / 4,
        },
    };
    let few_large = if last < FEW_LARGE.total() { FEW_LARGE_ON_SOFTWARE } else { FEW_LARGE };
    shape::between(FIRST, last).chain([few_large, MANY_SMALL]).collect()
}
