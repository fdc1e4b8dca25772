//! A non-blocking TCP connection of a session.

use ftp_proto::conduit::{KEEPALIVE, Read, Socket};
use ftp_proto::{Cause, Channel, End};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, ipproto, recv, send, socket_with,
    sockopt,
};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A TCP connection that is established or being established.
#[derive(Debug)]
pub(crate) struct TcpSocket(OwnedFd);

impl TcpSocket {
    /// Starts to connect.
    pub(crate) fn connect(channel: Channel, peer: SocketAddr) -> Result<Self, Cause> {
        let family = if peer.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd =
            socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP)).map_err(io::Error::from)?;
        // Urgent data are a part of the stream: no byte of them may be lost.
        let _ = sockopt::set_socket_oobinline(&fd, true);
        if channel == Channel::Control {
            set_control_options(&fd);
        }
        match connect(&fd, &peer) {
            Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(Self(fd)),
            Err(errno) => Err(io::Error::from(errno).into()),
        }
    }
}

/// Sends without waiting to fill segments, and probes an idle connection so that address translators remember it. The
/// connection works without either, so a refusal of the system is ignored.
fn set_control_options(fd: &OwnedFd) {
    let _ = sockopt::set_tcp_nodelay(fd, true);
    let _ = sockopt::set_tcp_keepidle(fd, KEEPALIVE);
    let _ = sockopt::set_tcp_keepintvl(fd, KEEPALIVE);
    let _ = sockopt::set_socket_keepalive(fd, true);
}

impl Socket for TcpSocket {
    fn finish_connect(&mut self) -> Result<bool, Cause> {
        match sockopt::socket_error(&self.0) {
            Ok(Ok(())) => Ok(true),
            Ok(Err(errno)) | Err(errno) => Err(io::Error::from(errno).into()),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Read {
        loop {
            match recv(&self.0, &mut *buffer, RecvFlags::empty()) {
                Ok((0, _)) => return Read::Ended(End::Fin),
                Ok((len, _)) => return Read::Bytes(len),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Read::NotNow,
                Err(_) => return Read::Ended(End::Reset),
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, End> {
        loop {
            match send(&self.0, bytes, SendFlags::NOSIGNAL) {
                Ok(len) => return Ok(len),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(0),
                Err(_) => return Err(End::Reset),
            }
        }
    }
}

impl AsFd for TcpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
