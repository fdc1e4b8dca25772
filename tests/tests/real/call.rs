//! Calls of the `pftp` command, with their logs.

use std::ffi::OsString;
use std::fmt::{self, Write as _};

use pftp_tests::command::{Done, Pftp};

use crate::log::Log;

/// The names of the call's own files.
const LOG: &str = "call.log";
const CONFIG: &str = "call.conf";

/// A quiet call that writes a log.
pub(crate) struct Call(Pftp);

/// A call that has ended.
pub(crate) struct Outcome {
    done: Done,
    pub(crate) log: Log,
}

impl Call {
    pub(crate) fn new(transport: &str) -> Self {
        Self(Pftp::new(["--transport", transport, "--quiet", "--log", LOG]))
    }

    /// A call that writes notes, too.
    pub(crate) fn talkative(transport: &str) -> Self {
        Self(Pftp::new(["--transport", transport, "--log", LOG]))
    }

    pub(crate) fn arg(self, arg: impl Into<OsString>) -> Self {
        Self(self.0.arg(arg))
    }

    pub(crate) fn args<T: Into<OsString>>(self, args: impl IntoIterator<Item = T>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    pub(crate) fn connections(self, connections: usize) -> Self {
        self.args(["--connections".to_owned(), connections.to_string()])
    }

    pub(crate) fn min_segment(self, size: &str) -> Self {
        self.args(["--min-segment", size])
    }

    /// Uses a config file with this text.
    pub(crate) fn config(self, text: &str) -> Self {
        Self(self.0.with_file(CONFIG, text)).args(["--thread", CONFIG])
    }

    pub(crate) fn run(self) -> Outcome {
        let done = self.0.run();
        let log = if done.files().iter().any(|name| name == LOG) { done.read(LOG) } else { Vec::new() };
        Outcome { done, log: Log::new(&String::from_utf8_lossy(&log)) }
    }
}

impl Outcome {
    /// Panics unless the call succeeded silently and left one file with exactly these bytes.
    #[track_caller]
    pub(crate) fn expect_file(&self, name: &str, bytes: &[u8]) -> &Self {
        self.expect_success([name].as_slice());
        self.expect_same(&self.done.read(name), bytes);
        assert!(self.done.stdout.is_empty(), "{self}");
        self
    }

    /// Panics unless the call succeeded silently, left no file, and wrote exactly these bytes to standard
    /// output.
    #[track_caller]
    pub(crate) fn expect_stdout(&self, bytes: &[u8]) -> &Self {
        self.expect_success(&[]);
        self.expect_same(&self.done.stdout, bytes);
        self
    }

    /// Panics unless the call succeeded, left one file with exactly these bytes, and said one line that
    /// contains these words.
    #[track_caller]
    pub(crate) fn expect_file_and_words(&self, name: &str, bytes: &[u8], words: &str) -> &Self {
        assert_eq!((self.done.code, self.files()), (Some(0), vec![name.to_owned()]), "{self}");
        self.expect_same(&self.done.read(name), bytes);
        let said: Vec<&str> = self.done.stderr.lines().filter(|line| line.starts_with("pftp: ")).collect();
        assert!(matches!(said[..], [line] if line.contains(words)), "one line with {words:?}\n{self}");
        self
    }

    /// Panics unless the call ended with code 8 and these words, and left nothing but a part.
    #[track_caller]
    pub(crate) fn expect_mismatch(&self, words: &str) {
        assert_eq!(self.done.code, Some(8), "{self}");
        assert!(self.done.stderr.contains(words), "{words:?} was expected\n{self}");
        assert!(self.files().iter().all(|name| name.contains(".pftp-")), "{self}");
    }

    #[track_caller]
    fn expect_success(&self, files: &[&str]) {
        assert_eq!((self.done.code, self.done.stderr.as_str()), (Some(0), ""), "{self}");
        assert_eq!(self.files(), files, "{self}");
    }

    #[track_caller]
    fn expect_same(&self, got: &[u8], bytes: &[u8]) {
        let differs = || got.iter().zip(bytes).position(|(got, byte)| got != byte);
        assert!(
            got == bytes,
            "{} bytes instead of {}; the first that differs: {:?}\n{self}",
            got.len(),
            bytes.len(),
            differs()
        );
    }

    /// Panics unless the call ended with this code, left no file, and said one line that contains these words
    /// in this order.
    #[track_caller]
    pub(crate) fn expect_failure(&self, code: i32, words: &[&str]) {
        assert_eq!(self.done.code, Some(code), "{self}");
        assert_eq!(self.files(), [""; 0], "{self}");
        let line = self.done.stderr.strip_suffix('\n').filter(|line| !line.contains(['\n', '\r']));
        let mut rest = line.and_then(|line| line.strip_prefix("pftp: "));
        for word in words {
            rest = rest.and_then(|rest| rest.split_once(word)).map(|(_, rest)| rest);
        }
        assert!(rest.is_some(), "one line with {words:?} was expected\n{self}");
        assert!(self.done.stdout.is_empty(), "{self}");
    }

    /// Returns the files that the call left, without its own.
    fn files(&self) -> Vec<String> {
        let mut files = self.done.files();
        files.retain(|name| name != LOG && name != CONFIG);
        files
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it ended with {:?} and said: {}\nIts log:\n{}", self.done.code, self.done.stderr, self.log)
    }
}

/// Returns the path with every byte escaped that a URL may not contain.
pub(crate) fn percent_encoded(path: &str) -> String {
    path.bytes().fold(String::new(), |mut url, byte| {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
        url
    })
}
