//! The model server on real loopback sockets.
//!
//! ```
//! use pftp_tests::loopback::Server;
//! use pftp_tests::model::{Behaviour, File, Model, Tree};
//!
//! let tree = Tree::new().with("/pub/big", File::generated(1, 2 << 30));
//! let server = Server::start(Model::new(tree).with_behaviour(Behaviour::proftpd()))?;
//! println!("{}", server.url("pub/big"));
//! assert_eq!(server.stats().logins(), 0);
//! # Ok::<(), std::io::Error>(())
//! ```

mod connection;
mod reactor;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use mio::Waker;

use self::reactor::Reactor;
use crate::model::{Behaviour, Ending, Host, Model, Stats, Tree};

/// A running model server. It ends, and closes all of its connections, when it is dropped.
///
/// A single thread serves all sessions. As 2,000 of them take more descriptors than the usual soft limit allows,
/// starting a server raises the soft limit of the process to the hard one.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    host: Arc<Mutex<Host>>,
    /// No data are sent for now.
    held: Arc<AtomicBool>,
    orders: Sender<Order>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

/// An order to the thread.
#[derive(Clone, Copy, Debug)]
enum Order {
    Stop,
    LetGo,
    CloseSessions(Ending),
}

impl Server {
    /// Starts a server on a free port of 127.0.0.1.
    pub fn start(model: Model) -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0), model)
    }

    /// Starts a server on a loopback address of this process's own, which is what thousands of transfers want: their
    /// ports stay taken for a minute, and on one address for all a next run would look for free ones for long.
    pub fn start_apart(model: Model) -> io::Result<Self> {
        let [.., high, middle, low] = std::process::id().to_be_bytes();
        Self::start_at((Ipv4Addr::new(127, high | 1, middle, low), 0), model)
    }

    /// Starts a server at this address, of which only loopback ones are accepted; port 0 is a free one.
    pub fn start_at(address: impl Into<SocketAddr>, model: Model) -> io::Result<Self> {
        let address = address.into();
        if !address.ip().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a model server listens on loopback only",
            ));
        }
        raise_descriptor_limit();
        let host = Arc::new(Mutex::new(Host::new(model)));
        let (orders, inbox) = mpsc::channel();
        let held = Arc::new(AtomicBool::new(false));
        let (reactor, waker) = Reactor::new(address, Arc::clone(&host), Arc::clone(&held), inbox)?;
        let address = reactor.address();
        let thread = thread::Builder::new().name("model-server".to_owned()).spawn(move || reactor.run())?;
        Ok(Self { address, host, held, orders, waker, thread: Some(thread) })
    }

    /// The address of the control port.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The IP address alone.
    pub fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// The URL of a file: relative to the login directory, or absolute if `path` starts with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("ftp://{}/{path}", self.address)
    }

    /// A copy of the statistics as of now.
    pub fn stats(&self) -> Stats {
        self.with_stats(Clone::clone)
    }

    /// Looks at the statistics without a copy; the server waits meanwhile.
    pub fn with_stats<T>(&self, look: impl FnOnce(&Stats) -> T) -> T {
        look(lock(&self.host).stats())
    }

    /// Puts other files in the place of the present ones: every command sent after this sees them, a transfer
    /// that runs does not.
    pub fn set_tree(&self, tree: Tree) {
        lock(&self.host).set_tree(tree);
    }

    /// How sessions behave that are accepted now.
    pub fn behaviour(&self) -> Behaviour {
        lock(&self.host).behaviour()
    }

    /// Sessions accepted from now on behave so.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        lock(&self.host).set_behaviour(behaviour);
    }

    /// Commands are answered, and data connections accepted, but no data are sent until [`let_go`](Self::let_go):
    /// whatever
    /// else is to come before them does so, however slow the machine is.
    pub fn hold(&self) {
        self.held.store(true, Ordering::SeqCst);
    }

    /// Data are sent again.
    pub fn let_go(&self) {
        self.held.store(false, Ordering::SeqCst);
        self.order(Order::LetGo);
    }

    /// Closes all sessions with their data connections soon; new ones are served.
    pub fn close_sessions(&self, ending: Ending) {
        self.order(Order::CloseSessions(ending));
    }

    /// Ends the server and returns the last statistics.
    pub fn stop(mut self) -> Stats {
        self.end();
        self.stats()
    }

    fn order(&self, order: Order) {
        // Without its thread the server has nothing left to do.
        if self.orders.send(order).is_ok() {
            let _ = self.waker.wake();
        }
    }

    fn end(&mut self) {
        self.order(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn lock(host: &Mutex<Host>) -> MutexGuard<'_, Host> {
    host.lock().unwrap_or_else(PoisonError::into_inner)
}

fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        // If this fails, fewer sessions fit, which only a test of that many notices.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

#[cfg(test)]
mod tests;
