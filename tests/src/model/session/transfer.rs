//! The data connection and the transfer on it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::reader::Reader;
use super::{Action, DataState, Ending, Event, Phase, ServerSession};
use crate::model::behaviour::{Completion, Cut, Interruption, Mark, MarkSize, Quirk};
use crate::model::throttle::Bucket;
use crate::model::tree::File;

/// How long a RETR waits for the data connection, as vsftpd.
const ACCEPT_TIMEOUT: Duration = Duration::from_secs(60);

/// A RETR from its acceptance to its completion.
#[derive(Debug)]
pub(super) struct Transfer {
    path: Vec<u8>,
    file: Arc<File>,
    offset: u64,
    reader: Reader,
    stage: Stage,
    sent: u64,
    not_before: Duration,
    bucket: Option<Bucket>,
    /// With the place of its rule.
    cut: Option<(usize, Cut)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connecting {
        deadline: Duration,
    },
    Sending,
    Stalled,
    /// All is sent; the completion reply waits for the client's close.
    Finishing,
    /// All is sent and the data connection is closed; the completion reply waits for its time.
    Completing {
        at: Duration,
    },
}

impl Transfer {
    /// How many bytes are left, to the next interruption at most.
    fn wanted(&self) -> u64 {
        let to_cut = self.cut.as_ref().map_or(u64::MAX, |(_, cut)| cut.after.saturating_sub(self.sent));
        if self.stage == Stage::Sending { self.reader.left().min(to_cut) } else { 0 }
    }

    fn window(&self, now: Duration) -> u64 {
        let wanted = self.wanted();
        if now < self.not_before {
            return 0;
        }
        self.bucket.as_ref().map_or(wanted, |bucket| bucket.window(wanted, now))
    }

    /// When the window opens; in the past if it is open.
    fn opens_at(&self) -> Option<Duration> {
        let wanted = self.wanted();
        let filled_at = self.bucket.as_ref().map_or(Duration::ZERO, |bucket| bucket.opens_at(wanted));
        (wanted > 0).then(|| filled_at.max(self.not_before))
    }
}

impl ServerSession {
    /// How many payload bytes may be sent on the data connection now.
    pub fn data_window(&mut self, now: Duration) -> usize {
        self.now = now;
        let window = self.transfer.as_ref().map_or(0, |transfer| transfer.window(now));
        usize::try_from(window).unwrap_or(usize::MAX)
    }

    /// Fills `buffer`, which is not longer than the window, with the payload bytes that come next, and says how
    /// many there are. Until [`ServerSession::data_sent`] the same bytes come again.
    pub fn fill_data(&self, buffer: &mut [u8]) -> usize {
        self.transfer.as_ref().map_or(0, |transfer| transfer.reader.fill(buffer))
    }

    /// Takes this many payload bytes as sent.
    pub fn data_sent(&mut self, count: usize, now: Duration) {
        self.now = now;
        let Some(transfer) = self.transfer.as_mut().filter(|_| count > 0) else { return };
        transfer.reader.advance(count);
        transfer.sent += count as u64;
        if let Some(bucket) = &mut transfer.bucket {
            bucket.spend(count as u64, now);
        }
        self.event(Event::Sent(count as u64));
        self.check_progress();
        self.advance();
    }

    /// Answers a RETR of a file that is there.
    pub(super) fn retrieve(&mut self, path: Vec<u8>, file: Arc<File>, offset: u64) {
        if self.data == DataState::None {
            self.reply("425 Use PORT or PASV first.");
            return;
        }
        if self.transfer.is_some() {
            self.reply("425 A transfer is running.");
            return;
        }
        let deadline = self.now + ACCEPT_TIMEOUT;
        let ignores = self.behaviour.ignores_rest && offset > 0;
        if ignores {
            self.event(Event::Showed(Quirk::RestIgnored));
        }
        let offset = if ignores { 0 } else { offset };
        self.transfer = Some(Transfer {
            path,
            reader: Reader::new(Arc::clone(&file), offset, self.ascii),
            file,
            offset,
            stage: Stage::Connecting { deadline },
            sent: 0,
            not_before: Duration::ZERO,
            bucket: None,
            cut: self.cut.take(),
        });
        if self.behaviour.mark == Mark::BeforeAccept {
            self.mark();
        }
        match self.data {
            DataState::Connected => self.start_sending(),
            DataState::PeerClosed => {
                self.data = DataState::Connected;
                self.start_sending();
                self.data_closed();
            }
            DataState::None | DataState::Opening { .. } | DataState::Listening => {}
        }
    }

    fn mark(&mut self) {
        let Some(transfer) = &self.transfer else { return };
        let path = String::from_utf8_lossy(&transfer.path).into_owned();
        let offset = transfer.offset;
        let (whole, rest) = (transfer.file.size(), transfer.file.size().saturating_sub(offset));
        let kind = if self.ascii { "ASCII" } else { "BINARY" };
        let opening = format!("150 Opening {kind} mode data connection for {path}");
        let text = match self.behaviour.mark_size {
            MarkSize::Whole => format!("{opening} ({whole} bytes)."),
            MarkSize::Rest => format!("{opening} ({rest} bytes)"),
            MarkSize::Kilobytes => {
                let (kilobytes, tenths) = (whole / 1024, whole % 1024 * 10 / 1024);
                format!("150-Accepted data connection\r\n150 {kilobytes}.{tenths} kbytes to download")
            }
            MarkSize::None => "150 File status okay. About to open data connection.".to_owned(),
        };
        self.event(Event::TransferStarted { path, offset });
        if self.behaviour.mark == Mark::Never {
            self.event(Event::Showed(Quirk::NoMark));
        } else {
            self.reply(&text);
        }
        if self.behaviour.completion == Completion::BeforeData {
            self.event(Event::Showed(Quirk::EarlyCompletion));
            self.reply("226 Transfer complete.");
        }
    }

    fn start_sending(&mut self) {
        if self.behaviour.mark != Mark::BeforeAccept {
            self.mark();
        }
        let begin = self.now + self.behaviour.start_delay;
        let rate = self.behaviour.bytes_per_second;
        let Some(transfer) = &mut self.transfer else { return };
        transfer.stage = Stage::Sending;
        transfer.not_before = begin;
        transfer.bucket = rate.map(|rate| Bucket::new(rate, begin));
        self.check_progress();
    }

    /// Ends the transfer if it is at its end, interrupts it if it is at that place.
    fn check_progress(&mut self) {
        let Some(transfer) = &mut self.transfer else { return };
        if transfer.stage != Stage::Sending {
            return;
        }
        if let Some(cut) = transfer.cut.take_if(|(_, cut)| cut.after <= transfer.sent) {
            self.interrupt(cut);
        } else if transfer.reader.is_at_end() {
            self.finish();
        }
    }

    fn interrupt(&mut self, (rule, cut): (usize, Cut)) {
        self.event(Event::Reacted(rule));
        match cut.how {
            Interruption::Fin => self.drop_data(Ending::Fin),
            Interruption::Reset => self.drop_data(Ending::Reset),
            Interruption::Stall => self.stall(),
            Interruption::Vanish => {
                self.stall();
                self.phase = Phase::Hung;
            }
            Interruption::Die => self.close(Ending::Reset),
            Interruption::Pause(pause) => {
                if let Some(transfer) = &mut self.transfer {
                    transfer.not_before = self.now + pause;
                }
                self.check_progress();
            }
        }
        if !cut.reply.is_empty() {
            self.reply_bytes(&cut.reply);
        }
    }

    fn stall(&mut self) {
        if let Some(transfer) = &mut self.transfer {
            transfer.stage = Stage::Stalled;
        }
    }

    fn finish(&mut self) {
        if self.behaviour.completion == Completion::AfterPeerClosed {
            self.action(Action::FinishData);
            if let Some(transfer) = &mut self.transfer {
                transfer.stage = Stage::Finishing;
            }
            return;
        }
        let transfer = self.transfer.take();
        self.drop_data(Ending::Fin);
        match self.behaviour.completion {
            Completion::AfterData => self.reply("226 Transfer complete."),
            Completion::Late(delay) => {
                self.event(Event::Showed(Quirk::LateCompletion));
                let stage = Stage::Completing { at: self.now + delay };
                self.transfer = transfer.map(|transfer| Transfer { stage, ..transfer });
            }
            Completion::Never => self.event(Event::Showed(Quirk::NoCompletion)),
            Completion::BeforeData | Completion::AfterPeerClosed => {}
        }
    }

    pub(super) fn transfer_deadline(&self) -> Option<Duration> {
        let transfer = self.transfer.as_ref()?;
        match transfer.stage {
            Stage::Connecting { deadline: at } | Stage::Completing { at } => Some(at),
            // With an open window it is the connection that holds the transfer up, not the clock.
            Stage::Sending => transfer.opens_at().filter(|at| *at > self.now),
            Stage::Stalled | Stage::Finishing => None,
        }
    }

    pub(super) fn transfer_timeout(&mut self) {
        match self.transfer.as_ref().map(|transfer| transfer.stage) {
            Some(Stage::Connecting { deadline }) if deadline <= self.now => {
                self.drop_data(Ending::Fin);
                self.reply("425 Failed to establish connection.");
            }
            Some(Stage::Completing { at }) if at <= self.now => {
                self.transfer = None;
                self.reply("226 Transfer complete.");
            }
            _ => {}
        }
    }

    /// Starts listening for a new data connection, which ends the one before.
    pub(super) fn open_data(&mut self, extended: bool) {
        self.drop_data(Ending::Fin);
        self.data = DataState::Opening { extended };
        self.action(Action::Listen);
    }

    pub(super) fn listening(&mut self, address: SocketAddr) {
        let DataState::Opening { extended } = self.data else { return };
        self.data = DataState::Listening;
        let port = address.port();
        if extended {
            self.reply(&format!("229 Entering Extended Passive Mode (|||{port}|)"));
            return;
        }
        let own = if let IpAddr::V4(own) = address.ip() { Some(own) } else { None };
        if self.behaviour.passive_host.is_some() {
            self.event(Event::Showed(Quirk::ForeignHost));
        }
        if let Some(host) = self.behaviour.passive_host.or(own) {
            let [a, b, c, d] = host.octets();
            let [high, low] = port.to_be_bytes();
            self.reply(&format!("227 Entering Passive Mode ({a},{b},{c},{d},{high},{low})."));
        } else {
            self.drop_data(Ending::Fin);
            self.reply("425 PASV needs IPv4, use EPSV.");
        }
    }

    pub(super) fn listen_failed(&mut self) {
        self.data = DataState::None;
        self.reply("425 Cannot listen for a data connection.");
    }

    pub(super) fn data_accepted(&mut self) {
        if self.data != DataState::Listening {
            return;
        }
        self.data = DataState::Connected;
        self.event(Event::DataAccepted);
        if self.transfer.is_some() {
            self.start_sending();
        }
    }

    pub(super) fn data_closed(&mut self) {
        if self.data != DataState::Connected {
            return;
        }
        match self.transfer.as_ref().map(|transfer| transfer.stage) {
            None => self.data = DataState::PeerClosed,
            Some(Stage::Finishing) => {
                self.drop_data(Ending::Fin);
                self.reply("226 Transfer complete.");
            }
            Some(_) => self.abandon(),
        }
    }

    /// The client closed the data connection in mid-file.
    fn abandon(&mut self) {
        self.drop_data(Ending::Fin);
        let completed = self.behaviour.completion == Completion::BeforeData;
        if !completed && !self.behaviour.abandoned.is_empty() {
            let bytes = self.behaviour.abandoned.clone();
            self.reply_bytes(&bytes);
        }
    }

    /// Ends the data connection, and the transfer on it without a word.
    pub(super) fn drop_data(&mut self, ending: Ending) {
        self.transfer = None;
        if self.data != DataState::None {
            self.data = DataState::None;
            self.action(Action::CloseData(ending));
        }
    }
}
