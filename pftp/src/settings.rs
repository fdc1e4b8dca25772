//! The settings of a download.

use crate::checksum::Expected;
use ftp_proto::RepresentationType;
use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

/// The settings of a [`Download`](crate::Download). New fields may come: begin with [`Settings::default`] and set fields.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Connections at most, all mirrors together. `None`: as many as pay, up to [`CHOSEN_CONNECTIONS`](Self::CHOSEN_CONNECTIONS) or the sum of
    /// [`Source::connections`](crate::Source::connections), whichever is more. A writer and the ASCII type take one.
    pub connections: Option<NonZeroUsize>,
    /// The representation type of the transfer. ASCII converts line ends, over one connection, and cannot be resumed.
    pub representation: RepresentationType,
    /// The checksum that the file is compared with. `None`: the file is not verified.
    pub checksum: Option<Expected>,
    /// Whether the download resumes with the bytes of an earlier run. Only a file can be resumed.
    pub resume: bool,
    /// Whether the file is fetched again if it is already at its final name, with the size and time that it has on the server.
    pub overwrite: bool,
    /// The transport that drives the connections.
    pub transport: TransportKind,
    /// Time without progress after which a connection has failed.
    pub timeout: Duration,
    /// Fresh attempts for each mirror without progress.
    pub retries: u32,
    /// Size in bytes below which no range is split. `None`: chosen by the engine.
    pub min_segment: Option<NonZeroU64>,
    /// Whether data connections go to the host that a server's reply to PASV names, instead of the host of the control
    /// connection. A hostile server can name any host.
    pub trust_pasv_address: bool,
    /// Time between two calls of [`Observer::progress`](crate::Observer::progress). `None`: no calls.
    pub progress_interval: Option<Duration>,
    /// Whether [`Observer::wire_line`](crate::Observer::wire_line) is called.
    pub wire_lines: bool,
}

impl Settings {
    /// Connections at most if [`connections`](Self::connections) is `None`. All but two may be dialled at once, and a server
    /// holds no more connections than its backlog before it accepts them: 32 with vsftpd.
    pub const CHOSEN_CONNECTIONS: usize = 32;
}

impl Default for Settings {
    /// Resumes, with as many connections as pay, over the mio transport, a timeout of 30 seconds, 5 retries, and progress every
    /// 200 milliseconds.
    fn default() -> Self {
        Self {
            connections: None,
            representation: RepresentationType::Image,
            checksum: None,
            resume: true,
            overwrite: false,
            transport: TransportKind::Mio,
            timeout: Duration::from_secs(30),
            retries: 5,
            min_segment: None,
            trust_pasv_address: false,
            progress_interval: Some(Duration::from_millis(200)),
            wire_lines: false,
        }
    }
}

/// A transport.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TransportKind {
    /// Blocking sockets, with a thread for each connection.
    Std,
    /// An event loop for all connections.
    Mio,
}
