//! Writes a checkpoint anew: each selected tensor as a command makes it, and all else byte for byte.

use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::checkpoint::{Checkpoint, Part, Source, Tensor, plain};
use crate::destination::Unfinished;
use crate::error::{Error, Result};
use crate::read::Progress;

/// The number of bytes copied at a time where nothing changes.
const COPY: u64 = 1 << 20;

/// A failure to read or to write. Only the caller knows the name of the file that is written.
pub(crate) enum Failure {
    Read(Error),
    Written(io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Read(error)
    }
}

impl From<penalty::Error> for Failure {
    fn from(error: penalty::Error) -> Failure {
        Failure::Read(error.into())
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

/// Writes a checkpoint's files, or nothing if there is no destination. `each` writes a tensor, given its index, and says to
/// the progress how far it is.
pub(crate) fn write(
    checkpoint: &Checkpoint,
    out: &Path,
    unfinished: Option<Unfinished<'_>>,
    mut each: impl FnMut(usize, &Tensor, &mut dyn Write, &Progress) -> Result<(), Failure>,
) -> Result<()> {
    let progress = Progress::new(checkpoint.parts().map(Part::bytes).sum());
    for part in checkpoint.parts() {
        let mut written = |out: &mut dyn Write| {
            rewrite(part, &checkpoint.tensors, out, &mut each, &progress).and_then(|()| Ok(out.flush()?))
        };
        match &unfinished {
            None => written(&mut io::sink()).map_err(|error| error.of(out))?,
            Some(unfinished) => {
                let file = unfinished.create(part)?;
                written(&mut BufWriter::with_capacity(1 << 16, &file)).map_err(|error| error.of(out))?;
                unfinished.complete(&file, &part.source)?;
            }
        }
    }
    unfinished.map_or(Ok(()), Unfinished::finish)
}

fn rewrite(
    part: &Part,
    tensors: &[Tensor],
    out: &mut dyn Write,
    each: &mut impl FnMut(usize, &Tensor, &mut dyn Write, &Progress) -> Result<(), Failure>,
    progress: &Progress,
) -> Result<(), Failure> {
    out.write_all(&part.layout.head)?;
    let mut done = vec![false; tensors.len()];
    for (source, range) in &part.layout.ranges {
        let mut at = range.start;
        for (i, tensor) in tensors.iter().enumerate() {
            let is_within = range.start <= tensor.offset && tensor.offset + tensor.bytes() <= range.end;
            // Bytes may be written twice, once for each tensor that has them.
            let is_of_another = tensor.len > 0 && tensor.offset < at;
            if done[i] || !is_within || is_of_another || !Arc::ptr_eq(&tensor.source, source) {
                continue;
            }
            done[i] = true;
            copy(source, at..tensor.offset, out, progress)?;
            each(i, tensor, out, progress)?;
            // An empty tensor may begin where another tensor begins, and come after it in the list.
            at = at.max(tensor.offset + tensor.bytes());
        }
        copy(source, at..range.end, out, progress)?;
    }
    Ok(())
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
