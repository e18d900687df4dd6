//! Writes the result: checks what `--out` names, and writes a temporary file that takes its place once it is complete.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::path::{self, Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::NamedTempFile;

use crate::checkpoint::{Source, plain};
use crate::error::{Error, Result};

/// A free name, or a regular file that we may replace.
pub(crate) struct Destination<'a> {
    /// The path that the user gave.
    out: &'a Path,
    /// The same path with its symbolic links followed.
    path: PathBuf,
    force: bool,
}

/// The result written so far, in the folder of its destination. It is removed unless it is finished, even if a signal
/// ends the process.
pub(crate) struct Unfinished<'a> {
    destination: &'a Destination<'a>,
    temporary: NamedTempFile,
}

impl<'a> Destination<'a> {
    pub(crate) fn new(out: &'a Path, force: bool) -> Result<Destination<'a>> {
        let exists = match fs::metadata(out) {
            Ok(metadata) if metadata.is_dir() => return Err(Error::file(out, "is a directory")),
            Ok(metadata) if !metadata.is_file() => {
                let found = kind(&metadata);
                return Err(Error::file(out, format!("must be a regular file or a new name, found {found}")));
            }
            Ok(_) => true,
            // A link that leads nowhere counts as existing too.
            Err(error) if error.kind() == ErrorKind::NotFound => fs::symlink_metadata(out).is_ok(),
            Err(error) => return Err(failed(out)(error)),
        };
        if exists && !force {
            return Err(Error::file(out, "exists; --force overwrites it"));
        }
        if matches!(out.to_string_lossy().rsplit(path::is_separator).next(), Some("" | "." | "..")) {
            return Err(Error::file(out, "names a folder; name the file in it"));
        }
        Ok(Destination { out, path: followed(out), force })
    }

    pub(crate) fn unfinished(&self) -> Result<Unfinished<'_>> {
        signals::watch().map_err(failed(self.out))?;
        let mut current = current();
        let temporary =
            tempfile::Builder::new().prefix(".penalty-").tempfile_in(folder(&self.path)).map_err(failed(self.out))?;
        *current = Some(temporary.path().to_owned());
        Ok(Unfinished { destination: self, temporary })
    }
}

impl Unfinished<'_> {
    pub(crate) fn file(&mut self) -> &mut File {
        self.temporary.as_file_mut()
    }

    /// Moves the file into place. If the process ends at any moment, either the whole old file or the whole new one is
    /// there.
    pub(crate) fn finish(self, source: &Source) -> Result<()> {
        let Unfinished { destination: &Destination { out, ref path, force }, temporary } = self;
        // A temporary file is private to its owner. The result gets the checkpoint's permissions, so the same people
        // can read it.
        let permissions =
            source.file.metadata().map_err(|error| Error::file(&source.path, plain(&error)))?.permissions();
        temporary.as_file().set_permissions(permissions).map_err(failed(out))?;
        temporary.as_file().sync_all().map_err(failed(out))?;
        {
            let mut current = current();
            let persisted = if force { temporary.persist(path) } else { temporary.persist_noclobber(path) };
            persisted.map_err(|error| failed(out)(error.error))?;
            *current = None;
        }
        if cfg!(unix) {
            // The new name is safely on the disk only once its folder is.
            File::open(folder(path)).and_then(|folder| folder.sync_all()).map_err(failed(out))?;
        }
        Ok(())
    }
}

/// The path of the unfinished file. Code that creates, renames or removes that file holds this lock.
fn current() -> MutexGuard<'static, Option<PathBuf>> {
    static CURRENT: Mutex<Option<PathBuf>> = Mutex::new(None);
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The end of a path's symbolic links; nothing need exist there.
fn followed(out: &Path) -> PathBuf {
    if let Ok(path) = fs::canonicalize(out) {
        return path;
    }
    let mut path = out.to_owned();
    while let Ok(target) = fs::read_link(&path) {
        path = folder(&path).join(target);
    }
    path
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn failed(out: &Path) -> impl Fn(io::Error) -> Error {
    move |error| {
        // tempfile adds a path to the system's error; we take the system's error itself.
        let inner = error.get_ref().and_then(|inner| inner.source()).and_then(|source| source.downcast_ref());
        Error::file(out, format!("cannot be written: {}", plain(inner.unwrap_or(&error))))
    }
}

/// Describes a file that is neither a regular file nor a directory.
fn kind(metadata: &Metadata) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = metadata.file_type();
        if kind.is_fifo() {
            return "a pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    let _ = metadata;
    "something else"
}

/// Handles the signals that end the process: it removes the unfinished file first.
#[cfg(unix)]
mod signals {
    use std::ffi::c_int;
    use std::sync::Arc;
    use std::{fs, io, mem, ptr, thread};

    use signal_hook::consts::signal::*;
    use signal_hook::iterator::Signals;
    use signal_hook::{flag, low_level};

    /// The signals that people, terminals and batch systems send to end a process.
    const ENDING: [c_int; 8] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGALRM, SIGUSR1, SIGUSR2, SIGXCPU];

    pub(super) fn watch() -> io::Result<()> {
        // With a handler, a write beyond the file size limit is an ordinary error.
        flag::register(SIGXFSZ, Arc::default())?;
        let mut signals = Signals::new(ENDING.into_iter().filter(|&signal| !is_ignored(signal)))?;
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            if let Some(signal) = signals.forever().next() {
                // We hold the lock until the process ends, so that no more files are created or renamed.
                let current = super::current();
                // If an error came before the signal, the file is already gone.
                let _ = current.as_ref().map(fs::remove_file);
                let _ = low_level::emulate_default_handler(signal);
            }
        })?;
        Ok(())
    }

    /// Whether the parent process set this signal to be ignored, as `nohup` does.
    fn is_ignored(signal: c_int) -> bool {
        // SAFETY: all zeros are a valid sigaction. With a null pointer for the new action, the call changes nothing and
        // only writes the current action.
        unsafe {
            let mut action: libc::sigaction = mem::zeroed();
            libc::sigaction(signal, ptr::null(), &mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
        }
    }
}

#[cfg(not(unix))]
mod signals {
    pub(super) fn watch() -> std::io::Result<()> {
        Ok(())
    }
}
