//! `penalty prune`.

mod local;
mod method;
pub(crate) mod structure;

use std::path::Path;
use std::time::Instant;

use penalty::{Penalty, Report, Reports};
use serde_json::{Map, Value, json};

use crate::args;
use crate::backend::Device;
use crate::checkpoint::{Checkpoint, Tensor};
use crate::destination::Destination;
use crate::error::{Error, Result};
use crate::number::{Number, with_number};
use crate::output;
use crate::read::{Chunk, Held};
use crate::report::{self, Table};
use crate::rewrite;
use crate::sums::{self, Pieces};

use method::Method;
use structure::leave;

pub(crate) fn run(args: &args::Prune) -> Result<()> {
    let file = Checkpoint::find(&args.model)?;
    // We check the destination before reading anything.
    let out = args.out.as_deref().filter(|_| !args.dry_run);
    let goes_to_folder = out.is_some_and(|out| Checkpoint::goes_to_folder(&args.model, &file, out));
    let destination = out.map(|out| Destination::new(out, args.force, goes_to_folder)).transpose()?;
    let mut checkpoint = Checkpoint::open(&file)?;
    if goes_to_folder && args.model.is_dir() {
        checkpoint.add_others(&args.model)?;
    }
    args.selection.choose(&mut checkpoint, std::slice::from_ref(&args.model))?;
    leave(&mut checkpoint, &args.model, args.structure)?;
    let tensors = checkpoint.tensors.clone();
    let mut method = Method::new(args, &tensors)?;
    let unfinished = destination.as_ref().map(|destination| destination.unfinished(&checkpoint)).transpose()?;

    let backend = args.backend.open()?;
    let started = Instant::now();
    method.find(&tensors)?;
    let none = Penalty::none();
    let (mut before, mut after, mut zero_rows) = (Vec::new(), Vec::new(), Vec::new());
    let mut held = Held::default();
    rewrite::write(&checkpoint, out.unwrap_or(Path::new("")), unfinished, |i, tensor, out, progress| {
        let (mut old, mut new) = (Pieces::default(), Pieces::default());
        let mut rows = ZeroRows::new(tensor, args.report);
        for range in method.ranges(i, tensor) {
            let chunk = Chunk::new(i, tensor, &none, range.clone());
            chunk.read(&mut held)?;
            old.add(&backend, tensor.dtype, chunk.theta(&held))?;
            let weights = chunk.theta_mut(&mut held);
            with_number!(tensor.dtype, N => part::<N>(&mut method, i, range.start, weights, &mut rows))?;
            new.add(&backend, tensor.dtype, chunk.theta(&held))?;
            out.write_all(&chunk.stored(&held))?;
            progress.add(chunk.file_bytes());
        }
        let (old, new) = (old.finish(&backend, tensor.dtype)?, new.finish(&backend, tensor.dtype)?);
        let of = sums::reports([(&old, &none), (&new, &none)])?.tensors;
        if of[1].nan < of[0].nan {
            let reason =
                format!("its tensor {:?}: too few weights are numbers, and a NaN is never pruned", tensor.name);
            return Err(Error::file(&tensor.source.path, reason).into());
        }
        before.push(old);
        after.push(new);
        zero_rows.push(rows.found());
        Ok(())
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let before = sums::reports(before.iter().map(|sums| (sums, &none)))?;
    let after = sums::reports(after.iter().map(|sums| (sums, &none)))?;
    let bytes = tensors.iter().map(Tensor::bytes).sum();

    let device = Device::of(&backend);
    let mut out_lines = output::stdout();
    if args.json || args.report {
        let mut object = Map::new();
        object.insert("version".to_owned(), json!(env!("CARGO_PKG_VERSION")));
        object.insert("device".to_owned(), json!(device));
        object.insert("prune".to_owned(), args.description());
        object.insert("out".to_owned(), json!(out.map(|out| out.display().to_string())));
        let both = |b: &Report, a: &Report| json!({"before": numbers(b), "after": numbers(a)});
        object.insert("total".to_owned(), both(&before.total, &after.total));
        let each = tensors.iter().enumerate().map(|(i, tensor)| {
            let mut object = report::identity(tensor);
            object.insert("before".to_owned(), numbers(&before.tensors[i]));
            object.insert("after".to_owned(), numbers(&after.tensors[i]));
            if let Some(threshold) = method.threshold(i, tensor) {
                object.insert("threshold".to_owned(), crate::json::number(threshold));
            }
            if let Some(rows) = &zero_rows[i] {
                object.insert("zero_rows".to_owned(), json!(rows));
            }
            Value::Object(object)
        });
        object.insert("tensors".to_owned(), each.collect());
        report::tail(&mut object, &checkpoint.skipped, bytes, seconds);
        out_lines.json(object)?;
    } else {
        table(&tensors, &before, &after).print(&mut out_lines)?;
        report::footer(&mut out_lines, &checkpoint, &device, bytes, seconds)?;
        match out {
            None => out_lines.line("dry run: nothing was written")?,
            Some(out) => out_lines.line(format_args!("wrote {}", out.display()))?,
        }
    }
    Ok(out_lines.flush()?)
}

/// Prunes a part of a tensor.
fn part<N: Number>(
    method: &mut Method,
    i: usize,
    start: u64,
    bytes: &mut [u8],
    rows: &mut ZeroRows,
) -> penalty::Result<()> {
    let weights = bytemuck::cast_slice_mut::<u8, N>(bytes);
    method.prune(i, start, weights)?;
    rows.read(start, weights);
    Ok(())
}

/// Which slices along the first dimension, rows of a matrix and filters of a convolution, are entirely zero.
struct ZeroRows {
    /// How many weights a row has; 0 if nobody asks.
    len: u64,
    zero: Vec<bool>,
}

impl ZeroRows {
    fn new(tensor: &Tensor, asked: bool) -> ZeroRows {
        let len = if asked && tensor.shape.len() > 1 { crate::groups::row(tensor) } else { 0 };
        ZeroRows { len, zero: vec![true; tensor.len.checked_div(len).unwrap_or(0) as usize] }
    }

    fn read<N: Number>(&mut self, start: u64, mut weights: &[N]) {
        let mut at = start;
        while self.len > 0 && !weights.is_empty() {
            let (row, after) = weights.split_at(weights.len().min((self.len - at % self.len) as usize));
            self.zero[(at / self.len) as usize] &= row.iter().all(N::is_zero);
            at += row.len() as u64;
            weights = after;
        }
    }

    fn found(self) -> Option<Vec<usize>> {
        (self.len > 0).then(|| (0..self.zero.len()).filter(|&row| self.zero[row]).collect())
    }
}

/// The numbers of a report, without the value of a penalty, since there is none.
fn numbers(report: &Report) -> Value {
    let mut numbers = report::numbers(report);
    numbers.remove("value");
    Value::Object(numbers)
}

fn table(tensors: &[Tensor], before: &Reports, after: &Reports) -> Table {
    let headings = ["name", "shape", "type", "weights", "zeros %", "→ zeros %", "Σ|θ|", "→ Σ|θ|"];
    let mut table = Table::new(3, &headings);
    let numbers = |b: &Report, a: &Report| {
        [b.len.to_string(), report::zeros(b), report::zeros(a), report::short(b.l1), report::short(a.l1)]
    };
    for (tensor, (b, a)) in tensors.iter().zip(before.tensors.iter().zip(&after.tensors)) {
        let text = [tensor.name.clone(), report::shape(tensor), tensor.type_name()];
        table.row(text.into_iter().chain(numbers(b, a)));
    }
    let text = ["total", "", ""].map(str::to_owned);
    table.row(text.into_iter().chain(numbers(&before.total, &after.total)));
    table
}
