//! The thread of one session.

use crate::socket::{Read, Socket};
use crate::{Clock, Message};
use ftp_proto::{
    Action, Change, Channel, Event, Instant, Link, LinkOutput, Report, Request, RequestId, SessionId, Sink,
    Until,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{PipeReader, Read as _};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, Sender};

/// What the transport's owner tells a session.
pub(crate) enum Order {
    Request(RequestId, Request),
    Shrink(RequestId, Until),
    Quit,
}

/// Bytes read at once from a data connection; larger ones gain nothing measurable.
const DATA_BUFFER: usize = 256 * 1024;

/// Bytes read at once from a control connection.
const CONTROL_BUFFER: usize = 4 * 1024;

/// Reads from the data connection before the control connection and the orders are looked at again.
const READS_IN_A_ROW: usize = 16;

pub(crate) struct Worker<S: Sink + ?Sized> {
    id: SessionId,
    link: Link<S>,
    clock: Clock,
    wake: PipeReader,
    orders: Receiver<Order>,
    reports: Sender<Message<S::Error>>,
    control: Option<Socket>,
    data: Option<Socket>,
    buffer: Vec<u8>,
}

/// What `poll(2)` found.
#[derive(Default)]
struct Ready {
    wake: bool,
    control: bool,
    data: bool,
}

impl<S: Sink + ?Sized> Worker<S> {
    pub(crate) fn new(
        id: SessionId,
        link: Link<S>,
        clock: Clock,
        wake: PipeReader,
        orders: Receiver<Order>,
        reports: Sender<Message<S::Error>>,
    ) -> Self {
        Self { id, link, clock, wake, orders, reports, control: None, data: None, buffer: Vec::new() }
    }

    /// Runs the session to its end.
    pub(crate) fn run(mut self, peer: SocketAddr) {
        self.dial(Channel::Control, peer);
        while self.carry_out() {
            let ready = self.wait();
            if ready.wake {
                self.take_orders();
            }
            // The control connection first: a reply may say what the data connection's bytes are.
            if ready.control {
                self.turn(Channel::Control);
            }
            if ready.data {
                self.turn(Channel::Data);
            }
            let now = self.clock.now();
            if self.link.poll_timeout().is_some_and(|due| due <= now) {
                self.link.handle_timeout(now);
            }
        }
    }

    /// Does what the link asks for. False when the session has ended.
    fn carry_out(&mut self) -> bool {
        loop {
            while let Some(output) = self.link.poll() {
                match output {
                    LinkOutput::Action(Action::Connect(peer)) => self.dial(Channel::Data, peer),
                    LinkOutput::Action(Action::Close(channel)) => self.close(channel),
                    LinkOutput::Action(_) => {}
                    LinkOutput::Written(range) => self.report(Report::Written(self.id, range)),
                    LinkOutput::Sink(error) => self.report(Report::Sink(self.id, error)),
                    LinkOutput::Event(event) => {
                        let last = matches!(event, Event::Closed(_));
                        self.report(Report::Event(self.id, event));
                        if last {
                            return false;
                        }
                    }
                }
            }
            if !self.send() {
                return true;
            }
        }
    }

    fn report(&self, report: Report<S::Error>) {
        // Fails when the transport is being dropped; the order to quit follows then.
        let _ = self.reports.send(Message::Report(report));
    }

    fn dial(&mut self, channel: Channel, peer: SocketAddr) {
        let now = self.clock.now();
        match Socket::connect(peer) {
            Ok(socket) => {
                let connected = socket.is_connected();
                if channel == Channel::Control {
                    socket.set_control_options();
                }
                *self.slot(channel) = Some(socket);
                if connected {
                    self.link.change(channel, Change::Connected, now);
                }
            }
            Err(cause) => self.link.change(channel, Change::Failed(cause), now),
        }
    }

    fn close(&mut self, channel: Channel) {
        if channel == Channel::Control {
            self.send();
        }
        *self.slot(channel) = None;
    }

    const fn slot(&mut self, channel: Channel) -> &mut Option<Socket> {
        match channel {
            Channel::Control => &mut self.control,
            Channel::Data => &mut self.data,
        }
    }

    /// Sends what the control connection takes now. True if something new may have come out of it.
    fn send(&mut self) -> bool {
        let Some(socket) = self.control.as_ref().filter(|socket| socket.is_connected()) else { return false };
        let bytes = self.link.write_buf(Channel::Control);
        if bytes.is_empty() {
            return false;
        }
        let sent = socket.write(bytes);
        let now = self.clock.now();
        match sent {
            Ok(0) => false,
            Ok(len) => {
                self.link.wrote(Channel::Control, len, now);
                true
            }
            Err(end) => {
                self.control = None;
                self.link.change(Channel::Control, Change::Ended(end), now);
                true
            }
        }
    }

    /// Waits until something is ready, an order comes or a deadline is reached.
    fn wait(&self) -> Ready {
        let timeout = self.link.poll_timeout().map(|due| timespec(due, self.clock.now()));
        let mut fds = vec![PollFd::new(&self.wake, PollFlags::IN)];
        // A connection nobody wants anything of is left out: poll would report its hang-up for ever.
        let watched = [Channel::Control, Channel::Data].map(|channel| {
            let socket = self.socket(channel)?;
            let events = self.events(channel, socket);
            if events.is_empty() {
                return None;
            }
            fds.push(PollFd::from_borrowed_fd(socket.as_fd(), events));
            Some(fds.len() - 1)
        });
        // An interrupted or failed wait finds nothing ready, and the loop comes round again.
        if poll(&mut fds, timeout.as_ref()).is_err() {
            return Ready::default();
        }
        let ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
        let [control, data] = watched.map(|at| at.is_some_and(ready));
        Ready { wake: ready(0), control, data }
    }

    const fn socket(&self, channel: Channel) -> Option<&Socket> {
        match channel {
            Channel::Control => self.control.as_ref(),
            Channel::Data => self.data.as_ref(),
        }
    }

    fn events(&self, channel: Channel, socket: &Socket) -> PollFlags {
        if !socket.is_connected() {
            return PollFlags::OUT;
        }
        let wants = self.link.wants(channel);
        let mut events = PollFlags::empty();
        events.set(PollFlags::IN, wants.read);
        events.set(PollFlags::OUT, wants.write);
        events
    }

    fn take_orders(&mut self) {
        // What is left in the pipe wakes the thread once more, which is harmless.
        let _ = self.wake.read(&mut [0; 64]);
        let now = self.clock.now();
        while let Ok(order) = self.orders.try_recv() {
            match order {
                // Refused only if the session has just ended, which its owner is being told.
                Order::Request(id, request) => drop(self.link.request(id, request, now)),
                Order::Shrink(id, until) => self.link.shrink(id, until, now),
                Order::Quit => self.link.quit(now),
            }
        }
    }

    /// Takes what a ready connection has: its establishment or failure, or bytes.
    fn turn(&mut self, channel: Channel) {
        let Some(socket) = self.slot(channel) else { return };
        if socket.is_connected() {
            return self.read(channel);
        }
        let change = match socket.finish_connect() {
            Ok(()) => Change::Connected,
            Err(cause) => Change::Failed(cause),
        };
        if let Change::Failed(_) = change {
            *self.slot(channel) = None;
        }
        self.link.change(channel, change, self.clock.now());
    }

    fn read(&mut self, channel: Channel) {
        let room = if channel == Channel::Data { DATA_BUFFER } else { CONTROL_BUFFER };
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        for _ in 0..READS_IN_A_ROW {
            let socket = if channel == Channel::Data { &self.data } else { &self.control };
            let (true, Some(socket), Some(buffer)) =
                (self.link.wants(channel).read, socket, self.buffer.get_mut(..room))
            else {
                return;
            };
            let read = socket.read(buffer);
            let now = self.clock.now();
            match read {
                Read::Bytes(len) => {
                    self.link.read(channel, self.buffer.get(..len).unwrap_or_default(), now);
                    if len < room {
                        return;
                    }
                }
                Read::Ended(end) => {
                    *self.slot(channel) = None;
                    return self.link.change(channel, Change::Ended(end), now);
                }
                Read::NotNow => return,
            }
        }
    }
}

/// The time from `now` to `due`, as `poll(2)` wants it, rounded up: a wait that ends early would be repeated.
fn timespec(due: Instant, now: Instant) -> Timespec {
    let wait = due.since(now);
    let seconds = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
    Timespec { tv_sec: seconds, tv_nsec: i64::from(wait.subsec_nanos()) }
}
