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
    let parts = || checkpoint.files.iter().chain(&checkpoint.index);
    let progress = Progress::new(parts().map(|part| part.source.len).sum());
    for part in parts() {
        let of_part = |(_, tensor): &(usize, &Tensor)| Arc::ptr_eq(&tensor.source, &part.source);
        let tensors: Vec<(usize, &Tensor)> = checkpoint.tensors.iter().enumerate().filter(of_part).collect();
        let mut written =
            |out: &mut dyn Write| rewrite(part, &tensors, out, &mut each, &progress).and_then(|()| Ok(out.flush()?));
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
    tensors: &[(usize, &Tensor)],
    out: &mut dyn Write,
    each: &mut impl FnMut(usize, &Tensor, &mut dyn Write, &Progress) -> Result<(), Failure>,
    progress: &Progress,
) -> Result<(), Failure> {
    let mut at = 0;
    for &(i, tensor) in tensors {
        copy(&part.source, at..tensor.offset, out, progress)?;
        each(i, tensor, out, progress)?;
        // An empty tensor may begin where another tensor begins, and come after it in the list.
        at = at.max(tensor.offset + tensor.bytes());
    }
    copy(&part.source, at..part.source.len, out, progress)
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
