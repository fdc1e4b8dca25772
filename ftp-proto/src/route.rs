//! The way to a server.

use alloc::sync::Arc;
use core::net::SocketAddr;

/// The way to a server: the address to connect to, and the name it is known by.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Route {
    /// The address to connect the control connection to.
    pub address: SocketAddr,
    /// The host name that the caller resolved to `address`, if it had one. No session uses it yet.
    pub server_name: Option<Arc<str>>,
}

impl Route {
    /// A direct connection to `address`, without a name.
    #[must_use]
    pub const fn new(address: SocketAddr) -> Self {
        Self { address, server_name: None }
    }
}

impl From<SocketAddr> for Route {
    fn from(address: SocketAddr) -> Self {
        Self::new(address)
    }
}
