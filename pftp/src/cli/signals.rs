//! Signals that stop the command.

use super::failure::Failure;
use pftp::{CancelHandle, ErrorKind};
use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// A signal that stops the command in order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Signal {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Signal {
    /// Returns the exit code.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

/// How long an orderly end may take after a signal.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// The signals of the running command.
#[derive(Debug)]
pub(super) struct Signals {
    first: Arc<OnceLock<Signal>>,
}

impl Signals {
    /// Cancels the download in order at the first signal, and ends the program at once at the second. A download that has not
    /// ended a second after the first signal ends with the program; `can_resume` is for its message.
    ///
    /// # Errors
    /// A [`Failure`] if the signals cannot be watched.
    pub(super) fn watch(cancel: CancelHandle, can_resume: bool) -> Result<Self, Failure> {
        let first = Arc::new(OnceLock::new());
        watch(cancel, can_resume, Arc::clone(&first))
            .map_err(|error| Failure::new(ErrorKind::Other, format!("cannot watch for signals: {error}")))?;
        Ok(Self { first })
    }

    /// Returns the signal that cancelled the download.
    pub(super) fn first(&self) -> Option<Signal> {
        self.first.get().copied()
    }
}

fn watch(cancel: CancelHandle, can_resume: bool, first: Arc<OnceLock<Signal>>) -> io::Result<()> {
    for (number, signal) in [(SIGINT, Signal::Interrupt), (SIGTERM, Signal::Terminate)] {
        let seen = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register_conditional_shutdown(number, signal.code().into(), seen.clone())?;
        signal_hook::flag::register(number, seen)?;
    }
    // A file that grows past `ulimit -f` is then an error of the write instead of the end of the program.
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let Some(number) = signals.forever().next() else { return };
        let signal = if number == SIGINT { Signal::Interrupt } else { Signal::Terminate };
        // Cannot fail: this thread alone sets the signal, once.
        let _ = first.set(signal);
        cancel.cancel();
        std::thread::sleep(STOP_WITHIN);
        // The download waits in a write: to a full pipe, or to a file system that does not answer.
        let last_word = format!("pftp: {}\n", Failure::stopped(signal, can_resume));
        let _ = io::stderr().write_all(last_word.as_bytes());
        std::process::exit(signal.code().into());
    })?;
    Ok(())
}
