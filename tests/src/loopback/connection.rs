//! The sockets of one session.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};

use super::lock;
use super::reactor::Context;
use crate::model::{Action, DataChange, Ending, Output, ServerSession};

/// Bytes that one visit sends at most, so that no connection keeps the others waiting.
const SHARE: usize = 1024 * 1024;

/// Which socket of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Socket {
    Control,
    Listener,
    Data,
}

impl Socket {
    pub(super) const COUNT: usize = 3;

    pub(super) fn from(token: usize) -> Self {
        match token % Self::COUNT {
            0 => Self::Control,
            1 => Self::Listener,
            _ => Self::Data,
        }
    }

    fn token(self, slot: usize) -> Token {
        Token(slot * Self::COUNT + self as usize)
    }
}

/// The state of a connection after a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Waiting,
    Unfinished,
    Gone,
}

#[derive(Debug)]
pub(super) struct Connection {
    index: usize,
    slot: usize,
    session: ServerSession,
    control: TcpStream,
    state: ControlState,
    listener: Option<TcpListener>,
    data: Option<TcpStream>,
    data_is_full: bool,
    /// The timer that is set for it.
    pub(super) armed: Option<Duration>,
    /// Whether the connection is queued because it has more to do.
    pub(super) queued: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ControlState {
    Open,
    /// Closed by the session; the rest is to be sent.
    Flushing,
    /// All is sent and our side is shut down. Closing before the peer does would answer input under way by a
    /// reset, and a reset takes the last reply away from the peer.
    Lingering,
    Gone,
}

impl Connection {
    pub(super) fn new(
        index: usize,
        slot: usize,
        session: ServerSession,
        mut control: TcpStream,
        registry: &Registry,
    ) -> io::Result<Self> {
        control.set_nodelay(true)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut control, Socket::Control.token(slot), both)?;
        Ok(Self {
            index,
            slot,
            session,
            control,
            state: ControlState::Open,
            listener: None,
            data: None,
            data_is_full: false,
            armed: None,
            queued: false,
        })
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.session.poll_timeout()
    }

    pub(super) fn timeout(&mut self, now: Duration) {
        self.session.handle_timeout(now);
    }

    /// Closes it whatever the session thinks.
    pub(super) fn close(&mut self, ending: Ending, now: Duration) {
        self.close_data(ending);
        self.close_control(ending);
        self.session.handle_control_closed(now);
    }

    pub(super) fn ready(&mut self, socket: Socket, context: &mut Context<'_>) {
        match socket {
            Socket::Control => self.read_control(context),
            Socket::Listener => self.accept_data(context),
            Socket::Data => {
                self.data_is_full = false;
                self.read_data(context);
            }
        }
    }

    /// Does all that can be done without waiting, up to its share.
    pub(super) fn pump(&mut self, context: &mut Context<'_>) -> Progress {
        let mut share = SHARE;
        loop {
            let mut worked = false;
            while let Some(output) = self.session.poll_output() {
                self.apply(output, context);
                worked = true;
            }
            self.write_control(context.now);
            let before = share;
            self.write_data(&mut share, context);
            if self.state == ControlState::Gone {
                return Progress::Gone;
            }
            if share == 0 {
                return Progress::Unfinished;
            }
            if !worked && share == before {
                return Progress::Waiting;
            }
        }
    }

    fn apply(&mut self, output: Output, context: &mut Context<'_>) {
        match output {
            Output::Event(event) => lock(context.host).record(self.index, event),
            Output::Action(Action::Listen) => {
                let change =
                    self.listen(context.registry).map_or(DataChange::ListenFailed, DataChange::Listening);
                self.session.handle_data(change, context.now);
            }
            Output::Action(Action::FinishData) => {
                // If the client is gone already, reading tells.
                let _ = self.data.as_ref().map(|data| data.shutdown(Shutdown::Write));
            }
            Output::Action(Action::CloseData(ending)) => self.close_data(ending),
            Output::Action(Action::CloseControl(ending)) => {
                lock(context.host).closed(self.index);
                self.close_control(ending);
            }
        }
    }

    fn listen(&mut self, registry: &Registry) -> io::Result<SocketAddr> {
        let ip = self.control.local_addr()?.ip();
        let mut listener = TcpListener::bind(SocketAddr::new(ip, 0))?;
        registry.register(&mut listener, Socket::Listener.token(self.slot), Interest::READABLE)?;
        let address = listener.local_addr();
        self.listener = Some(listener);
        address
    }

    fn close_data(&mut self, ending: Ending) {
        self.listener = None;
        if let Some(data) = self.data.take() {
            end(&data, ending);
        }
    }

    fn close_control(&mut self, ending: Ending) {
        self.state = match (ending, self.state) {
            (Ending::Fin, ControlState::Open) => ControlState::Flushing,
            (Ending::Fin, state) => state,
            (Ending::Reset, _) => {
                end(&self.control, Ending::Reset);
                ControlState::Gone
            }
        };
    }

    fn read_control(&mut self, context: &mut Context<'_>) {
        let mut bytes = [0; 16 * 1024];
        while self.state != ControlState::Gone {
            match self.control.read(&mut bytes) {
                Ok(0) => self.control_ended(context.now),
                Ok(len) => {
                    // Taken after the read, so that a command sent after a change of the tree sees the change.
                    let tree = Arc::clone(lock(context.host).tree());
                    self.session.set_tree(tree);
                    self.session.handle_control(&bytes[..len], context.now);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.control_ended(context.now),
            }
        }
    }

    fn control_ended(&mut self, now: Duration) {
        self.session.handle_control_closed(now);
        self.close_data(Ending::Fin);
        self.state = ControlState::Gone;
    }

    fn write_control(&mut self, now: Duration) {
        while self.state != ControlState::Gone && !self.session.transmit().is_empty() {
            match self.control.write(self.session.transmit()) {
                Ok(count) => self.session.transmitted(count, now),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // The client is gone, but its last commands may still be here; after them reading tells.
                Err(_) => self.session.transmitted(self.session.transmit().len(), now),
            }
        }
        if self.state == ControlState::Flushing {
            self.state = ControlState::Lingering;
            // If the client is gone already, reading tells.
            let _ = self.control.shutdown(Shutdown::Write);
        }
    }

    fn accept_data(&mut self, context: &mut Context<'_>) {
        let Some(listener) = &self.listener else { return };
        let Ok((mut data, _)) = listener.accept() else { return };
        self.listener = None;
        let both = Interest::READABLE | Interest::WRITABLE;
        let registered = context.registry.register(&mut data, Socket::Data.token(self.slot), both);
        if data.set_nodelay(true).and(registered).is_ok() {
            self.data = Some(data);
            self.data_is_full = false;
            self.session.handle_data(DataChange::Accepted, context.now);
        }
    }

    /// Nothing is expected from the client, so this is about the end.
    fn read_data(&mut self, context: &mut Context<'_>) {
        let mut bytes = [0; 4096];
        while let Some(data) = &mut self.data {
            match data.read(&mut bytes) {
                Ok(0) => self.data_ended(context.now),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.data_ended(context.now),
            }
        }
    }

    fn data_ended(&mut self, now: Duration) {
        self.data = None;
        self.session.handle_data(DataChange::Closed, now);
    }

    fn write_data(&mut self, share: &mut usize, context: &mut Context<'_>) {
        while *share > 0 && !self.data_is_full && !context.held {
            let Some(data) = &mut self.data else { return };
            let window = self.session.data_window(context.now).min(context.buffer.len()).min(*share);
            let len = self.session.fill_data(&mut context.buffer[..window]);
            if len == 0 {
                return;
            }
            match data.write(&context.buffer[..len]) {
                Ok(count) => {
                    // A short write means a full socket buffer: no need to be told so once more.
                    self.data_is_full = count < len;
                    *share -= count;
                    self.session.data_sent(count, context.now);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.data_is_full = true,
                Err(_) => self.data_ended(context.now),
            }
        }
    }
}

/// Makes the coming close of a socket a reset, if it is to be one.
fn end(stream: &TcpStream, ending: Ending) {
    if ending == Ending::Reset {
        // If this fails, the close is an orderly one.
        let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
    }
}
