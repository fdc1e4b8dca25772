//! A control connection with its data connection, seen from the server.

mod commands;
mod reader;
mod transfer;

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use self::transfer::Transfer;
use super::behaviour::{
    Behaviour, Bursts, Cap, Cut, DuringTransfer, Nth, Quirk, Reaction, Trigger, WhenFull,
};
use super::tree::Tree;

/// An output for the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// To be done.
    Action(Action),
    /// To be recorded, see [`Host::record`](super::Host::record).
    Event(Event),
}

/// An action for the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Listen for one data connection, and report [`DataChange::Listening`] or [`DataChange::ListenFailed`].
    Listen,
    /// End the sending side of the data connection, and go on to report that the client closed its own.
    FinishData,
    /// Close the data connection and stop listening for one, whichever there is.
    CloseData(Ending),
    /// Close the control connection; with [`Ending::Fin`], after all of [`ServerSession::transmit`] was sent.
    CloseControl(Ending),
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// In order, after all that was sent.
    Fin,
    /// By a reset.
    Reset,
}

/// An event for the statistics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Control input came; `turn` says whether the server had sent something since the last.
    Heard {
        /// The server had sent something since the last input.
        turn: bool,
    },
    /// A command line, without its line end.
    Line(String),
    /// A login was done.
    LoggedIn,
    /// A RETR was answered by a mark.
    TransferStarted {
        /// The absolute path.
        path: String,
        /// The restart offset.
        offset: u64,
    },
    /// A data connection was accepted.
    DataAccepted,
    /// This many payload bytes were sent.
    Sent(u64),
    /// The rule with this place in [`Behaviour::on`] had an effect. A cut has one when it comes, if it does.
    Reacted(usize),
    /// A lasting misbehaviour had an effect.
    Showed(Quirk),
}

/// A change of the data connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataChange {
    /// The driver listens there.
    Listening(SocketAddr),
    /// The driver cannot listen.
    ListenFailed,
    /// The client connected.
    Accepted,
    /// The client closed or reset the data connection.
    Closed,
}

/// The server's protocol machine for one control connection.
#[derive(Debug)]
pub struct ServerSession {
    tree: Arc<Tree>,
    behaviour: Arc<Behaviour>,
    full: Option<Cap>,
    phase: Phase,
    input: Input,
    waiting: Option<Waiting>,
    out: Vec<u8>,
    outputs: VecDeque<Output>,
    verbs: BTreeMap<String, u32>,
    replies: u32,
    /// Something was sent since the last input.
    spoke: bool,
    last_activity: Duration,
    now: Duration,
    login: LoginState,
    cwd: Vec<u8>,
    ascii: bool,
    restart: u64,
    data: DataState,
    /// With the place of its rule.
    cut: Option<(usize, Cut)>,
    transfer: Option<Transfer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// Input is taken and nothing is answered.
    Hung,
    Closed,
}

#[derive(Debug, Default)]
struct Input {
    partial: Vec<u8>,
    queue: VecDeque<Item>,
}

/// Inputs that are answered in turn.
#[derive(Clone, Debug)]
enum Item {
    Greeting,
    Line { line: Vec<u8>, second_of_burst: bool },
}

/// An item that a rule holds back.
#[derive(Debug)]
struct Waiting {
    until: Duration,
    item: Item,
    reactions: Vec<(usize, Reaction)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum LoginState {
    Nobody,
    NeedsPassword(String),
    NeedsAccount,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DataState {
    None,
    /// The driver was told to listen; the reply to EPSV (else PASV) waits for its answer.
    Opening {
        extended: bool,
    },
    Listening,
    Connected,
    /// The client closed it before a transfer began.
    PeerClosed,
}

impl ServerSession {
    /// The session of a control connection accepted at `now`. `full` is the cap that keeps it out, if any.
    pub fn new(tree: Arc<Tree>, behaviour: Arc<Behaviour>, full: Option<Cap>, now: Duration) -> Self {
        let hangs = full.as_ref().is_some_and(|cap| cap.when_full == WhenFull::Hang);
        let mut session = Self {
            cwd: tree.login_directory().to_vec(),
            tree,
            behaviour,
            full,
            phase: if hangs { Phase::Hung } else { Phase::Open },
            input: Input { queue: VecDeque::from([Item::Greeting]), ..Input::default() },
            waiting: None,
            out: Vec::new(),
            outputs: VecDeque::new(),
            verbs: BTreeMap::new(),
            replies: 0,
            spoke: false,
            last_activity: now,
            now,
            login: LoginState::Nobody,
            ascii: false,
            restart: 0,
            data: DataState::None,
            cut: None,
            transfer: None,
        };
        session.advance();
        session
    }

    /// Puts other files in the place of the present ones; a running transfer goes on with the old.
    pub fn set_tree(&mut self, tree: Arc<Tree>) {
        self.tree = tree;
    }

    /// Takes what one read from the control connection brought.
    pub fn handle_control(&mut self, bytes: &[u8], now: Duration) {
        self.now = now;
        if bytes.is_empty() || self.phase == Phase::Closed {
            return;
        }
        let turn = mem::take(&mut self.spoke);
        self.event(Event::Heard { turn });
        self.last_activity = now;
        let lines = self.take_lines(bytes);
        if lines > 1 && self.behaviour.bursts == Bursts::Closed {
            self.event(Event::Showed(Quirk::Burst));
            self.close(Ending::Fin);
        }
        self.advance();
    }

    /// The client closed the control connection.
    pub fn handle_control_closed(&mut self, now: Duration) {
        self.now = now;
        if self.phase != Phase::Closed {
            self.close(Ending::Fin);
        }
    }

    /// Takes what happened to the data connection.
    pub fn handle_data(&mut self, change: DataChange, now: Duration) {
        self.now = now;
        if self.phase == Phase::Closed {
            return;
        }
        match change {
            DataChange::Listening(address) => self.listening(address),
            DataChange::ListenFailed => self.listen_failed(),
            DataChange::Accepted => self.data_accepted(),
            DataChange::Closed => self.data_closed(),
        }
        self.advance();
    }

    /// The time that [`ServerSession::poll_timeout`] named has come.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.now = now;
        self.transfer_timeout();
        if self.idle_deadline().is_some_and(|deadline| deadline <= now) {
            self.event(Event::Showed(Quirk::Idle));
            self.reply("421 Timeout.");
            self.close(Ending::Fin);
        }
        self.advance();
    }

    /// The time of the next [`ServerSession::handle_timeout`]. The deadline includes the time when the rate limit
    /// allows data again.
    pub fn poll_timeout(&self) -> Option<Duration> {
        if self.phase == Phase::Closed {
            return None;
        }
        let waiting =
            self.waiting.as_ref().filter(|_| self.phase == Phase::Open).map(|waiting| waiting.until);
        [waiting, self.transfer_deadline(), self.idle_deadline()].into_iter().flatten().min()
    }

    fn idle_deadline(&self) -> Option<Duration> {
        let idle = self.phase == Phase::Open && self.transfer.is_none();
        self.behaviour.idle_timeout.filter(|_| idle).map(|timeout| self.last_activity + timeout)
    }

    /// The bytes to send on the control connection.
    pub fn transmit(&self) -> &[u8] {
        &self.out
    }

    /// Takes this many bytes of [`ServerSession::transmit`] as sent.
    pub fn transmitted(&mut self, count: usize, now: Duration) {
        self.now = now;
        self.out.drain(..count);
        self.spoke |= count > 0;
    }

    /// The next thing to do or to record.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Queues the lines of one read, and says how many there were.
    fn take_lines(&mut self, bytes: &[u8]) -> usize {
        const MAX_LINE: usize = 64 * 1024;
        let mut lines = 0;
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.input.partial.extend_from_slice(piece);
            if self.input.partial.len() > MAX_LINE {
                self.close(Ending::Fin);
                break;
            }
            if !piece.ends_with(b"\n") {
                break;
            }
            lines += 1;
            self.take_line(lines);
            if self.behaviour.bursts == Bursts::RestDropped {
                if piece.len() < bytes.len() {
                    self.event(Event::Showed(Quirk::Burst));
                }
                break;
            }
        }
        lines
    }

    fn take_line(&mut self, position_in_read: usize) {
        let mut line = mem::take(&mut self.input.partial);
        line.pop();
        if line.ends_with(b"\r") {
            line.pop();
        }
        self.event(Event::Line(String::from_utf8_lossy(&line).into_owned()));
        self.input.queue.push_back(Item::Line { line, second_of_burst: position_in_read == 2 });
    }

    /// Answers what can be answered now.
    fn advance(&mut self) {
        while self.phase == Phase::Open && !self.is_blocked() {
            if let Some(waiting) = self.waiting.take_if(|waiting| waiting.until <= self.now) {
                self.perform(waiting.item, waiting.reactions);
                continue;
            }
            if self.waiting.is_some() {
                return;
            }
            let Some(item) = self.input.queue.pop_front() else { return };
            let reactions = self.reactions_to(&item);
            let delay: Duration = reactions.iter().map(|(_, reaction)| delay_of(reaction)).sum();
            if delay.is_zero() {
                self.perform(item, reactions);
            } else {
                self.waiting = Some(Waiting { until: self.now + delay, item, reactions });
            }
        }
    }

    fn is_blocked(&self) -> bool {
        let deferred = self.transfer.is_some() && self.behaviour.during_transfer == DuringTransfer::Deferred;
        deferred || matches!(self.data, DataState::Opening { .. })
    }

    /// The reactions of all rules that match, with the place of each rule.
    fn reactions_to(&mut self, item: &Item) -> Vec<(usize, Reaction)> {
        let (verb, line) = match item {
            Item::Greeting => (None, None),
            Item::Line { line, .. } => (Some(commands::verb_of(line)), Some(line)),
        };
        let count = verb.as_ref().map_or(0, |verb| {
            let count = self.verbs.entry(verb.clone()).or_default();
            *count += 1;
            *count
        });
        let matches = |trigger: &Trigger| match trigger {
            Trigger::Accepted => line.is_none(),
            Trigger::Verb(wanted, nth) => verb.as_ref() == Some(wanted) && covers(*nth, count),
            Trigger::Line(start) => line.is_some_and(|line| line.starts_with(start)),
            Trigger::Replies(_) => false,
        };
        let rules = self.behaviour.on.iter().enumerate();
        rules
            .filter(|(_, (trigger, _))| matches(trigger))
            .map(|(rule, (_, reaction))| (rule, reaction.clone()))
            .collect()
    }

    fn perform(&mut self, item: Item, reactions: Vec<(usize, Reaction)>) {
        self.cut = None;
        for (rule, reaction) in reactions {
            if !self.react(rule, reaction) {
                return;
            }
        }
        match item {
            Item::Greeting => self.greet(),
            Item::Line { line, second_of_burst } => {
                if second_of_burst && self.behaviour.bursts == Bursts::SecondRefused {
                    self.event(Event::Showed(Quirk::Burst));
                    self.reply("500 Unknown command.");
                } else {
                    self.command(&line);
                }
            }
        }
    }

    /// Does what a rule says; false if it takes the place of the command.
    fn react(&mut self, rule: usize, reaction: Reaction) -> bool {
        if !matches!(reaction, Reaction::Cut(_)) {
            self.event(Event::Reacted(rule));
        }
        match reaction {
            Reaction::Delay(_) => return true,
            Reaction::Insert(bytes) => {
                self.out.extend_from_slice(&bytes);
                return true;
            }
            Reaction::Cut(cut) => {
                self.cut = Some((rule, cut));
                return true;
            }
            Reaction::Ignore => {}
            Reaction::Reply(bytes) => self.reply_bytes(&bytes),
            Reaction::ReplyAndClose(bytes) => {
                self.reply_bytes(&bytes);
                self.close(Ending::Fin);
            }
            Reaction::Hang => self.phase = Phase::Hung,
            Reaction::Close => self.close(Ending::Fin),
            Reaction::Reset => self.close(Ending::Reset),
        }
        false
    }

    /// Sends a reply given as its lines without the last CRLF.
    fn reply(&mut self, text: &str) {
        let text = if self.behaviour.wordless { self.without_words(text) } else { text };
        self.reply_bytes(format!("{text}\r\n").as_bytes());
    }

    /// A reply of one line, down to its code; unless the text is what was asked for.
    fn without_words<'t>(&mut self, text: &'t str) -> &'t str {
        let (code, rest) = text.split_at_checked(3).unwrap_or((text, ""));
        if matches!(code, "211" | "213" | "227" | "229" | "257") || !rest.starts_with(' ') {
            return text;
        }
        self.event(Event::Showed(Quirk::Wordless));
        code
    }

    fn reply_bytes(&mut self, bytes: &[u8]) {
        if self.phase != Phase::Open {
            return;
        }
        self.out.extend_from_slice(bytes);
        self.last_activity = self.now;
        self.replies += 1;
        let behaviour = Arc::clone(&self.behaviour);
        for (rule, (trigger, reaction)) in behaviour.on.iter().enumerate() {
            if *trigger == Trigger::Replies(self.replies) {
                self.react_to_count(rule, reaction);
            }
        }
    }

    fn react_to_count(&mut self, rule: usize, reaction: &Reaction) {
        match reaction {
            Reaction::ReplyAndClose(bytes) => {
                self.event(Event::Reacted(rule));
                self.out.extend_from_slice(bytes);
                self.close(Ending::Fin);
            }
            Reaction::Insert(_) | Reaction::Hang | Reaction::Close | Reaction::Reset => {
                self.react(rule, reaction.clone());
            }
            Reaction::Reply(_) | Reaction::Delay(_) | Reaction::Ignore | Reaction::Cut(_) => {}
        }
    }

    fn close(&mut self, ending: Ending) {
        self.drop_data(ending);
        self.phase = Phase::Closed;
        self.action(Action::CloseControl(ending));
    }

    fn action(&mut self, action: Action) {
        self.outputs.push_back(Output::Action(action));
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

fn delay_of(reaction: &Reaction) -> Duration {
    if let Reaction::Delay(delay) = reaction { *delay } else { Duration::ZERO }
}

fn covers(nth: Nth, count: u32) -> bool {
    match nth {
        Nth::Every => true,
        Nth::Only(number) => count == number,
        Nth::From(number) => count >= number,
    }
}

#[cfg(test)]
mod tests;
