//! A driver written by hand: a session over `std::net`, and `poll(2)` to wait for its two sockets.
//!
//! `cargo run --example by_hand -- 192.0.2.1:21 pub/file here`

#![expect(clippy::disallowed_methods, clippy::indexing_slicing, reason = "a driver has a clock; a read fits")]
use ftp_proto::{
    Action, Arg, Cause, Change, Channel, Config, End, Event, Finish, Instant, Output, Payload, Redial,
    Request, RequestId, Retrieve, Session, SessionError, Until,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

struct Driver {
    session: Session,
    control: Option<TcpStream>,
    data: Option<TcpStream>,
    file: File,
    clock: std::time::Instant,
}

impl Driver {
    fn now(&self) -> Instant {
        Instant(self.clock.elapsed())
    }

    fn socket(&mut self, channel: Channel) -> &mut Option<TcpStream> {
        match channel {
            Channel::Control => &mut self.control,
            Channel::Data => &mut self.data,
        }
    }

    /// Connects one of the sockets; there is nothing else to do until it is connected.
    fn dial(&mut self, channel: Channel, peer: SocketAddr) {
        let due = self.session.poll_timeout().map_or(Duration::MAX, |(due, _)| due.since(self.now()));
        let connected = TcpStream::connect_timeout(&peer, due.max(Duration::from_millis(1)));
        let change = match connected.and_then(|socket| socket.set_nonblocking(true).map(|()| socket)) {
            Ok(socket) => {
                *self.socket(channel) = Some(socket);
                Change::Connected
            }
            Err(error) => Change::Failed(Cause::Other(error.raw_os_error().unwrap_or_default())),
        };
        self.session.handle_channel(channel, change, self.now());
    }

    /// Does what the session wants done. True when the session has ended in order.
    fn obey(&mut self) -> Result<bool> {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Action(Action::Connect(peer)) => self.dial(Channel::Data, peer),
                Output::Action(Action::Close(channel)) => {
                    // QUIT may be left to send.
                    self.send();
                    *self.socket(channel) = None;
                }
                Output::Event(Event::Finished(_, Finish::Whole { .. })) => self.session.quit(self.now()),
                Output::Event(Event::Finished(_, finish)) => return Err(format!("{finish:?}").into()),
                Output::Event(Event::Refused(_, _, reply)) => return Err(reply.to_string().into()),
                Output::Event(Event::Closed(SessionError::Quit)) => return Ok(true),
                Output::Event(Event::Closed(error)) => return Err(error.into()),
                _ => {}
            }
        }
        self.send();
        Ok(false)
    }

    /// Sends what the control connection takes now. If that fails, the next read gives the reason.
    fn send(&mut self) {
        if let Some(Ok(len)) = self.control.as_mut().map(|socket| socket.write(self.session.poll_transmit()))
        {
            self.session.handle_transmitted(len, self.now());
        }
    }

    /// Waits until a socket is ready, or the session's next deadline has come.
    fn wait(&self) -> Result<()> {
        let mut fds = Vec::new();
        if let Some(socket) = &self.control {
            let send =
                if self.session.poll_transmit().is_empty() { PollFlags::empty() } else { PollFlags::OUT };
            fds.push(PollFd::new(socket, PollFlags::IN | send));
        }
        if let Some(socket) = self.data.as_ref().filter(|_| self.session.payload() != Payload::Hold) {
            fds.push(PollFd::new(socket, PollFlags::IN));
        }
        let timeout = self.session.poll_timeout().map(|(due, _)| due.since(self.now()));
        poll(&mut fds, timeout.map(Timespec::try_from).transpose()?.as_ref())?;
        Ok(())
    }

    /// Reads a socket, if the session wants its bytes.
    fn read(&mut self, channel: Channel, buffer: &mut [u8]) -> Result<()> {
        let wanted = channel == Channel::Control || self.session.payload() != Payload::Hold;
        let Some(socket) = self.socket(channel).as_mut().filter(|_| wanted) else { return Ok(()) };
        let read = socket.read(buffer);
        let now = self.now();
        match read {
            Ok(0) => self.session.handle_channel(channel, Change::Ended(End::Fin), now),
            Ok(len) if channel == Channel::Control => self.session.handle_bytes(&buffer[..len], now),
            Ok(len) => {
                // A part without an overlap: bytes of the file, or bytes that are not wanted.
                if let Payload::File(_, range) = self.session.payload() {
                    let room = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
                    self.file.write_all_at(&buffer[..len.min(room)], range.start)?;
                }
                self.session.handle_payload(len as u64, now);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.session.handle_channel(channel, Change::Ended(End::Reset), now),
        }
        Ok(())
    }
}

/// Fetches the file over one session.
fn fetch(config: &Config, peer: SocketAddr, path: &Arg, here: &str) -> Result<()> {
    let session = Session::new(Arc::new(config.clone()), peer, Instant::ZERO);
    let (file, clock) = (File::create(here)?, std::time::Instant::now());
    let mut driver = Driver { session, control: None, data: None, file, clock };
    let whole = Retrieve::new(path.clone(), 0, Until::Eof);
    driver.session.request(RequestId(1), Request::Retrieve(whole), driver.now())?;
    driver.dial(Channel::Control, peer);
    let mut buffer = vec![0; 64 * 1024];
    while !driver.obey()? {
        driver.wait()?;
        // Control first: a reply may decide what the bytes on the data connection are.
        driver.read(Channel::Control, &mut buffer)?;
        driver.read(Channel::Data, &mut buffer)?;
        driver.session.handle_timeout(driver.now());
    }
    Ok(())
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [peer, path, here] = &args[..] else { return Err("IP:PORT PATH HERE".into()) };
    let (peer, path, mut config) = (peer.parse()?, Arg::new(path.clone())?, Config::default());
    for failures in 0.. {
        let Err(error) = fetch(&config, peer, &path, here) else { break };
        // A session that ended for a reason that a new one may not have.
        let redial = error.downcast_ref().map_or(Redial::Never, |error| Redial::after(error, &config));
        let Some(wait) = redial.wait(failures).filter(|_| failures < 3) else { return Err(error) };
        redial.apply(&mut config);
        std::thread::sleep(wait);
    }
    Ok(())
}
