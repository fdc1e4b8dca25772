//! Downloads a file with progress: `download URL PATH`.

use pftp::{Destination, Download, DownloadNotice, Observer, Outcome, Progress, Settings, Source};
use std::error::Error;
use std::process::ExitCode;

/// Shows progress and notices on standard error.
struct Terminal;

impl Observer for Terminal {
    fn progress(&mut self, progress: &Progress) {
        let size = progress.size.map_or_else(|| "?".to_owned(), |size| size.to_string());
        eprint!("\r{} of {size} bytes over {} connections", progress.done, progress.connections);
    }

    fn notice(&mut self, notice: &DownloadNotice) {
        eprintln!("\r{notice}");
    }
}

fn main() -> ExitCode {
    match download() {
        Ok(outcome) => eprintln!("\r{outcome:?}"),
        Err(error) => {
            eprintln!("\r{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn download() -> Result<Outcome, Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, path] = &args[..] else { return Err("usage: download URL PATH".into()) };
    let mut settings = Settings::default();
    settings.retries = 2;
    let download = Download::new(vec![Source::parse(url)?], Destination::File(path.into()), settings)?;
    Ok(download.run(&mut Terminal)?)
}
