//! Writes the result: checks what `--out` names, and writes a temporary file or folder that takes its place once it is
//! complete.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::path::{self, Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::{NamedTempFile, TempDir};

use crate::checkpoint::{Checkpoint, Part, Source, plain};
use crate::error::{Error, Result};
use crate::output;

/// How the names of temporary files and folders begin.
pub(crate) const PREFIX: &str = ".penalty-";

/// A free name, or a regular file or a folder that we may replace.
pub(crate) struct Destination<'a> {
    /// The path that the user gave.
    out: &'a Path,
    /// The same path with its symbolic links followed.
    path: PathBuf,
    force: bool,
    /// Whether it is a folder.
    folder: bool,
}

/// The result written so far, beside its destination. It is removed unless it is finished, even if a signal ends the
/// process.
pub(crate) struct Unfinished<'a> {
    destination: &'a Destination<'a>,
    checkpoint: &'a Checkpoint,
    temporary: Temporary,
}

enum Temporary {
    File(NamedTempFile),
    Folder(TempDir),
}

impl<'a> Destination<'a> {
    /// Where a checkpoint is to be written: in a file or in a folder.
    pub(crate) fn new(out: &'a Path, force: bool, into_folder: bool) -> Result<Destination<'a>> {
        let exists = match fs::metadata(out) {
            Ok(metadata) if metadata.is_dir() && !into_folder => return Err(Error::file(out, "is a directory")),
            Ok(metadata) if metadata.is_dir() => true,
            Ok(metadata) if !metadata.is_file() => {
                let found = kind(&metadata);
                return Err(Error::file(out, format!("must be a regular file or a new name, found {found}")));
            }
            Ok(_) if into_folder => {
                return Err(Error::file(out, "is a file, and the shards are written to a directory: give a new name"));
            }
            Ok(_) => true,
            // A link that leads nowhere counts as existing too.
            Err(error) if error.kind() == ErrorKind::NotFound => fs::symlink_metadata(out).is_ok(),
            Err(error) => return Err(failed(out)(error)),
        };
        if exists && !force {
            let what = if into_folder { "replaces" } else { "overwrites" };
            return Err(Error::file(out, format!("exists; --force {what} it")));
        }
        let last = out.to_string_lossy();
        let last = if into_folder { last.trim_end_matches(path::is_separator) } else { &last };
        if matches!(last.rsplit(path::is_separator).next(), Some("" | "." | "..")) {
            return Err(Error::file(out, "names a folder; name the file in it"));
        }
        Ok(Destination { out, path: followed(out), force, folder: into_folder })
    }

    /// Rejects a folder that has files which its replacement lacks.
    fn keeps_files(&self, checkpoint: &Checkpoint) -> Result<()> {
        let places = checkpoint.parts().map(|part| part.place.as_path());
        let ours: BTreeSet<&Path> = places.flat_map(Path::ancestors).collect();
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop().filter(|_| self.path.is_dir()) {
            for entry in fs::read_dir(self.path.join(&folder)).map_err(failed(self.out))? {
                let entry = entry.map_err(failed(self.out))?;
                let place = folder.join(entry.file_name());
                if !ours.contains(place.as_path()) {
                    let reason = format!("has {place:?}, which would be lost: give a new name, or move it away");
                    return Err(Error::file(self.out, reason));
                }
                if entry.file_type().map_err(failed(self.out))?.is_dir() {
                    folders.push(place);
                }
            }
        }
        Ok(())
    }

    /// Names what runs that were killed left beside the destination.
    fn name_others(&self) {
        let entries = fs::read_dir(folder(&self.path)).into_iter().flatten().flatten();
        let is_of_a_dead_run = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()?.parse().ok());
            process.is_some_and(|process| !signals::lives(process))
        };
        let mut others: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_of_a_dead_run).collect();
        others.sort();
        for other in others {
            let text = "a run left it that was killed, or writes it on another machine";
            // If standard error is closed, there is nobody to tell.
            let _ = output::stderr().line(format_args!("penalty: {}: {text}", other.display()));
        }
    }

    /// Begins to write a checkpoint's replacement.
    pub(crate) fn unfinished<'b>(&'b self, checkpoint: &'b Checkpoint) -> Result<Unfinished<'b>> {
        let is_converted = checkpoint.files.iter().any(|part| !part.layout.head.is_empty());
        let ending = self.out.extension().unwrap_or_default();
        if is_converted && !self.folder && ["pt", "pth", "bin", "ckpt"].iter().any(|known| ending == *known) {
            let reason = "would hold safetensors under the name of a PyTorch file: give one that ends in .safetensors";
            return Err(Error::file(self.out, reason));
        }
        self.keeps_files(checkpoint)?;
        self.name_others();
        signals::watch().map_err(failed(self.out))?;
        let mut current = current();
        let (mut builder, beside) = (tempfile::Builder::new(), folder(&self.path));
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let builder = builder.prefix(&prefix);
        let temporary = match self.folder {
            false => builder.tempfile_in(beside).map(Temporary::File),
            true => builder.tempdir_in(beside).map(Temporary::Folder),
        };
        let temporary = temporary.map_err(failed(self.out))?;
        *current = Some(temporary.path().to_owned());
        Ok(Unfinished { destination: self, checkpoint, temporary })
    }
}

impl Temporary {
    fn path(&self) -> &Path {
        match self {
            Temporary::File(file) => file.path(),
            Temporary::Folder(folder) => folder.path(),
        }
    }
}

impl Unfinished<'_> {
    /// The file that takes the place of a part of the checkpoint.
    pub(crate) fn create(&self, part: &Part) -> Result<File> {
        let created = match &self.temporary {
            Temporary::File(file) => file.as_file().try_clone(),
            Temporary::Folder(folder) => {
                let path = folder.path().join(&part.place);
                let _held = current();
                path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| File::create_new(path))
            }
        };
        created.map_err(failed(self.destination.out))
    }

    /// Brings a complete file to the disk.
    pub(crate) fn complete(&self, file: &File, source: &Source) -> Result<()> {
        // A temporary file is private to its owner. The result gets the checkpoint's permissions, so the same people
        // can read it.
        let permissions = permissions(&source.path)?;
        file.set_permissions(permissions).and_then(|()| file.sync_all()).map_err(failed(self.destination.out))
    }

    /// Moves the complete result into place. If the process ends at any moment, either the whole old one or the whole new
    /// one is there.
    pub(crate) fn finish(self) -> Result<()> {
        let Unfinished { destination, checkpoint, temporary } = self;
        let Destination { out, ref path, force, .. } = *destination;
        match temporary {
            Temporary::File(file) => {
                let mut current = current();
                let persisted = if force { file.persist(path) } else { file.persist_noclobber(path) };
                persisted.map_err(|error| failed(out)(error.error))?;
                *current = None;
            }
            Temporary::Folder(temporary) => {
                for part in checkpoint.parts().filter_map(|part| part.place.parent()).chain([Path::new("")]) {
                    sync(&temporary.path().join(part)).map_err(failed(out))?;
                }
                if let Some(part) = checkpoint.index.as_ref().or(checkpoint.files.first()) {
                    let permissions = permissions(folder(&part.source.path))?;
                    fs::set_permissions(temporary.path(), permissions).map_err(failed(out))?;
                }
                let mut current = current();
                if path.is_dir() && force {
                    destination.keeps_files(checkpoint)?;
                    folders::exchange(temporary.path(), path).map_err(|error| {
                        let reason =
                            format!("cannot be replaced in one step here ({}): give a new name", plain(&error));
                        Error::file(out, reason)
                    })?;
                    sync(folder(path)).map_err(failed(out))?;
                    // Now this is the old one.
                    temporary.close().map_err(failed(out))?;
                } else {
                    folders::rename_to_new(temporary.path(), path).map_err(failed(out))?;
                    let _moved = temporary.keep();
                }
                *current = None;
            }
        }
        sync(folder(path)).map_err(failed(out))
    }
}

fn permissions(path: &Path) -> Result<Permissions> {
    fs::metadata(path).map(|metadata| metadata.permissions()).map_err(|error| Error::file(path, plain(&error)))
}

/// Brings the names in a folder to the disk.
fn sync(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder).and_then(|folder| folder.sync_all()) } else { Ok(()) }
}

/// The path of the unfinished file or folder. Code that creates, renames or removes it, or a file in it, holds this lock.
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

/// The folder of a file that a path names.
pub(crate) fn folder(path: &Path) -> &Path {
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

/// Renames folders in one step.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
mod folders {
    use std::io;
    use std::path::Path;

    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;

    pub(super) fn exchange(a: &Path, b: &Path) -> io::Result<()> {
        Ok(renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)?)
    }

    pub(super) fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // A file system without this: a plain rename replaces nothing but an empty folder.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => std::fs::rename(from, to),
            renamed => Ok(renamed?),
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
mod folders {
    use std::io;
    use std::path::Path;

    pub(super) fn exchange(_: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }
}

/// Handles the signals that end the process: it removes what is unfinished first.
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

    /// Whether a process is there.
    pub(super) fn lives(process: i32) -> bool {
        let process = rustix::process::Pid::from_raw(process);
        process.is_some_and(|process| rustix::process::test_kill_process(process) != Err(rustix::io::Errno::SRCH))
    }

    pub(super) fn watch() -> io::Result<()> {
        // With a handler, a write beyond the file size limit is an ordinary error.
        flag::register(SIGXFSZ, Arc::default())?;
        let mut signals = Signals::new(ENDING.into_iter().filter(|&signal| !is_ignored(signal)))?;
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            if let Some(signal) = signals.forever().next() {
                // We hold the lock until the process ends, so that no more files are created or renamed.
                let current = super::current();
                // If an error came before the signal, the file is already gone.
                let _ = current.as_ref().map(|path| fs::remove_file(path).or_else(|_| fs::remove_dir_all(path)));
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
    /// Nothing here tells, so nobody's file is named.
    pub(super) fn lives(_: i32) -> bool {
        true
    }

    pub(super) fn watch() -> std::io::Result<()> {
        Ok(())
    }
}
