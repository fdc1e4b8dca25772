//! Cancellation of a download from another thread.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Wakes a transport that waits.
pub(crate) type Wake = Arc<dyn Fn() + Send + Sync>;

/// Cancels a [`Download`](crate::Download). All clones of a handle cancel the same download.
///
/// A handle may be used from every thread, but not inside a signal handler, because it locks a mutex: let a thread wait for
/// the signal.
#[derive(Clone, Default)]
pub struct CancelHandle {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    is_cancelled: bool,
    /// Wakes the transport of the running download.
    wake: Option<Wake>,
}

impl CancelHandle {
    /// Ends the download soon: its sessions are closed, and the bytes that are on disk stay for a later run.
    /// [`run`](crate::Download::run) returns [`DownloadError::Cancelled`](crate::DownloadError::Cancelled), unless the
    /// download ends for another reason first.
    pub fn cancel(&self) {
        let wake = {
            let mut state = self.lock();
            state.is_cancelled = true;
            state.wake.clone()
        };
        if let Some(wake) = wake {
            wake();
        }
    }

    /// Returns whether [`cancel`](Self::cancel) was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.lock().is_cancelled
    }

    /// Sets the function that wakes the transport.
    pub(crate) fn set_wake(&self, wake: Option<Wake>) {
        self.lock().wake = wake;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelHandle").field("is_cancelled", &self.is_cancelled()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn clone_cancels_the_same_download_and_wakes_its_transport() {
        let handle = CancelHandle::default();
        let woken = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&woken);
        handle.set_wake(Some(Arc::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        })));
        let other = handle.clone();
        std::thread::spawn(move || other.cancel()).join().unwrap();
        assert!(handle.is_cancelled());
        handle.set_wake(None);
        handle.cancel();
        assert_eq!(woken.load(Ordering::Relaxed), 1);
    }
}
