//! The command `penalty`: regularization penalties over checkpoint files.

mod args;
mod backend;
mod bench;
mod check;
mod checkpoint;
mod destination;
mod devices;
mod diff;
mod error;
mod eval;
mod fit;
mod float8;
mod groups;
mod json;
mod layout;
mod memory;
mod named;
mod number;
mod output;
mod prune;
mod read;
mod report;
mod rewrite;
mod select;
mod shrink;
mod sums;
mod weights;

use std::io;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use args::{Cli, Command};
use error::{Error, Result};

/// The exit code for unknown options and values that do not parse or are out of range.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    quiet_mesa();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    if let Err(message) = cli.validate() {
        complain(message);
        return ExitCode::from(USAGE);
    }
    match run(&cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // The reader closed the pipe because it has seen enough.
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            // As `diff` does, since 1 says that they differ.
            ExitCode::from(if matches!(cli.command, Command::Diff(_)) { USAGE } else { error.exit_code() })
        }
    }
}

/// Silences Mesa's device-selection layer, which complains on standard error if there is no desktop session.
fn quiet_mesa() {
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: no other thread runs yet.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
}

/// Runs a command. Says no if it is one that asks a question and the answer is no.
fn run(cli: &Cli) -> Result<bool> {
    match &cli.command {
        Command::Eval(args) => eval::run(args)?,
        Command::Shrink(args) => shrink::run(args)?,
        Command::Prune(args) => prune::run(args)?,
        Command::Check(args) => return check::run(args),
        Command::Diff(args) => return diff::run(args),
        Command::Fit(args) => fit::once(args)?,
        Command::Path(args) => fit::path(args)?,
        Command::Cv(args) => fit::cv(args)?,
        Command::Predict(args) => fit::predict(args)?,
        Command::Geometry(args) => fit::geometry(args)?,
        Command::Devices(args) => devices::run(args)?,
        Command::Bench(args) => bench::run(args)?,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "penalty", &mut script);
            io::Write::write_all(&mut io::stdout(), &script)?;
        }
    }
    Ok(true)
}

/// Prints help and version as clap does, and errors in one line.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // If the output is closed, there is nobody to tell.
        let _ = error.print();
        return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
    }
    let text = error.to_string();
    // The advice after the message is cut off. We look for its known beginnings, because an argument quoted in the
    // message may contain empty lines too.
    let advice = ["\n\n  tip: ", "\n\nUsage: ", "\n\nFor more information"];
    let end = advice.iter().filter_map(|begin| text.find(begin)).min().unwrap_or(text.len());
    let message = text[..end].trim_start_matches("error: ");
    let message = message.split([' ', '\n']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    complain(format_args!("{message} (see --help)"));
    ExitCode::from(USAGE)
}

/// Prints one line on standard error.
fn complain(message: impl std::fmt::Display) {
    // If standard error is closed, there is nobody to tell.
    let _ = output::stderr().line(format_args!("penalty: {message}"));
}
