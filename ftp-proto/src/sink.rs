//! Where payload goes.

/// Takes the bytes of a file at their offsets: a file, memory, or one that fails on purpose.
///
/// Sessions write disjoint or identical ranges, from any thread, in any order.
pub trait Sink: Send + Sync {
    /// Why a write failed.
    type Error;

    /// Writes all of `bytes` at `offset`, in bytes from the start of the file.
    ///
    /// # Errors
    /// The sink's own; the bytes then count as not written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Self::Error>;
}
