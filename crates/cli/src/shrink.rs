//! `penalty shrink`.

use std::time::Instant;

use penalty::Reports;
use serde_json::{Value, json};

use crate::args;
use crate::backend::Device;
use crate::checkpoint::{Checkpoint, Tensor};
use crate::destination::Destination;
use crate::error::Result;
use crate::output;
use crate::read::{self, Held};
use crate::report::{self, Table};
use crate::rewrite;
use crate::sums::{self, Summed};

pub(crate) fn run(args: &args::Shrink) -> Result<()> {
    let asked = args.asked()?;
    // Only a projection or a choice lacks a step, and its prox is the same at every step.
    let step = args.step.unwrap_or(1.0);
    let file = Checkpoint::find(&args.file)?;
    // We check the destination before reading anything.
    let goes_to_folder = Checkpoint::goes_to_folder(&args.file, &file, &args.out);
    let destination = (!args.dry_run).then(|| Destination::new(&args.out, args.force, goes_to_folder)).transpose()?;
    let mut checkpoint = Checkpoint::open(&file)?;
    if goes_to_folder && args.file.is_dir() {
        checkpoint.add_others(&args.file)?;
    }
    args.selection.choose(&mut checkpoint, std::slice::from_ref(&args.file))?;
    let penalties = asked.penalties(&checkpoint.tensors)?;
    let element_weights = args.penalty.element_weights(&checkpoint.tensors)?;
    let unfinished = destination.as_ref().map(|destination| destination.unfinished(&checkpoint)).transpose()?;

    let backend = args.backend.open()?;
    let started = Instant::now();
    let (mut before, mut after) = (vec![Summed::default(); penalties.len()], vec![Summed::default(); penalties.len()]);
    let mut held = Held::default();
    rewrite::write(&checkpoint, &args.out, unfinished, |i, tensor, out, progress| {
        for chunk in read::chunks_of(i, tensor, &penalties[i], element_weights.get(i), read::DEVICE_CHUNK) {
            chunk.read(&mut held)?;
            before[i].merge(&chunk.sums(&backend, &held)?);
            chunk.prox(&backend, step, &mut held)?;
            out.write_all(&chunk.stored(&held))?;
            progress.add(chunk.file_bytes());
            after[i].merge(&chunk.sums(&backend, &held)?);
        }
        Ok(())
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let before = sums::reports(before.iter().zip(&penalties))?;
    let after = sums::reports(after.iter().zip(&penalties))?;
    let bytes = checkpoint.tensors.iter().chain(&element_weights).map(Tensor::bytes).sum();

    let device = Device::of(&backend);
    let mut out = output::stdout();
    if args.json {
        let mut object = report::head(&device, &asked);
        object.insert("step".to_owned(), json!(args.step));
        let written = (!args.dry_run).then(|| args.out.display().to_string());
        object.insert("out".to_owned(), json!(written));
        let both = |b, a| json!({"before": report::numbers(b), "after": report::numbers(a)});
        object.insert("total".to_owned(), both(&before.total, &after.total));
        let pairs = before.tensors.iter().zip(&after.tensors);
        let tensors = checkpoint.tensors.iter().zip(pairs).map(|(tensor, (before, after))| {
            let mut object = report::identity(tensor);
            object.insert("before".to_owned(), Value::Object(report::numbers(before)));
            object.insert("after".to_owned(), Value::Object(report::numbers(after)));
            Value::Object(object)
        });
        object.insert("tensors".to_owned(), tensors.collect());
        report::tail(&mut object, &checkpoint.skipped, bytes, seconds);
        out.json(object)?;
    } else {
        table(&checkpoint, &before, &after).print(&mut out)?;
        report::footer(&mut out, &checkpoint, &device, bytes, seconds)?;
        match args.dry_run {
            true => out.line("dry run: nothing was written")?,
            false => out.line(format_args!("wrote {}", args.out.display()))?,
        }
    }
    Ok(out.flush()?)
}

fn table(checkpoint: &Checkpoint, before: &Reports, after: &Reports) -> Table {
    let headings = ["name", "type", "weights", "zeros %", "→ zeros %", "Σ|θ|", "→ Σ|θ|", "value", "→ value"];
    let mut table = Table::new(2, &headings);
    let row = |name: String, dtype: String, b: &penalty::Report, a: &penalty::Report| {
        let sums = [b.l1, a.l1, b.value, a.value].map(report::short);
        [name, dtype, b.len.to_string(), report::zeros(b), report::zeros(a)].into_iter().chain(sums)
    };
    let pairs = before.tensors.iter().zip(&after.tensors);
    for (tensor, (b, a)) in checkpoint.tensors.iter().zip(pairs) {
        table.row(row(tensor.name.clone(), tensor.type_name(), b, a));
    }
    table.row(row("total".to_owned(), String::new(), &before.total, &after.total));
    table
}
