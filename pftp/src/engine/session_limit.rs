//! Failures of a session that call for fewer sessions, not for another server.

use ftp_proto::{Cause, Reply, SessionError};
use rustix::io::Errno;

/// Returns whether a refusal says that the server takes no more sessions.
#[must_use]
pub(crate) fn is_session_limit(reply: &Reply) -> bool {
    let code = reply.code().get();
    code == 421 || reply.mentions(&["too many", "maximum", "limit"]) && matches!(code, 400..=499 | 500 | 530)
}

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
    use ftp_proto::{Channel, ReplyParser};
    use std::io;

    fn reply(text: &str) -> Reply {
        let mut parser = ReplyParser::new(65536);
        parser.push(text.as_bytes());
        parser.push(b"\r\n");
        parser.next().unwrap().unwrap()
    }

    #[test]
    fn session_limits_in_any_words() {
        for (text, is_limit) in [
            ("421 Timeout", true),
            ("530 Sorry, the maximum number of clients is connected.", true),
            ("500 Too many users", true),
            ("450 limit reached", true),
            ("530 Login incorrect.", false),
            ("550 too many: No such file", false),
        ] {
            assert_eq!(is_session_limit(&reply(text)), is_limit, "{text}");
        }
    }

    #[test]
    fn shortage_of_descriptors_or_buffers() {
        let failed = |errno| SessionError::Connection(Channel::Data, Cause::from(io::Error::from(errno)));
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS] {
            assert!(is_socket_shortage(&failed(errno)), "{errno}");
        }
        assert!(!is_socket_shortage(&failed(Errno::ACCESS)));
        assert!(!is_socket_shortage(&SessionError::Quit));
    }
}
