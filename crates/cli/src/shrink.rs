//! `penalty shrink`.

use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use penalty::exact::Partial;
use penalty::{Backend, Penalty, Reports};
use serde_json::{Value, json};

use crate::args;
use crate::backend::Device;
use crate::checkpoint::{Checkpoint, Source, Tensor, plain};
use crate::destination::Destination;
use crate::error::{Error, Result};
use crate::output;
use crate::read::{self, Held, Progress};
use crate::report::{self, Table};

/// The number of bytes copied at a time where nothing changes.
const COPY: u64 = 1 << 20;

pub(crate) fn run(args: &args::Shrink) -> Result<()> {
    let asked = args.asked()?;
    // Only a projection or a choice lacks a step, and its prox is the same at every step.
    let step = args.step.unwrap_or(1.0);
    if Checkpoint::is_sharded(&args.file) {
        // Opening the index first reports its own errors, if it is not a valid one.
        Checkpoint::open(&args.file)?;
        return Err(Error::file(&args.file, "is an index of a sharded checkpoint: shrink each of its shards"));
    }
    // We check the destination before reading anything.
    let destination = (!args.dry_run).then(|| Destination::new(&args.out, args.force)).transpose()?;
    let source = Source::open(&args.file)?;
    let mut checkpoint = Checkpoint::of(source.clone())?;
    args.selection.choose(&mut checkpoint, std::slice::from_ref(&args.file))?;
    let penalties = asked.penalties(&checkpoint.tensors)?;
    let element_weights = args.penalty.element_weights(&checkpoint.tensors)?;
    let unfinished = destination.as_ref().map(Destination::unfinished).transpose()?;

    let backend = args.backend.open()?;
    let started = Instant::now();
    let write = |out: &mut dyn Write| {
        rewrite(&backend, (&penalties, step), &source, &checkpoint.tensors, &element_weights, out)
            .and_then(|sums| Ok(out.flush().map(|()| sums)?))
            .map_err(|error| error.of(&args.out))
    };
    let (before, after) = match unfinished {
        None => write(&mut io::sink())?,
        Some(mut unfinished) => {
            let sums = write(&mut BufWriter::with_capacity(1 << 16, unfinished.file()))?;
            unfinished.finish(&source)?;
            sums
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    let before = Reports::new(before.iter().zip(&penalties))?;
    let after = Reports::new(after.iter().zip(&penalties))?;
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
        report::footer(&mut out, &checkpoint.skipped, &device, bytes, seconds)?;
        match args.dry_run {
            true => out.line("dry run: nothing was written")?,
            false => out.line(format_args!("wrote {}", args.out.display()))?,
        }
    }
    Ok(out.flush()?)
}

/// A failure to read or to write. Only the caller knows the name of the file that is written.
enum Failure {
    Read(Error),
    Written(io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Read(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Written(error)
    }
}

impl Failure {
    fn of(self, out: &Path) -> Error {
        match self {
            Failure::Read(error) => error,
            Failure::Written(error) => Error::file(out, format!("cannot be written: {}", plain(&error))),
        }
    }
}

/// Copies a file and applies the prox to each of the tensors. Returns their statistics before and after.
fn rewrite(
    backend: &Backend,
    (penalties, step): (&[Penalty], f64),
    source: &Arc<Source>,
    tensors: &[Tensor],
    element_weights: &[Tensor],
    out: &mut dyn Write,
) -> Result<(Vec<Partial>, Vec<Partial>), Failure> {
    let progress = Progress::new(source.len);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut held = Held::default();
    let mut at = 0;
    for (i, (tensor, penalty)) in tensors.iter().zip(penalties).enumerate() {
        copy(source, at..tensor.offset, out, &progress)?;
        let (mut old, mut new) = (Partial::default(), Partial::default());
        for chunk in read::chunks_of(i, tensor, penalty, element_weights.get(i), read::DEVICE_CHUNK) {
            chunk.read(&mut held)?;
            old.merge(&chunk.partial(backend, &held)?);
            chunk.prox(backend, step, &mut held)?;
            out.write_all(&chunk.stored(&held))?;
            progress.add(chunk.bytes());
            new.merge(&chunk.partial(backend, &held)?);
        }
        before.push(old);
        after.push(new);
        // An empty tensor may begin where another tensor begins, and come after it in the list.
        at = at.max(tensor.offset + tensor.bytes());
    }
    copy(source, at..source.len, out, &progress)?;
    Ok((before, after))
}

fn copy(source: &Source, range: Range<u64>, out: &mut dyn Write, progress: &Progress) -> Result<(), Failure> {
    let mut buffer = vec![0; COPY.min(range.end.saturating_sub(range.start)) as usize];
    let mut at = range.start;
    while at < range.end {
        let part = &mut buffer[..COPY.min(range.end - at) as usize];
        source.read_at(part, at)?;
        out.write_all(part)?;
        progress.add(part.len());
        at += part.len() as u64;
    }
    Ok(())
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
        table.row(row(tensor.name.clone(), tensor.dtype.to_string(), b, a));
    }
    table.row(row("total".to_owned(), String::new(), &before.total, &after.total));
    table
}
