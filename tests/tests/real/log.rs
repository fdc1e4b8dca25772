//! The log of `pftp`.

use std::collections::BTreeMap;
use std::fmt;

/// A log, line by line.
pub(crate) struct Log {
    lines: Vec<Line>,
}

/// A line of a log.
#[derive(Clone)]
struct Line {
    /// The number of the connection; `None` in the log of a download over one.
    thread: Option<usize>,
    /// Whether the line went to the server.
    sent: bool,
    text: String,
}

impl Log {
    /// # Panics
    ///
    /// If the text is no log.
    pub(crate) fn new(text: &str) -> Self {
        let line = |text: &str| Line::parse(text).unwrap_or_else(|| panic!("not a line of a log: {text:?}"));
        Self { lines: text.lines().map(line).collect() }
    }

    /// Returns the commands, in order.
    pub(crate) fn commands(&self) -> Vec<&str> {
        self.lines.iter().filter(|line| line.sent).map(|line| line.text.as_str()).collect()
    }

    /// Returns the reply codes, in order: one for each reply, however many lines it has.
    pub(crate) fn codes(&self) -> Vec<u16> {
        self.lines.iter().filter(|line| !line.sent).filter_map(Line::last_of_reply).collect()
    }

    /// Whether a server said these words.
    pub(crate) fn was_told(&self, words: &str) -> bool {
        self.lines.iter().any(|line| !line.sent && line.text.contains(words))
    }

    /// Returns the lines of each connection.
    pub(crate) fn threads(&self) -> BTreeMap<usize, Self> {
        let mut threads = BTreeMap::new();
        for line in &self.lines {
            let of_it = threads.entry(line.thread.unwrap_or(1)).or_insert_with(|| Self { lines: Vec::new() });
            of_it.lines.push(line.clone());
        }
        threads
    }

    /// Returns how many commands with this verb were sent.
    pub(crate) fn count(&self, verb: &str) -> usize {
        let is_it = |command: &&str| command.split(' ').next() == Some(verb);
        self.commands().into_iter().filter(is_it).count()
    }
}

impl Line {
    fn parse(text: &str) -> Option<Self> {
        let (thread, rest) = match text.strip_prefix("Thread ") {
            Some(rest) => {
                let (number, rest) = rest.split_once(": ")?;
                (Some(number.parse().ok().filter(|number| *number > 0)?), rest)
            }
            None => (None, text),
        };
        let (sent, text) = match rest.strip_prefix("C->S: ") {
            Some(text) => (true, text),
            None => (false, rest.strip_prefix("S->C: ")?),
        };
        Some(Self { thread, sent, text: text.to_owned() })
    }

    /// Returns the code, if the line is the last of a reply.
    fn last_of_reply(&self) -> Option<u16> {
        let (code, rest) = self.text.split_at_checked(3)?;
        let digits = code.bytes().all(|byte| byte.is_ascii_digit());
        code.parse().ok().filter(|_| digits && (rest.is_empty() || rest.starts_with(' ')))
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            if let Some(thread) = line.thread {
                write!(f, "Thread {thread}: ")?;
            }
            writeln!(f, "{}: {}", if line.sent { "C->S" } else { "S->C" }, line.text)?;
        }
        Ok(())
    }
}
