// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Prints answers and errors, as text or as JSON.

use crate::error::Error;
use crate::options::Options;
use serde::Serialize;
use serde_json::json;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Prints an answer. The text of an answer includes its line feeds.
pub(crate) fn print<T: Display + Serialize>(json: bool, answer: &T) -> Result<(), Error> {
    let printed = print_to(&mut io::stdout().lock(), json, answer);
    printed.map_err(|source| Error::File {
        action: "write",
        path: PathBuf::from("standard output"),
        source,
    })
}

/// Prints an answer without mixing it with the bytes for `file`: on standard error if `file` is
/// standard output.
pub(crate) fn print_beside<T: Display + Serialize>(
    file: Option<&Path>,
    json: bool,
    answer: &T,
) -> Result<(), Error> {
    if file != Some(Path::new("-")) {
        return print(json, answer);
    }
    // An error is ignored: standard error is the last place for a message.
    let _ = print_to(&mut io::stderr().lock(), json, answer);
    Ok(())
}

/// Writes an answer as text or as JSON.
fn print_to<T: Display + Serialize>(
    output: &mut impl Write,
    json: bool,
    answer: &T,
) -> io::Result<()> {
    if json {
        serde_json::to_writer(&mut *output, answer)?;
        writeln!(output)?;
    } else {
        write!(output, "{answer}")?;
    }
    output.flush()
}

/// Prints the error, if there is one. Returns the exit status.
pub(crate) fn end(options: &Options, done: Result<(), Error>) -> ExitCode {
    let Err(error) = done else {
        return ExitCode::SUCCESS;
    };
    if let Error::File { source, .. } = &error {
        // The reader stopped reading, as `head` does. That is no error.
        if source.kind() == ErrorKind::BrokenPipe {
            return ExitCode::SUCCESS;
        }
    }
    say(options.json, &error.to_string(), error.advice());
    ExitCode::from(error.status())
}

/// Prints the error in the command line. Returns the exit status. Help and version are always text,
/// with status 0.
pub(crate) fn misunderstood(
    error: &clap::Error,
    arguments: impl Iterator<Item = OsString>,
) -> ExitCode {
    // Words after `--` are files, not options.
    let mut options = arguments.take_while(|argument| argument != "--");
    if !error.use_stderr() || !options.any(|option| option == "--json") {
        error.exit();
    }
    let text = error.to_string();
    let (what, advice) = parts(&text);
    say(true, what, advice);
    ExitCode::from(2)
}

/// Splits a text of clap into the error and its advice: the usage, and where to find more.
fn parts(text: &str) -> (&str, Option<&str>) {
    let text = text.strip_prefix("error: ").unwrap_or(text).trim_end();
    match text.split_once("\n\n") {
        Some((what, advice)) => (what, Some(advice.trim_start())),
        None => (text, None),
    }
}

/// Prints an error and its advice.
fn say(json: bool, what: &str, advice: Option<&str>) {
    if json {
        let object = json!({ "error": what, "advice": advice });
        // An error is ignored: standard output is the only place for JSON.
        let _ = writeln!(io::stdout(), "{object}");
    } else {
        eprintln!("ringbarctl: {what}");
        if let Some(advice) = advice {
            eprintln!("  {advice}");
        }
    }
}
