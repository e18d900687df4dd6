//! What tensors a checkpoint holds, and where in which file.

mod index;
mod json;
mod mistaken;
mod npy;
mod safetensors;

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mistaken::Expected;
use penalty::Dtype;

use crate::error::{Error, Result};

/// A file of a checkpoint, open for reading.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    pub(crate) len: u64,
}

/// A tensor of a type that has penalties.
#[derive(Debug, Clone)]
pub(crate) struct Tensor {
    pub(crate) source: Arc<Source>,
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    /// Whether the file has the bytes of each weight in the other order than this machine.
    pub(crate) swapped: bool,
    pub(crate) shape: Vec<u64>,
    /// How many weights.
    pub(crate) len: u64,
    /// Where they begin in the file, in bytes.
    pub(crate) offset: u64,
    /// Whether the last dimension's weights are consecutive there; else the first one's are.
    pub(crate) row_major: bool,
}

impl Tensor {
    pub(crate) fn bytes(&self) -> u64 {
        self.len * self.dtype.size() as u64
    }
}

/// A tensor that has none.
#[derive(Debug, Clone)]
pub(crate) struct Skipped {
    pub(crate) name: String,
    pub(crate) dtype: String,
    pub(crate) reason: String,
}

/// What a file, or a sharded checkpoint's files, hold; in the files' order.
#[derive(Debug, Default)]
pub(crate) struct Checkpoint {
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) skipped: Vec<Skipped>,
}

impl Checkpoint {
    /// Whether a path names the index of a sharded checkpoint.
    pub(crate) fn is_sharded(path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == "json")
    }

    /// Reads what the headers say; the weights stay in the files.
    pub(crate) fn open(path: &Path) -> Result<Checkpoint> {
        if Checkpoint::is_sharded(path) {
            return index::open(path);
        }
        Checkpoint::of(Source::open(path)?)
    }

    /// The same for a file that is no index.
    pub(crate) fn of(source: Arc<Source>) -> Result<Checkpoint> {
        let mut magic = [0; npy::MAGIC.len()];
        let is_npy = (&source.file).read_exact(&mut magic).is_ok() && magic == npy::MAGIC;
        match source.path.extension().is_some_and(|extension| extension == "npy") {
            _ if is_npy => npy::open(source),
            true => {
                let unknown = || source.error("is no .npy file: its first bytes are not those of a NumPy array");
                Err(source.mistaken(Expected::Npy).unwrap_or_else(unknown))
            }
            false => safetensors::open(source),
        }
    }

    /// The names of all tensors, skipped ones among them.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.tensors.iter().map(|t| t.name.as_str()).chain(self.skipped.iter().map(|s| s.name.as_str()))
    }
}

impl Source {
    pub(crate) fn open(path: &Path) -> Result<Arc<Source>> {
        // Before it is opened: opening a pipe waits for whoever writes to it.
        let metadata = fs::metadata(path).map_err(|error| Error::file(path, plain(&error)))?;
        if metadata.is_dir() {
            return Err(Error::file(path, "is a directory; name the checkpoint file in it"));
        }
        if !metadata.is_file() {
            return Err(Error::file(path, "is no regular file"));
        }
        let file = File::open(path).map_err(|error| Error::file(path, plain(&error)))?;
        if metadata.len() == 0 {
            return Err(Error::file(path, "is empty"));
        }
        Ok(Arc::new(Source { path: path.to_owned(), file, len: metadata.len() }))
    }

    fn error(&self, reason: impl std::fmt::Display) -> Error {
        Error::file(&self.path, reason)
    }

    /// Fills a buffer from a place in the file; several threads may, at once.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        let read = {
            #[cfg(unix)]
            {
                std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, offset)
            }
            #[cfg(not(unix))]
            {
                let mut file = &self.file;
                // Where reading moves the file's one position, only one thread may be between the two calls.
                static POSITION: std::sync::Mutex<()> = std::sync::Mutex::new(());
                let _held = POSITION.lock();
                std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(offset)).and_then(|_| file.read_exact(buffer))
            }
        };
        read.map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => self.error("became shorter while it was read"),
            _ => self.error(plain(&error)),
        })
    }
}

/// An error of the system without its number.
pub(crate) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// How many elements a shape has.
fn elements(shape: &[u64]) -> Option<u64> {
    shape.iter().try_fold(1u64, |product, &n| product.checked_mul(n))
}
