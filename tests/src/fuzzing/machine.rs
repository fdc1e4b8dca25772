//! The calls that a session and a link have in common.

use ftp_proto::{Change, Channel, Instant, Misuse, Output, Request, RequestId, Session, Until};

/// A session, or a machine with a session inside.
pub trait Machine {
    /// The session.
    fn session(&self) -> &Session;

    /// As [`Session::request`].
    ///
    /// # Errors
    /// Those of [`Session::request`].
    fn request(&mut self, id: RequestId, request: Request, now: Instant) -> Result<(), Misuse>;

    /// As [`Session::set_end`].
    fn set_end(&mut self, id: RequestId, until: Until, now: Instant);

    /// As [`Session::quit`].
    fn quit(&mut self, now: Instant);

    /// As [`Session::handle_bytes`].
    fn control(&mut self, bytes: &[u8], now: Instant);

    /// As [`Session::handle_channel`].
    fn change(&mut self, channel: Channel, change: Change, now: Instant);

    /// Takes at most `len` bytes on the data connection, and returns their number.
    fn received(&mut self, len: u64, now: Instant) -> u64;

    /// As [`Session::handle_timeout`].
    fn timeout(&mut self, now: Instant);

    /// As [`Session::handle_transmitted`].
    fn transmitted(&mut self, len: usize, now: Instant);

    /// The next output.
    fn output(&mut self) -> Option<Output>;

    /// When [`timeout`](Self::timeout) is due.
    fn deadline(&self) -> Option<Instant>;

    /// Asserts what else holds when all outputs have been taken.
    fn check(&self) {}
}

impl Machine for Session {
    fn session(&self) -> &Session {
        self
    }

    fn request(&mut self, id: RequestId, request: Request, now: Instant) -> Result<(), Misuse> {
        self.request(id, request, now)
    }

    fn set_end(&mut self, id: RequestId, until: Until, now: Instant) {
        self.set_end(id, until, now);
    }

    fn quit(&mut self, now: Instant) {
        self.quit(now);
    }

    fn control(&mut self, bytes: &[u8], now: Instant) {
        self.handle_bytes(bytes, now);
    }

    fn change(&mut self, channel: Channel, change: Change, now: Instant) {
        self.handle_channel(channel, change, now);
    }

    fn received(&mut self, len: u64, now: Instant) -> u64 {
        self.handle_payload(len, now);
        len
    }

    fn timeout(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    fn transmitted(&mut self, len: usize, now: Instant) {
        self.handle_transmitted(len, now);
    }

    fn output(&mut self) -> Option<Output> {
        self.poll_output()
    }

    fn deadline(&self) -> Option<Instant> {
        self.poll_timeout().map(|(due, _)| due)
    }
}
