//! A TCP connection of a session, as mio has it.

use ftp_proto::conduit::{KEEPALIVE, Read, Socket};
use ftp_proto::{Cause, Channel, End};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustix::net::sockopt;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;

/// Urgent data are included: a read ends before them, though there is more to read.
const EVERYTHING: Interest = Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY);

/// A registered TCP connection that is established or being established.
#[derive(Debug)]
pub(crate) struct TcpSocket(TcpStream);

impl TcpSocket {
    /// Starts to connect, and registers for all events: mio reports each change once.
    pub(crate) fn connect(
        channel: Channel,
        peer: SocketAddr,
        registry: &Registry,
        token: Token,
    ) -> Result<Self, Cause> {
        let mut stream = TcpStream::connect(peer)?;
        registry.register(&mut stream, token, EVERYTHING)?;
        // Urgent data are a part of the stream: no byte of them may be lost.
        let _ = sockopt::set_socket_oobinline(&stream, true);
        if channel == Channel::Control {
            // The connection works without either, so a refusal of the system is ignored.
            let _ = stream.set_nodelay(true);
            let _ = keep_alive(&stream);
        }
        Ok(Self(stream))
    }

    pub(crate) fn deregister(mut self, registry: &Registry) {
        // Closing the socket, which follows, deregisters it as well.
        let _ = registry.deregister(&mut self.0);
    }
}

/// Probes an idle connection, so that address translators remember it.
fn keep_alive(stream: &TcpStream) -> rustix::io::Result<()> {
    sockopt::set_tcp_keepidle(stream, KEEPALIVE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE)?;
    sockopt::set_socket_keepalive(stream, true)
}

impl Socket for TcpSocket {
    /// Checks in the order of mio's documentation: writable, then no error, then a peer.
    fn finish_connect(&mut self) -> Result<bool, Cause> {
        if let Some(error) = self.0.take_error()? {
            return Err(error.into());
        }
        match self.0.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Read {
        match retried(|| self.0.read(buffer)) {
            Ok(0) => Read::Ended(End::Fin),
            Ok(len) => Read::Bytes(len),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Read::NotNow,
            Err(_) => Read::Ended(End::Reset),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, End> {
        match retried(|| self.0.write(bytes)) {
            Ok(len) => Ok(len),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            Err(_) => Err(End::Reset),
        }
    }
}

fn retried(mut act: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match act() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
