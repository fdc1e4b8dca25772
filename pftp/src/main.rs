//! The `pftp` command.

mod cli;

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let failure = error.downcast_ref::<cli::Failure>();
            if !failure.is_some_and(cli::Failure::is_quiet) {
                // If standard error takes nothing, there is no other place for the message.
                let _ = writeln!(std::io::stderr(), "pftp: {error:#}");
            }
            failure.map_or_else(|| ExitCode::from(cli::OTHER), ExitCode::from)
        }
    }
}
