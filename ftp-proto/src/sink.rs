//! Sinks for the bytes of files.

/// Takes the bytes of a file at their offsets: a file on disk, memory, or a test that fails on purpose.
///
/// Transfers write disjoint or identical ranges, from any thread, in any order.
pub trait Sink: Send + Sync {
    /// The reason why a write failed.
    type Error;

    /// Writes all of `bytes` at `offset`, in bytes from the start of the file.
    ///
    /// # Errors
    /// The error of the sink; the bytes then count as not written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Self::Error>;
}
