//! The `pftp` command.

use pftp::cli::{Cli, Invocation};
use pftp::exit::{Failure, Kind};
use pftp::options::Options;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    match execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let failure = error.downcast_ref::<Failure>();
            if !failure.is_some_and(Failure::is_quiet) {
                // Nothing is left to tell it to, should that fail.
                let _ = writeln!(std::io::stderr(), "pftp: {error:#}");
            }
            failure.map_or_else(|| ExitCode::from(Kind::Other.code()), ExitCode::from)
        }
    }
}

fn execute() -> anyhow::Result<()> {
    match Cli::parse_from_args(std::env::args_os())? {
        Invocation::Print(text) => {
            let mut out = std::io::stdout();
            out.write_all(text.as_bytes())
                .and_then(|()| out.flush())
                .map_err(|error| Failure::write("standard output", &error))?;
        }
        Invocation::Download(cli) => pftp::run::run(&Options::resolve(&cli)?)?,
    }
    Ok(())
}
