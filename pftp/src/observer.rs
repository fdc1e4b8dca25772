//! The observer of a download.

use crate::notice::DownloadNotice;
use ftp_proto::Line;
use std::time::Duration;

/// Sees a download while it runs. Each method has a default that does nothing; `()` is an observer that sees nothing.
///
/// The methods are called on the thread that runs the download, which waits for their return.
pub trait Observer {
    /// Handles the state of the download, every [`Settings::progress_interval`](crate::Settings::progress_interval).
    fn progress(&mut self, progress: &Progress) {
        let _ = progress;
    }

    /// Handles an event that does not end the download.
    fn notice(&mut self, notice: &DownloadNotice) {
        let _ = notice;
    }

    /// Handles a line that was sent or received on a control connection, if
    /// [`Settings::wire_lines`](crate::Settings::wire_lines) is set. Passwords are replaced by `***`. `connection` is the
    /// number of the connection, from 1; a session that replaces another one has its number.
    fn wire_line(&mut self, connection: usize, line: &Line) {
        let _ = (connection, line);
    }
}

impl Observer for () {}

/// The state of a running download.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// Size of the file in bytes, once it is known.
    pub size: Option<u64>,
    /// Bytes of the file that are here, those of an earlier run included. Goes down if the download starts over, or if bytes
    /// of a mirror are discarded.
    pub done: u64,
    /// Connections that are fetching a range.
    pub connections: usize,
    /// Time since the download began.
    pub elapsed: Duration,
}
