//! A file, open for reading.

use std::fs::{self, File};
#[cfg(not(unix))]
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};

/// A file of a checkpoint, open for reading.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    pub(crate) len: u64,
    /// Whether it is a copy of what the file at the path has.
    pub(super) temporary: bool,
}

impl Source {
    pub(crate) fn open(path: &Path) -> Result<Arc<Source>> {
        // We check the type before opening, because opening a pipe waits until someone writes to it.
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
        Ok(Arc::new(Source { path: path.to_owned(), file, len: metadata.len(), temporary: false }))
    }

    pub(super) fn error(&self, reason: impl std::fmt::Display) -> Error {
        Error::file(&self.path, reason)
    }

    /// Fills a buffer from an offset in the file. Several threads may call it at once.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        let read = {
            #[cfg(unix)]
            {
                std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, offset)
            }
            #[cfg(not(unix))]
            {
                let mut file = &self.file;
                // Here a read moves the file's only position, so one thread at a time may seek and read.
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

/// The text of a system error, without its number.
pub(crate) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
