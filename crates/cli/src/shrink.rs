//! `penalty shrink`.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use penalty::{Backend, Partial, Penalty, Reports};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::args;
use crate::backend::Device;
use crate::checkpoint::{Checkpoint, Source, Tensor, plain};
use crate::error::{Error, Result};
use crate::read::{self, Held, Progress};
use crate::report::{self, Table};

/// What is copied at a time of a part that does not change.
const COPY: u64 = 1 << 20;

pub(crate) fn run(args: &args::Shrink) -> Result<()> {
    let asked = args.asked()?;
    // Only a projection or a choice has none, and it is the same at every one.
    let step = args.step.unwrap_or(1.0);
    if Checkpoint::is_sharded(&args.file) {
        return Err(Error::file(&args.file, "is an index of a sharded checkpoint: shrink each of its shards"));
    }
    let source = Source::open(&args.file)?;
    let mut checkpoint = Checkpoint::of(source.clone())?;
    args.selection.check(checkpoint.names())?;
    checkpoint.tensors.retain(|tensor| args.selection.selects(&tensor.name));
    checkpoint.skipped.retain(|skipped| args.selection.selects(&skipped.name));
    let penalties = asked.penalties(&checkpoint.tensors)?;
    let own = args.penalty.own(&checkpoint.tensors)?;
    let destination = match args.dry_run {
        true => Destination::Nowhere,
        false => Destination::new(&args.out, args.force)?,
    };

    let backend = args.backend.open()?;
    let started = Instant::now();
    let (before, after) = match destination {
        Destination::Nowhere => {
            rewrite(&backend, (&penalties, step), &source, &checkpoint.tensors, &own, &mut io::sink())
                .map_err(|error| error.of(&args.out))?
        }
        Destination::File { mut temporary, force } => {
            let mut buffered = BufWriter::with_capacity(1 << 16, temporary.as_file_mut());
            let sums = rewrite(&backend, (&penalties, step), &source, &checkpoint.tensors, &own, &mut buffered)
                .and_then(|sums| Ok(buffered.flush().map(|()| sums)?))
                .map_err(|error| error.of(&args.out))?;
            drop(buffered);
            persist(temporary, &source, &args.out, force)?;
            sums
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    let before = Reports::new(before.iter().zip(&penalties))?;
    let after = Reports::new(after.iter().zip(&penalties))?;
    let bytes = checkpoint.tensors.iter().chain(&own).map(Tensor::bytes).sum();

    let device = Device::of(&backend);
    let mut out = BufWriter::new(io::stdout().lock());
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
        report::print_json(&mut out, object)?;
    } else {
        table(&checkpoint, &before, &after).print(&mut out)?;
        report::footer(&mut out, &checkpoint.skipped, &device, bytes, seconds)?;
        match args.dry_run {
            true => writeln!(out, "dry run: nothing was written")?,
            false => writeln!(out, "wrote {}", args.out.display())?,
        }
    }
    Ok(out.flush()?)
}

/// Where the result goes.
enum Destination {
    Nowhere,
    /// A temporary file beside OUT, which takes its place once complete.
    File {
        temporary: NamedTempFile,
        force: bool,
    },
}

impl Destination {
    fn new(out: &Path, force: bool) -> Result<Destination> {
        if out.is_dir() {
            return Err(Error::file(out, "is a directory"));
        }
        // A link that leads nowhere is in the way too.
        if !force && fs::symlink_metadata(out).is_ok() {
            return Err(Error::file(out, "exists; --force overwrites it"));
        }
        let temporary = tempfile::Builder::new()
            .prefix(".penalty-")
            .tempfile_in(folder(out))
            .map_err(|error| Error::file(out, format!("cannot be written: {}", plain(source_of(&error)))))?;
        Ok(Destination::File { temporary, force })
    }
}

/// The error below the path that tempfile adds.
fn source_of(error: &io::Error) -> &io::Error {
    let inner = error.get_ref().and_then(|inner| inner.source()).and_then(|source| source.downcast_ref());
    inner.unwrap_or(error)
}

fn folder(out: &Path) -> &Path {
    out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A failure between reading and writing; only the caller knows which file is written.
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

/// Copies a file, each of the tensors through the prox; returns their statistics before and after.
fn rewrite(
    backend: &Backend,
    (penalties, step): (&[Penalty], f64),
    source: &Arc<Source>,
    tensors: &[Tensor],
    own: &[Tensor],
    out: &mut impl Write,
) -> Result<(Vec<Partial>, Vec<Partial>), Failure> {
    let progress = Progress::new(source.len);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut held = Held::default();
    let mut at = 0;
    for (i, (tensor, penalty)) in tensors.iter().zip(penalties).enumerate() {
        copy(source, at..tensor.offset, out, &progress)?;
        let (mut old, mut new) = (Partial::default(), Partial::default());
        for chunk in read::chunks_of(i, tensor, penalty, own.get(i), read::DEVICE_CHUNK) {
            chunk.read(&mut held)?;
            old.merge(&chunk.partial(backend, &held)?);
            chunk.prox(backend, step, &mut held)?;
            out.write_all(&bytemuck::cast_slice(&held.theta)[..chunk.bytes()])?;
            progress.add(chunk.bytes());
            new.merge(&chunk.partial(backend, &held)?);
        }
        before.push(old);
        after.push(new);
        at = tensor.offset + tensor.bytes();
    }
    copy(source, at..source.len, out, &progress)?;
    Ok((before, after))
}

fn copy(
    source: &Source,
    range: std::ops::Range<u64>,
    out: &mut impl Write,
    progress: &Progress,
) -> Result<(), Failure> {
    let mut buffer = vec![0; COPY.min(range.end - range.start) as usize];
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

/// Puts the finished file in OUT's place: a kill at any moment leaves the old one or the new one, whole.
fn persist(temporary: NamedTempFile, source: &Source, out: &Path, force: bool) -> Result<()> {
    let written = |error: io::Error| Error::file(out, format!("cannot be written: {}", plain(&error)));
    // A temporary file is its owner's alone; the result is for whoever could read the checkpoint.
    let permissions = source.file.metadata().map_err(|error| Error::file(&source.path, plain(&error)))?.permissions();
    temporary.as_file().set_permissions(permissions).map_err(written)?;
    temporary.as_file().sync_all().map_err(written)?;
    let persisted = if force { temporary.persist(out) } else { temporary.persist_noclobber(out) };
    persisted.map_err(|error| written(error.error))?;
    if cfg!(unix) {
        // The new name is on the disk once its folder is.
        File::open(folder(out)).and_then(|folder| folder.sync_all()).map_err(written)?;
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
        table.row(row(report::name(&tensor.name), tensor.dtype.to_string(), b, a));
    }
    table.row(row("total".to_owned(), String::new(), &before.total, &after.total));
    table
}
