//! `penalty eval`.

use std::time::Instant;

use penalty::Reports;
use serde_json::Value;

use crate::args;
use crate::backend::Device;
use crate::checkpoint::{Checkpoint, Tensor};
use crate::error::Result;
use crate::output;
use crate::read;
use crate::report::{self, Table};
use crate::sums;

pub(crate) fn run(args: &args::Eval) -> Result<()> {
    let asked = args.penalty.asked()?;
    let mut checkpoint = Checkpoint::default();
    for file in &args.files {
        let held = Checkpoint::open(file)?;
        checkpoint.tensors.extend(held.tensors);
        checkpoint.skipped.extend(held.skipped);
    }
    args.selection.choose(&mut checkpoint, &args.files)?;

    let penalties = asked.penalties(&checkpoint.tensors)?;
    let element_weights = args.penalty.element_weights(&checkpoint.tensors)?;

    let backend = args.backend.open()?;
    let started = Instant::now();
    let summed = read::sums(&backend, &penalties, &checkpoint.tensors, &element_weights)?;
    let seconds = started.elapsed().as_secs_f64();
    let reports = sums::reports(summed.iter().zip(&penalties))?;
    let bytes = checkpoint.tensors.iter().chain(&element_weights).map(Tensor::bytes).sum();

    let device = Device::of(&backend);
    let mut out = output::stdout();
    if args.json {
        let mut object = report::head(&device, &asked);
        object.insert("total".to_owned(), Value::Object(report::numbers(&reports.total)));
        let tensors = checkpoint.tensors.iter().zip(&reports.tensors).map(|(tensor, numbers)| {
            let mut object = report::identity(tensor);
            object.extend(report::numbers(numbers));
            Value::Object(object)
        });
        object.insert("tensors".to_owned(), tensors.collect());
        report::tail(&mut object, &checkpoint.skipped, bytes, seconds);
        out.json(object)?;
    } else {
        table(&checkpoint, &reports).print(&mut out)?;
        report::footer(&mut out, &checkpoint, &device, bytes, seconds)?;
    }
    Ok(out.flush()?)
}

fn table(checkpoint: &Checkpoint, reports: &Reports) -> Table {
    let first = checkpoint.tensors.first().map(|tensor| &tensor.source.path);
    let several = checkpoint.tensors.iter().any(|tensor| Some(&tensor.source.path) != first);
    let headings = ["file", "name", "shape", "type", "weights", "Σ|θ|", "Σθ²", "max|θ|", "zeros %", "value"];
    let shown = if several { 0 } else { 1 };
    let mut table = Table::new(4 - shown, &headings[shown..]);
    let numbers = |r: &penalty::Report| {
        let floats = [r.l1, r.l2_squared, r.max_abs].map(report::short);
        [r.len.to_string()].into_iter().chain(floats).chain([report::zeros(r), report::short(r.value)])
    };
    for (tensor, r) in checkpoint.tensors.iter().zip(&reports.tensors) {
        let file = tensor.source.path.display().to_string();
        let text = [file, tensor.name.clone(), report::shape(tensor), tensor.type_name()];
        table.row(text.into_iter().skip(shown).chain(numbers(r)));
    }
    let text = ["total", "", "", ""].map(str::to_owned);
    table.row(text.into_iter().take(4 - shown).chain(numbers(&reports.total)));
    table
}
