//! The surroundings of a simulated download: name resolution, sink, journal, warnings.

use super::{Keeper, MemorySink};
use ftp_proto::{Instant, Report, SessionId};
use pftp::DownloadError;
use pftp::Notice;
use pftp::drive::{Input, Surroundings};
use pftp::engine::{Fetcher, FileId, ServerId};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

/// The file of a simulated download.
pub(super) const ONLY_FILE: FileId = FileId(0);

/// The surroundings of a simulated download.
#[derive(Debug)]
pub(super) struct Stage {
    addresses: Vec<Vec<SocketAddr>>,
    sink: Arc<MemorySink>,
    inputs: VecDeque<Input<DownloadError>>,
    pub(super) warnings: Vec<String>,
    /// Writes the journal, if there is one.
    pub(super) keeper: Option<Keeper>,
}

impl Stage {
    /// The surroundings of a download from servers with these addresses.
    pub(super) fn new(addresses: Vec<Vec<SocketAddr>>, sink: Arc<MemorySink>) -> Self {
        Self { addresses, sink, inputs: VecDeque::new(), warnings: Vec::new(), keeper: None }
    }

    /// Stops the download.
    pub(super) fn stop(&mut self) {
        self.inputs.push_back(Input::Stop(DownloadError::Cancelled { can_resume: false }));
    }
}

impl Surroundings<MemorySink> for Stage {
    type Error = DownloadError;

    fn resolve(&mut self, id: ServerId) {
        let found = self.addresses.get(id.0).cloned().unwrap_or_default();
        self.inputs.push_back(Input::Resolved(id, Ok(found)));
    }

    fn input(&mut self) -> Option<Input<DownloadError>> {
        self.inputs.pop_front()
    }

    fn sink(&mut self, _file: FileId) -> Arc<MemorySink> {
        Arc::clone(&self.sink)
    }

    fn opened(&mut self, _id: SessionId, _connection: usize) {}

    fn report(&mut self, _report: &Report<Infallible>) -> Result<(), DownloadError> {
        Ok(())
    }

    fn same(&mut self, _file: FileId, offset: u64, bytes: &[u8]) -> Result<bool, DownloadError> {
        Ok(self.sink.read(offset, bytes.len()).is_some_and(|there| there == bytes))
    }

    fn retract(&mut self, file: FileId, engine: &Fetcher) {
        if let Some(keeper) = &mut self.keeper {
            keeper.retract(&engine.status(file), &self.sink);
        }
    }

    fn notice(&mut self, notice: Notice) {
        if notice.is_warning() {
            self.warnings.push(notice.to_string());
        }
    }

    /// Asks to be called again at once while an input waits.
    fn progress(&mut self, engine: &Fetcher, now: Instant) -> Option<Instant> {
        if self.keeper.as_mut().is_some_and(|keeper| keeper.look(&engine.status(ONLY_FILE), &self.sink, now))
        {
            self.stop();
        }
        let soon = (!self.inputs.is_empty()).then_some(now);
        let look = self.keeper.as_ref().and_then(Keeper::next_look);
        [soon, look].into_iter().flatten().min()
    }
}
