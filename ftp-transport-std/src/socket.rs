//! One non-blocking TCP connection of a session.

use ftp_proto::{Cause, End};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, ipproto, recv, send, socket_with,
    sockopt,
};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// A TCP connection that is established or on its way to be.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    connected: bool,
}

/// What a read came to.
pub(crate) enum Read {
    Bytes(usize),
    Ended(End),
    NotNow,
}

/// Seconds of silence after which an idle control connection is probed, and between probes: more often than
/// the few minutes after which address translators forget a connection.
const KEEPALIVE: Duration = Duration::from_secs(60);

impl Socket {
    /// Starts to connect.
    pub(crate) fn connect(peer: SocketAddr) -> Result<Self, Cause> {
        let family = if peer.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP)).map_err(cause)?;
        match connect(&fd, &peer) {
            Ok(()) => Ok(Self { fd, connected: true }),
            Err(Errno::INPROGRESS | Errno::INTR) => Ok(Self { fd, connected: false }),
            Err(errno) => Err(cause(errno)),
        }
    }

    /// Makes it a control connection: no waiting to fill segments, and probes that keep it known to what
    /// lies between. None of that is vital, so a refusal of the system is let pass.
    pub(crate) fn set_control_options(&self) {
        let _ = sockopt::set_tcp_nodelay(&self.fd, true);
        let _ = sockopt::set_tcp_keepidle(&self.fd, KEEPALIVE);
        let _ = sockopt::set_tcp_keepintvl(&self.fd, KEEPALIVE);
        let _ = sockopt::set_socket_keepalive(&self.fd, true);
    }

    pub(crate) const fn is_connected(&self) -> bool {
        self.connected
    }

    /// Concludes a connect after the socket has become writable.
    pub(crate) fn finish_connect(&mut self) -> Result<(), Cause> {
        match sockopt::socket_error(&self.fd) {
            Ok(Ok(())) => {
                self.connected = true;
                Ok(())
            }
            Ok(Err(errno)) | Err(errno) => Err(cause(errno)),
        }
    }

    pub(crate) fn read(&self, buffer: &mut [u8]) -> Read {
        loop {
            match recv(&self.fd, &mut *buffer, RecvFlags::empty()) {
                Ok((0, _)) => return Read::Ended(End::Fin),
                Ok((len, _)) => return Read::Bytes(len),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Read::NotNow,
                Err(_) => return Read::Ended(End::Reset),
            }
        }
    }

    /// Sends what the socket takes without waiting. `Err` when the connection is broken.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<usize, End> {
        loop {
            match send(&self.fd, bytes, SendFlags::NOSIGNAL) {
                Ok(len) => return Ok(len),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(0),
                Err(_) => return Err(End::Reset),
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn cause(errno: Errno) -> Cause {
    match errno {
        Errno::CONNREFUSED => Cause::Refused,
        Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::NETDOWN | Errno::HOSTDOWN => Cause::Unreachable,
        Errno::TIMEDOUT => Cause::TimedOut,
        Errno::CONNRESET | Errno::PIPE => Cause::Reset,
        other => Cause::Other(other.raw_os_error()),
    }
}
