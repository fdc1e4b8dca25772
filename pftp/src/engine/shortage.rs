//! Failures of a session that are the fault of this machine.

use ftp_proto::{Cause, SessionError};
use rustix::io::Errno;

/// Returns whether a connection failed because this process or this machine has no more descriptors or buffers.
#[must_use]
pub(crate) fn is_socket_shortage(error: &SessionError) -> bool {
    const SHORTAGES: [Errno; 3] = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS];
    let SessionError::Connection(_, Cause::Other(number)) = error else { return false };
    SHORTAGES.iter().any(|errno| errno.raw_os_error() == *number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ftp_proto::Channel;
    use std::io;

    #[test]
    fn shortage_of_descriptors_or_buffers_is_recognised() {
        let failed = |errno| SessionError::Connection(Channel::Data, Cause::from(io::Error::from(errno)));
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS] {
            assert!(is_socket_shortage(&failed(errno)), "{errno}");
        }
        assert!(!is_socket_shortage(&failed(Errno::ACCESS)));
        assert!(!is_socket_shortage(&SessionError::Quit));
    }
}
