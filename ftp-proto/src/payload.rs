//! The meaning of the bytes of a data connection.

use crate::request::RequestId;
use core::ops::Range;

/// The meaning of the next bytes of the data connection, which decides what the driver does with them.
///
/// The driver reads the data connection unless this is [`Hold`](Self::Hold), does with the bytes what the variant says,
/// and reports how many bytes it has read with [`Session::handle_payload`](crate::Session::handle_payload). A read that goes
/// beyond the range of an [`Overlap`](Self::Overlap) holds the first bytes of the [`File`](Self::File) range as well: report
/// the overlap first, ask again, then report the rest. Bytes beyond the range of the others are not wanted: drop them, but
/// report them.
///
/// | state of the transfer | payload |
/// |---|---|
/// | no data connection, or it is being connected | `Hold` |
/// | connected, the reply to REST (or to a command before it) not known | `Hold` |
/// | connected ahead of its transfer ([`Request::Prepare`](crate::Request::Prepare)) | `Idle` |
/// | before the offset of the [`Retrieve`](crate::Retrieve) | `Overlap` |
/// | from the offset to the end of the part | `File` |
/// | a [`Request::Content`](crate::Request::Content) | `Content` |
/// | every wanted byte has come, or the transfer was refused and the server has not noticed yet | `Drain` |
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Payload {
    /// Read nothing. Either there is no data connection, or the place of its bytes is not known yet: they may overtake the
    /// reply to REST, which decides it.
    Hold,
    /// Read, to notice that the server ends the data connection: it is ready for a transfer that has not been requested. A
    /// byte that comes now belongs to no transfer, and the session closes the data connection.
    Idle,
    /// Bytes of the file before the wanted ones ([`Retrieve::overlap`](crate::Retrieve::overlap)), in this range of the
    /// file. The range ends at the offset of the part, or before it if the part does.
    Overlap(RequestId, Range<u64>),
    /// Wanted bytes, in this range of the file: write them there.
    File(RequestId, Range<u64>),
    /// Bytes for the caller, in this range of the data.
    Content(RequestId, Range<u64>),
    /// Read and drop: no byte is wanted, and the end of the data is awaited.
    Drain,
}
