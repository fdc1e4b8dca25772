//! Progress and messages on standard error.

use ftp_proto::Escaped;
use indicatif::{BinaryBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

/// How progress is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mode {
    /// A line of a terminal that is redrawn.
    Bar,
    /// A line of text every few seconds, for a file or a pipe.
    Lines,
    /// Progress is not shown; warnings and errors are still printed.
    Quiet,
}

impl Mode {
    /// Returns the mode for this standard error; `quiet` is the user's choice.
    #[must_use]
    pub(super) fn choose(quiet: bool) -> Self {
        if quiet {
            Self::Quiet
        } else if ProgressDrawTarget::stderr().is_hidden() {
            Self::Lines
        } else {
            Self::Bar
        }
    }
}

/// Shows the progress of a download, and prints messages between.
///
/// The type has no clock and no thread: the caller calls [`tick`](Self::tick) every [`interval`](Self::interval). Times count from
/// the start of the download.
pub(super) struct Progress {
    mode: Mode,
    name: String,
    total: Option<u64>,
    done: u64,
    connections: usize,
    speed: Speed,
    last_line: Duration,
    bar: ProgressBar,
    out: Box<dyn Write + Send>,
}

const LINE_EVERY: Duration = Duration::from_secs(5);
const REDRAW_EVERY: Duration = Duration::from_millis(200);

impl Progress {
    /// Makes the progress of the file `name`, on standard error.
    #[must_use]
    pub(super) fn new(mode: Mode, name: &str) -> Self {
        Self::with(mode, name, ProgressDrawTarget::stderr_with_hz(10), Box::new(io::stderr()))
    }

    fn with(mode: Mode, name: &str, target: ProgressDrawTarget, out: Box<dyn Write + Send>) -> Self {
        let target = if mode == Mode::Bar { target } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
            bar.set_style(style);
        }
        Self {
            mode,
            name: shortened(&Escaped(name.as_bytes()).to_string()),
            total: None,
            done: 0,
            connections: 0,
            speed: Speed::default(),
            last_line: Duration::ZERO,
            bar,
            out,
        }
    }

    /// Sets the size of the file in bytes.
    pub(super) const fn total(&mut self, bytes: u64) {
        self.total = Some(bytes);
    }

    /// Sets the number of bytes that are here. It goes down if the download starts over.
    pub(super) const fn done(&mut self, bytes: u64) {
        self.done = bytes;
    }

    /// Sets the number of connections that are fetching.
    pub(super) const fn connections(&mut self, connections: usize) {
        self.connections = connections;
    }

    /// Returns the time between two calls of [`tick`](Self::tick); `None` if progress is not shown.
    #[must_use]
    pub(super) const fn interval(&self) -> Option<Duration> {
        match self.mode {
            Mode::Bar => Some(REDRAW_EVERY),
            Mode::Lines => Some(Duration::from_secs(1)),
            Mode::Quiet => None,
        }
    }

    /// Shows the state at `now` if that is due.
    pub(super) fn tick(&mut self, now: Duration) {
        self.speed.sample(self.done, now);
        match self.mode {
            Mode::Bar => self.bar.set_message(self.state()),
            Mode::Lines if now.saturating_sub(self.last_line) >= LINE_EVERY => {
                self.last_line = now;
                self.print(&self.state());
            }
            Mode::Lines | Mode::Quiet => {}
        }
    }

    /// Prints a note, except in [`Mode::Quiet`].
    pub(super) fn note(&mut self, message: &str) {
        if self.mode != Mode::Quiet {
            self.print(&format!("pftp: {message}"));
        }
    }

    /// Prints a warning.
    pub(super) fn warn(&mut self, message: &str) {
        self.print(&format!("pftp: warning: {message}"));
    }

    /// Prints the summary of a whole file that was complete at `now`, with `earlier` bytes of an earlier run.
    pub(super) fn finish(&mut self, earlier: u64, now: Duration) {
        self.clear();
        if self.mode == Mode::Quiet {
            return;
        }
        let mut summary = format!("{}: {} bytes", self.name, self.done);
        if earlier > 0 {
            summary.push_str(&format!(", {earlier} of them from an earlier run,"));
        }
        summary.push_str(&format!(" in {:.1} s", now.as_secs_f64()));
        if let Some(speed) = rate(self.done.saturating_sub(earlier), now) {
            summary.push_str(&format!(", {}/s", BinaryBytes(speed)));
        }
        self.print(&summary);
    }

    /// Removes the line from the terminal, so that an error message can follow.
    pub(super) fn clear(&mut self) {
        self.bar.finish_and_clear();
    }

    fn state(&self) -> String {
        let mut line = format!("{}: {}", self.name, BinaryBytes(self.done));
        if let Some(total) = self.total {
            line.push_str(&format!(" of {}", BinaryBytes(total)));
            if let Some(percent) = (u128::from(self.done) * 100).checked_div(u128::from(total)) {
                line.push_str(&format!(" ({} %)", percent.min(100)));
            }
        }
        if let Some(speed) = self.speed.get() {
            line.push_str(&format!(", {}/s", BinaryBytes(speed)));
            let rest = self.total.map(|total| total.saturating_sub(self.done));
            if let Some(seconds) = rest.and_then(|rest| rest.checked_div(speed)) {
                line.push_str(&format!(", ETA {}", Clock(seconds)));
            }
        }
        let s = if self.connections == 1 { "" } else { "s" };
        line.push_str(&format!(", {} connection{s}", self.connections));
        line
    }

    /// Prints a line. The download goes on even if standard error takes none.
    fn print(&mut self, line: &str) {
        let out = &mut self.out;
        let line = Escaped(line.as_bytes());
        let _best_effort = self.bar.suspend(|| writeln!(out, "{line}").and_then(|()| out.flush()));
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress")
            .field("mode", &self.mode)
            .field("name", &self.name)
            .field("done", &self.done)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

/// The speed over the last seconds.
#[derive(Debug, Default)]
struct Speed {
    /// Times, and the bytes that were here then: a sample a second, and the newest.
    samples: VecDeque<(Duration, u64)>,
}

impl Speed {
    const WINDOW: Duration = Duration::from_secs(10);

    fn sample(&mut self, done: u64, now: Duration) {
        if self.samples.back().is_some_and(|(_, before)| done < *before) {
            self.samples.clear();
        }
        let newest_but_one = self.samples.iter().rev().nth(1);
        if newest_but_one.is_some_and(|(at, _)| now.saturating_sub(*at) < Duration::from_secs(1)) {
            self.samples.pop_back();
        }
        self.samples.push_back((now, done));
        while self.samples.get(1).is_some_and(|(at, _)| now.saturating_sub(*at) >= Self::WINDOW) {
            self.samples.pop_front();
        }
    }

    /// Returns bytes per second; `None` before two samples.
    fn get(&self) -> Option<u64> {
        let ((from, before), (to, after)) = self.samples.front().zip(self.samples.back())?;
        rate(after.saturating_sub(*before), to.saturating_sub(*from))
    }
}

/// Returns bytes per second.
fn rate(bytes: u64, time: Duration) -> Option<u64> {
    let rate = (u128::from(bytes) * 1_000_000).checked_div(time.as_micros())?;
    u64::try_from(rate).ok()
}

/// Prints seconds as `m:ss` or `h:mm:ss`.
struct Clock(u64);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hours, minutes, seconds) = (self.0 / 3600, self.0 / 60 % 60, self.0 % 60);
        if hours > 0 {
            write!(f, "{hours}:{minutes:02}:{seconds:02}")
        } else {
            write!(f, "{minutes}:{seconds:02}")
        }
    }
}

/// Cuts a long name in its middle, because names differ at their ends.
fn shortened(name: &str) -> String {
    const LONGEST: usize = 32;
    let length = name.chars().count();
    if length <= LONGEST {
        return name.to_owned();
    }
    let head = name.chars().take(LONGEST / 2 - 2);
    head.chain("...".chars()).chain(name.chars().skip(length - LONGEST / 2 + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::TermLike;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Debug, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl Screen {
        fn take(&self) -> String {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push_str(&String::from_utf8_lossy(bytes));
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            90
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(&format!("{text}\n"))
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            self.write_str("<clear>")
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn progress(mode: Mode) -> (Progress, Screen) {
        let screen = Screen::default();
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        (Progress::with(mode, "a.iso", target, Box::new(screen.clone())), screen)
    }

    const MIB: u64 = 1 << 20;

    fn run(progress: &mut Progress, seconds: u64) {
        for second in 0..=seconds {
            progress.done(second * 2 * MIB);
            progress.tick(Duration::from_secs(second));
        }
    }

    #[test]
    fn lines_are_printed_every_five_seconds_and_at_the_end() {
        let (mut progress, screen) = progress(Mode::Lines);
        progress.total(40 * MIB);
        progress.connections(3);
        run(&mut progress, 11);
        assert_eq!(
            screen.take(),
            "a.iso: 10.00 MiB of 40.00 MiB (25 %), 2.00 MiB/s, ETA 0:15, 3 connections\n\
             a.iso: 20.00 MiB of 40.00 MiB (50 %), 2.00 MiB/s, ETA 0:10, 3 connections\n"
        );
        progress.done(40 * MIB);
        progress.finish(0, Duration::from_secs(20));
        assert_eq!(screen.take(), "a.iso: 41943040 bytes in 20.0 s, 2.00 MiB/s\n");
    }

    #[test]
    fn unknown_size_has_no_percentage_and_no_eta() {
        let (mut progress, screen) = progress(Mode::Lines);
        progress.connections(1);
        run(&mut progress, 5);
        assert_eq!(screen.take(), "a.iso: 10.00 MiB, 2.00 MiB/s, 1 connection\n");
    }

    #[test]
    fn quiet_mode_prints_warnings_only() {
        let (mut progress, screen) = progress(Mode::Quiet);
        assert_eq!(progress.interval(), None);
        run(&mut progress, 20);
        progress.note("starting over");
        progress.warn("ftp.example: dropped\x1b[2J");
        progress.finish(0, Duration::from_secs(20));
        assert_eq!(screen.take(), "pftp: warning: ftp.example: dropped\\u{1b}[2J\n");
    }

    #[test]
    fn messages_are_printed_above_the_line_of_a_terminal() {
        let (mut progress, screen) = progress(Mode::Bar);
        progress.total(40 * MIB);
        progress.connections(2);
        run(&mut progress, 1);
        progress.bar.force_draw();
        let line = "a.iso: 2.00 MiB of 40.00 MiB (5 %), 2.00 MiB/s, ETA 0:19, 2 connections";
        assert!(screen.take().contains(line));
        progress.note("hello");
        let shown = screen.take();
        let (before, after) = shown.split_once("pftp: hello\n").unwrap();
        assert!(before.ends_with("<clear>") && after.contains(line), "{shown:?}");
        progress.finish(0, Duration::from_secs(1));
        assert!(screen.take().ends_with("<clear>a.iso: 2097152 bytes in 1.0 s, 2.00 MiB/s\n"));
    }

    #[test]
    fn extreme_sizes_and_times_are_shown() {
        let (mut progress, screen) = progress(Mode::Lines);
        progress.total(0);
        progress.tick(Duration::from_secs(6));
        progress.finish(0, Duration::ZERO);
        assert_eq!(
            screen.take(),
            "a.iso: 0 B of 0 B, 0 connections\n\
             a.iso: 0 bytes in 0.0 s\n"
        );
        progress.total(u64::MAX);
        progress.done(u64::MAX);
        progress.tick(Duration::from_secs(7));
        progress.done(0);
        progress.tick(Duration::MAX);
    }

    #[test]
    fn speed_follows_the_last_seconds_and_survives_a_restart() {
        let mut speed = Speed::default();
        assert_eq!(speed.get(), None);
        for tenth in 0..1000_u64 {
            speed.sample(tenth * 10, Duration::from_millis(tenth * 100));
        }
        assert_eq!(speed.get(), Some(100));
        assert!(speed.samples.len() < 15, "{}", speed.samples.len());
        for tenth in 1000..1200_u64 {
            speed.sample(9990, Duration::from_millis(tenth * 100));
        }
        assert_eq!(speed.get(), Some(0));
        speed.sample(0, Duration::from_secs(121));
        assert_eq!(speed.get(), None);
    }

    #[test]
    fn clock_and_name_are_short() {
        assert_eq!(Clock(59).to_string(), "0:59");
        assert_eq!(Clock(3661).to_string(), "1:01:01");
        assert_eq!(shortened("short"), "short");
        let long = shortened(&format!("{}end.iso", "x".repeat(300)));
        assert_eq!(long, "xxxxxxxxxxxxxx...xxxxxxxxend.iso");
    }
}
