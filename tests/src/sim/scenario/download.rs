//! The end of a simulated download, and all that tests ask about it.

use crate::model::{File, Stats};
use crate::sim::{MemorySink, SimTransport};
use ftp_proto::{Event, Instant, SessionId, Transport as _};
use pftp::{DownloadError, ErrorKind};
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// A download that has ended.
#[derive(Debug)]
pub struct Download {
    pub(super) file: File,
    pub(super) result: Result<u64, DownloadError>,
    /// The warnings for the user.
    pub warnings: Vec<String>,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) transport: SimTransport,
    pub(super) sink: Arc<MemorySink>,
}

impl Download {
    /// Panics unless the whole file came, and every byte is right.
    #[track_caller]
    pub fn assert_complete(&self) {
        let (result, warnings) = (&self.result, &self.warnings);
        assert_eq!(result.as_ref().ok(), Some(&self.file.size()), "{result:?}, {warnings:?}");
        assert!(self.is_exact(), "the bytes are wrong");
    }

    /// Whether exactly the scenario's file was written.
    pub fn is_exact(&self) -> bool {
        self.sink.holds(&self.file)
    }

    /// Whether the download succeeded.
    pub fn succeeded(&self) -> bool {
        self.result.is_ok()
    }

    /// Returns why the download failed. Panics if it succeeded.
    #[track_caller]
    pub fn failure(&self) -> &DownloadError {
        self.result.as_ref().expect_err("the download fails")
    }

    /// Returns the kind of the failure. Panics if the download succeeded.
    #[track_caller]
    pub fn failure_kind(&self) -> ErrorKind {
        self.failure().kind()
    }

    /// Whether a warning about this server begins with these words.
    pub fn warned(&self, server: usize, words: &str) -> bool {
        let start = format!("{}: {words}", self.addresses[server]);
        self.warnings.iter().any(|warning| warning.starts_with(&start))
    }

    /// Returns what a server has seen.
    pub fn stats(&self, server: usize) -> &Stats {
        self.transport.stats(self.addresses[server])
    }

    /// Returns what all servers have seen.
    pub fn all_stats(&self) -> impl Iterator<Item = &Stats> {
        self.addresses.iter().map(|address| self.transport.stats(*address))
    }

    /// Returns how many logins all servers accepted.
    pub fn logins(&self) -> u32 {
        self.all_stats().map(Stats::logins).sum()
    }

    /// Returns how many payload bytes all servers sent.
    pub fn sent(&self) -> u64 {
        self.all_stats().map(Stats::payload).sum()
    }

    /// Returns how many bytes were written; bytes that came twice count twice.
    pub fn written(&self) -> u64 {
        self.sink.written()
    }

    /// Returns what was written, gaps as zeros.
    pub fn contents(&self) -> Vec<u8> {
        self.sink.contents()
    }

    /// Returns how often a server was dialled.
    pub fn dialled(&self, server: usize) -> u32 {
        self.transport.seen(self.addresses[server]).dialled
    }

    /// Returns the time at which the last transfer ended.
    pub fn took(&self) -> Duration {
        let ends = self.events().filter(|(.., event)| matches!(event, Event::Finished(..)));
        ends.map(|(at, ..)| *at).max().unwrap_or(Instant::ZERO).0
    }

    /// Returns the time at which the user learns that the download is over.
    pub fn ended(&self) -> Duration {
        self.transport.now().0
    }

    /// Returns every event of every session, in the order of time.
    pub fn events(&self) -> impl Iterator<Item = &(Instant, SessionId, Event)> {
        self.transport.events().iter()
    }

    /// Returns how many sessions ended, however they did.
    pub fn closed_sessions(&self) -> usize {
        self.events().filter(|(.., event)| matches!(event, Event::Closed(_))).count()
    }

    /// Returns when the first payload byte of each session came.
    pub fn first_bytes(&self) -> impl Iterator<Item = Instant> {
        self.transport.first_payload().values().copied()
    }

    /// Returns the hash of everything that happened.
    pub fn hash(&self) -> u64 {
        self.transport.record().lock().unwrap_or_else(PoisonError::into_inner).hash()
    }

    /// Returns everything that happened, line by line, if the scenario was traced.
    pub fn trace(&self) -> Vec<String> {
        self.transport.record().lock().unwrap_or_else(PoisonError::into_inner).text().to_vec()
    }
}
