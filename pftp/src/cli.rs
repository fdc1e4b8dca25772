//! The command: arguments, options, messages, exit codes, progress, log and signals.
//!
//! Typed [arguments] become resolved [options]; the [run] makes a download of them. Errors of the library get advice and an
//! exit code in [failure].

mod advice;
mod arguments;
mod failure;
mod log;
mod options;
mod progress;
mod run;
mod signals;
mod sources;

pub(crate) use failure::{Failure, OTHER};

use arguments::{Arguments, Invocation};
use options::Options;
use std::io::Write;

/// Does what the command line says.
///
/// # Errors
/// A [`Failure`].
pub(crate) fn execute() -> anyhow::Result<()> {
    match Arguments::parse_from_args(std::env::args_os())? {
        Invocation::Print(text) => {
            let mut out = std::io::stdout();
            out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(failure::of_stdout)?;
        }
        Invocation::Download(arguments) => run::run(&Options::resolve(&arguments)?)?,
    }
    Ok(())
}
