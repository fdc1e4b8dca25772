//! Plays a dialog to a session.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use ftp_proto::meaning::Feature;
use ftp_proto::{
    Action, Change, Channel, Escaped, Event, Facts, Features, Finish, Instant, Output, Payload, RequestId,
    Session,
};

use pftp_tests::dialog::{Item, Script};

/// How the bytes of the control connection are portioned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Portions {
    /// A line at a time, and all that is to be sent at once.
    Lines,
    /// A byte at a time, in both directions.
    Bytes,
    /// Lines of the server between which nothing is sent and nothing else happens, in one.
    Glued,
}

/// A line of the dialog that did not hold.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) line: usize,
    pub(crate) expected: String,
    pub(crate) got: String,
}

/// Everything that came out: the lines sent, and the rest.
pub(crate) type Transcript = (Vec<String>, Vec<String>);

/// # Errors
/// The first line that does not hold.
pub(crate) fn run(script: &Script, portions: Portions) -> Result<Transcript, Fault> {
    let items = if portions == Portions::Glued { glued(&script.items) } else { script.items.clone() };
    let mut runner = Runner::new(script, portions);
    for (line, item) in &items {
        runner.step(*line, item)?;
    }
    runner.expect_no_more(items.last().map_or(0, |(line, _)| *line))?;
    Ok(runner.seen)
}

/// The items, a line of the server moved to the one before it if only outputs stand between them.
fn glued(items: &[(usize, Item)]) -> Vec<(usize, Item)> {
    let mut all: Vec<(usize, Item)> = Vec::new();
    for (line, item) in items {
        let last_input = all.iter_mut().rev().find(|(_, item)| !matches!(item, Item::Puts(_)));
        match (item, last_input) {
            (Item::Server(bytes), Some((_, Item::Server(before)))) => before.extend_from_slice(bytes),
            _ => all.push((*line, item.clone())),
        }
    }
    all
}

struct Runner {
    session: Session,
    portions: Portions,
    now: Instant,
    requests: u64,
    /// A data connection was asked for, and neither side has closed it.
    data: bool,
    /// Sent, and not yet a line.
    begun: Vec<u8>,
    /// Outputs that have not been compared: lines sent, and the rest.
    commands: VecDeque<String>,
    outputs: VecDeque<String>,
    seen: Transcript,
}

impl Runner {
    fn new(script: &Script, portions: Portions) -> Self {
        let now = Instant(Duration::from_secs(1000));
        Self {
            session: Session::new(Arc::new(script.config.clone()), script.peer, now),
            portions,
            now,
            requests: 0,
            data: false,
            begun: Vec::new(),
            commands: VecDeque::new(),
            outputs: VecDeque::new(),
            seen: Transcript::default(),
        }
    }

    fn step(&mut self, line: usize, item: &Item) -> Result<(), Fault> {
        match item {
            Item::Sends(expected) => {
                let expected = format!("C: {}", Escaped(expected));
                let got = self.commands.pop_front();
                return compare(line, &expected, got);
            }
            Item::Puts(expected) => {
                let got = self.outputs.pop_front();
                return compare(line, expected, got);
            }
            Item::Payload(expected) => {
                return compare(line, expected, Some(payload(&self.session.payload())));
            }
            Item::Deadline(expected) => return compare(line, expected, Some(self.deadline())),
            Item::Request(_)
            | Item::SetEnd(..)
            | Item::Quit
            | Item::Server(_)
            | Item::Change(..)
            | Item::Data(_)
            | Item::Pass(_) => self.expect_no_more(line)?,
        }
        self.input(item).map_err(|got| Fault { line, expected: "an input that can be".to_owned(), got })
    }

    fn input(&mut self, item: &Item) -> Result<(), String> {
        let now = self.now;
        match item {
            Item::Request(request) => {
                self.requests += 1;
                if let Err(misuse) = self.session.request(RequestId(self.requests), request.clone(), now) {
                    self.put(format!("M: {misuse}"));
                }
            }
            Item::SetEnd(id, until) => self.session.set_end(RequestId(*id), *until, now),
            Item::Quit => self.session.quit(now),
            Item::Server(bytes) => {
                let portion = if self.portions == Portions::Bytes { 1 } else { bytes.len() };
                for bytes in bytes.chunks(portion) {
                    self.session.handle_bytes(bytes, now);
                    self.drain();
                }
            }
            Item::Change(channel, change) => {
                if *channel == Channel::Data {
                    if !self.data {
                        return Err("no data connection to change".to_owned());
                    }
                    self.data = *change == Change::Connected;
                }
                self.session.handle_channel(*channel, *change, now);
            }
            Item::Data(len) => {
                if self.session.payload() == Payload::Hold {
                    return Err("nothing is read from the data connection".to_owned());
                }
                self.session.handle_payload(*len, now);
            }
            Item::Pass(time) => self.pass(now + *time),
            Item::Sends(_) | Item::Puts(_) | Item::Payload(_) | Item::Deadline(_) => {}
        }
        self.drain();
        Ok(())
    }

    fn pass(&mut self, until: Instant) {
        while let Some((due, _)) = self.session.poll_timeout().filter(|(due, _)| *due <= until) {
            self.now = self.now.max(due);
            self.session.handle_timeout(self.now);
            self.drain();
            let next = self.session.poll_timeout();
            assert!(next.is_none_or(|(next, _)| next > due), "a deadline stays due: {next:?}");
        }
        self.now = until;
    }

    fn deadline(&self) -> String {
        self.session
            .poll_timeout()
            .map_or_else(|| "none".to_owned(), |(due, timer)| format!("{:?} {timer:?}", due.since(self.now)))
    }

    /// Takes all that comes out, as a driver would that is never held up.
    fn drain(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match &output {
                Output::Action(Action::Connect(_)) => self.data = true,
                Output::Action(Action::Close(Channel::Data)) => self.data = false,
                Output::Action(_) | Output::Event(_) => {}
            }
            self.put(shown(&output));
        }
        while !self.session.poll_transmit().is_empty() {
            let all = self.session.poll_transmit();
            let portion = if self.portions == Portions::Bytes { 1 } else { all.len() };
            self.begun.extend_from_slice(&all[..portion]);
            self.session.handle_transmitted(portion, self.now);
        }
        while let Some(end) = self.begun.windows(2).position(|end| end == b"\r\n") {
            let line = format!("C: {}", Escaped(&self.begun[..end]));
            self.begun.drain(..end + 2);
            self.seen.0.push(line.clone());
            self.commands.push_back(line);
        }
    }

    fn put(&mut self, output: String) {
        self.seen.1.push(output.clone());
        self.outputs.push_back(output);
    }

    fn expect_no_more(&self, line: usize) -> Result<(), Fault> {
        let mut got = self.commands.iter().chain(&self.outputs).cloned().collect::<Vec<_>>();
        if !self.begun.is_empty() {
            got.push(format!("C: {} without an end", Escaped(&self.begun)));
        }
        if got.is_empty() {
            return Ok(());
        }
        Err(Fault {
            line,
            expected: "nothing more before this line".to_owned(),
            got: got.join("\n          "),
        })
    }
}

fn payload(payload: &Payload) -> String {
    match payload {
        Payload::Hold => "hold".to_owned(),
        Payload::Idle => "idle".to_owned(),
        Payload::Overlap(id, range) => format!("overlap {} {range:?}", id.0),
        Payload::File(id, range) => format!("file {} {range:?}", id.0),
        Payload::Content(id, range) => format!("content {} {range:?}", id.0),
        Payload::Drain => "drain".to_owned(),
        other => format!("{other:?}"),
    }
}

fn compare(line: usize, expected: &str, got: Option<String>) -> Result<(), Fault> {
    let got = got.unwrap_or_else(|| "nothing".to_owned());
    if got == expected { Ok(()) } else { Err(Fault { line, expected: expected.to_owned(), got }) }
}

fn shown(output: &Output) -> String {
    match output {
        Output::Action(Action::Connect(address)) => format!("A: connect {address}"),
        Output::Action(Action::Close(Channel::Data)) => "A: close data".to_owned(),
        Output::Action(Action::Close(Channel::Control)) => "A: close control".to_owned(),
        Output::Action(action) => format!("A: {action:?}"),
        Output::Event(event) => format!("E: {}", shown_event(event)),
    }
}

fn shown_event(event: &Event) -> String {
    match event {
        Event::Connected => "connected".to_owned(),
        Event::Ready(features) => format!("ready {}", shown_features(features)).trim_end().to_owned(),
        Event::Reply(RequestId(id), reply) => format!("reply {id} {reply}"),
        Event::Facts(RequestId(id), facts) => format!("facts {id}{}", shown_facts(facts)),
        Event::Prepared(RequestId(id)) => format!("prepared {id}"),
        Event::Started(RequestId(id)) => format!("started {id}"),
        Event::Finished(RequestId(id), Finish::Whole { at }) => format!("finished {id} whole {at}"),
        Event::Finished(RequestId(id), Finish::Cut) => format!("finished {id} cut"),
        Event::Finished(RequestId(id), Finish::Short { at, reply }) => {
            format!("finished {id} short {at}: {reply}")
        }
        Event::Refused(RequestId(id), verb, reply) => format!("refused {id} {verb}: {reply}"),
        Event::Wire(line) => format!("wire {line}"),
        Event::Closed(error) => format!("closed {error}"),
        _ => format!("{event:?}"),
    }
}

fn shown_features(features: &Features) -> String {
    let shown = features.iter().map(|Feature { name, parameters }| {
        format!("{} {}", Escaped(name), Escaped(parameters)).trim_end().to_owned()
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn shown_facts(facts: &Facts) -> String {
    let Facts { size, modify, kind, unique } = facts;
    let mut shown = String::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = write!(shown, " {name}={value}");
        }
    };
    add("size", size.map(|size| size.to_string()));
    add("modify", modify.map(|modify| modify.to_string()));
    add("type", kind.as_ref().map(|kind| format!("{kind:?}")));
    add("unique", unique.as_ref().map(|unique| Escaped(unique).to_string()));
    shown
}
