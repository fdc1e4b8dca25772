//! The bytes between a socket and the session: unchanged, or through a layer that has the connection to itself first, as a
//! proxy has, or TLS.

use crate::channel::{Cause, Change, End};
use alloc::vec::Vec;

/// A protocol between a socket and the session. Only the tests have one yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Layer {
    /// None: the session has the connection as soon as it is established.
    Plain,
    /// Sends `hello` and waits for `answer` before the session has the connection; sends `goodbye` before it is closed.
    #[cfg(test)]
    Greeting { hello: &'static [u8], answer: &'static [u8], goodbye: &'static [u8] },
}

/// A connection of a link.
#[derive(Debug)]
pub(super) struct Wire {
    layer: Layer,
    stage: Stage,
    /// Bytes of the layer to send.
    out: Vec<u8>,
    /// How many bytes of `out` the driver has sent.
    sent: usize,
    /// Bytes that came behind those of the layer, and that the session has not taken yet.
    held: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// Not connected.
    Closed,
    /// The layer has the connection, and the session takes it for one that is being connected.
    Busy,
    /// The session has the connection.
    Open,
}

impl Wire {
    pub(super) const fn new(layer: Layer) -> Self {
        Self { layer, stage: Stage::Closed, out: Vec::new(), sent: 0, held: Vec::new() }
    }

    /// Whether the layer has the connection.
    pub(super) fn is_busy(&self) -> bool {
        self.stage == Stage::Busy
    }

    /// Takes a change of the connection, and returns the change that the session hears of.
    pub(super) fn handle_channel(&mut self, change: Change) -> Option<Change> {
        match (change, self.stage, self.layer) {
            (Change::Connected, Stage::Closed, Layer::Plain) => {
                self.stage = Stage::Open;
                Some(change)
            }
            #[cfg(test)]
            (Change::Connected, Stage::Closed, Layer::Greeting { hello, .. }) => {
                self.out.extend_from_slice(hello);
                self.stage = Stage::Busy;
                None
            }
            (Change::Ended(end), Stage::Busy, _) => {
                self.stage = Stage::Closed;
                Some(Change::Failed(if end == End::Fin { Cause::Ended } else { Cause::Reset }))
            }
            _ => Some(change),
        }
    }

    /// Takes bytes while the layer has the connection, and returns the change that the session hears of.
    pub(super) fn handle_bytes(&mut self, bytes: &[u8]) -> Option<Change> {
        let rest = match &mut self.layer {
            Layer::Plain => bytes,
            #[cfg(test)]
            Layer::Greeting { answer, .. } => {
                let (first, rest) = bytes.split_at(bytes.len().min(answer.len()));
                let Some(missing) = answer.strip_prefix(first) else {
                    self.stage = Stage::Closed;
                    return Some(Change::Failed(Cause::Refused));
                };
                *answer = missing;
                if !missing.is_empty() {
                    return None;
                }
                rest
            }
        };
        self.held.extend_from_slice(rest);
        self.stage = Stage::Open;
        Some(Change::Connected)
    }

    /// Takes the bytes that came behind those of the layer; empty if there are none.
    pub(super) fn take_held(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.held)
    }

    /// The bytes of the layer to send next.
    pub(super) fn poll_transmit(&self) -> &[u8] {
        self.out.get(self.sent..).unwrap_or_default()
    }

    /// Takes the first `len` bytes of [`poll_transmit`](Self::poll_transmit) as sent.
    pub(super) fn handle_transmitted(&mut self, len: usize) {
        self.sent = self.sent.saturating_add(len).min(self.out.len());
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
    }

    /// The session closes the connection: queues the last bytes of the layer.
    pub(super) fn close(&mut self) {
        match self.layer {
            #[cfg(test)]
            Layer::Greeting { goodbye, .. } if self.stage == Stage::Open => {
                self.out.extend_from_slice(goodbye)
            }
            _ => {}
        }
        self.stage = Stage::Closed;
        self.held = Vec::new();
    }
}
