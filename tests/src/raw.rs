//! A server of bytes: for what the model cannot say, whether or not it makes sense.
//!
//! Each connection has a thread, in which a function of the test's own talks. A command that the script leaves to
//! [`Peer::usual`] is answered as a well-behaved server does.
//!
//! ```
//! use pftp_tests::raw::{Peer, Raw};
//!
//! let server = Raw::start(vec![7; 100], |_session, peer: &mut Peer| {
//!     peer.say("220 hi\r\n")?;
//!     loop {
//!         match peer.hear()?.as_str() {
//!             "TYPE I" => peer.say("200 \x1b[2J\r\n")?,
//!             command => peer.usual(command)?,
//!         }
//!     }
//! })?;
//! assert!(server.url("file").starts_with("ftp://127.0.0.1:"));
//! # Ok::<(), std::io::Error>(())
//! ```

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// A server that talks as it is told. It takes no connection any more when it is dropped; threads that talk go on
/// until
/// their client leaves.
#[derive(Debug)]
pub struct Raw {
    address: SocketAddr,
    /// Connections so far; [`ENDED`] and more when there are to be no more.
    connections: Arc<AtomicUsize>,
}

const ENDED: usize = usize::MAX / 2;

impl Raw {
    /// Starts a server on a free port of 127.0.0.1. `talk` gets the number of the connection, from 0, and its other
    /// end; the
    /// connection is closed when it returns. An error ends the connection and nothing else.
    pub fn start(
        file: impl Into<Vec<u8>>,
        talk: impl Fn(usize, &mut Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::start_at(Ipv4Addr::LOCALHOST, file, talk)
    }

    /// The same on another loopback address.
    pub fn start_at(
        ip: impl Into<IpAddr>,
        file: impl Into<Vec<u8>>,
        talk: impl Fn(usize, &mut Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((ip.into(), 0))?;
        let address = listener.local_addr()?;
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, file, talk) = (Arc::clone(&connections), Arc::new(file.into()), Arc::new(talk));
        thread::Builder::new().name("raw-server".to_owned()).spawn(move || {
            for stream in listener.incoming() {
                let session = count.fetch_add(1, Ordering::SeqCst);
                if session >= ENDED {
                    return;
                }
                let Ok(mut peer) = stream.and_then(|stream| Peer::new(stream, Arc::clone(&file))) else {
                    continue;
                };
                let talk = Arc::clone(&talk);
                // Without a thread the connection is closed, which its client sees.
                let _ = thread::Builder::new().name("raw-session".to_owned()).spawn(move || {
                    // An error is the client's end of the connection.
                    let _ = talk(session, &mut peer);
                });
            }
        })?;
        Ok(Self { address, connections })
    }

    /// The address of the control port.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a file.
    pub fn url(&self, path: &str) -> String {
        format!("ftp://{}/{path}", self.address)
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.connections.store(ENDED, Ordering::SeqCst);
        // Wakes the thread that accepts. If that fails, it has ended.
        let _ = TcpStream::connect(self.address);
    }
}

/// The client's end of a control connection, and the state of a session as far as [`usual`](Self::usual) has one.
#[derive(Debug)]
pub struct Peer {
    control: BufReader<TcpStream>,
    listener: Option<TcpListener>,
    file: Arc<Vec<u8>>,
    offset: usize,
}

impl Peer {
    fn new(stream: TcpStream, file: Arc<Vec<u8>>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { control: BufReader::new(stream), listener: None, file, offset: 0 })
    }

    /// Sends these bytes as they are.
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.control.get_mut().write_all(bytes.as_ref())
    }

    /// Sends these bytes one by one, each in a packet of its own, so much time apart.
    pub fn drip(&mut self, bytes: impl AsRef<[u8]>, pause: Duration) -> io::Result<()> {
        for byte in bytes.as_ref() {
            self.say([*byte])?;
            if !pause.is_zero() {
                thread::sleep(pause);
            }
        }
        Ok(())
    }

    /// Sends these bytes again and again. The dialogue ends when the client has left.
    pub fn flood(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let many = bytes.as_ref().repeat(4096_usize.div_ceil(bytes.as_ref().len().max(1)));
        loop {
            self.say(&many)?;
        }
    }

    /// The next line from the client, without its end. An error when it has left.
    pub fn hear(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        if self.control.read_until(b'\n', &mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Says nothing more, and ends when the client has left.
    pub fn hang(&mut self) -> io::Result<()> {
        loop {
            self.hear()?;
        }
    }

    /// The port of the control connection.
    pub fn port(&self) -> io::Result<u16> {
        Ok(self.control.get_ref().local_addr()?.port())
    }

    /// Waits for a data connection on a free port of the address the client called.
    pub fn listen(&mut self) -> io::Result<u16> {
        let listener = TcpListener::bind((self.control.get_ref().local_addr()?.ip(), 0))?;
        let port = listener.local_addr()?.port();
        self.listener = Some(listener);
        Ok(port)
    }

    /// The data connection that [`listen`](Self::listen) waits for.
    pub fn data(&mut self) -> io::Result<TcpStream> {
        let listener = self.listener.take().ok_or(ErrorKind::NotConnected)?;
        Ok(listener.accept()?.0)
    }

    /// The data of RETR: the file from the offset of REST on.
    pub fn wanted(&mut self) -> Vec<u8> {
        let offset = std::mem::take(&mut self.offset);
        self.file.get(offset..).unwrap_or_default().to_vec()
    }

    /// Answers a command as servers do.
    pub fn usual(&mut self, command: &str) -> io::Result<()> {
        let (verb, argument) = command.split_once(' ').unwrap_or((command, ""));
        match verb {
            "USER" => self.say("331 Password?\r\n"),
            "PASS" => self.say("230 In.\r\n"),
            "SIZE" => self.say(format!("213 {}\r\n", self.file.len())),
            "MDTM" => self.say("213 20240229123456\r\n"),
            "REST" => {
                self.offset = argument.parse().unwrap_or_default();
                self.say("350 There.\r\n")
            }
            "EPSV" => {
                let port = self.listen()?;
                self.say(format!("229 Listening (|||{port}|)\r\n"))
            }
            "PASV" => {
                let [high, low] = self.listen()?.to_be_bytes();
                self.say(format!("227 Listening (127,0,0,1,{high},{low})\r\n"))
            }
            "RETR" => {
                let mut data = self.data()?;
                self.say("150 Here it comes.\r\n")?;
                data.write_all(&self.wanted())?;
                drop(data);
                self.say("226 That was it.\r\n")
            }
            "QUIT" => self.say("221 Bye.\r\n"),
            "MLST" => self.say("500 What?\r\n"),
            _ => self.say("200 Fine.\r\n"),
        }
    }

    /// Greets, and answers everything as servers do but what `odd` answers, which says so.
    pub fn serve(&mut self, mut odd: impl FnMut(&mut Self, &str) -> io::Result<bool>) -> io::Result<()> {
        self.say("220 Ready.\r\n")?;
        loop {
            let command = self.hear()?;
            if !odd(self, &command)? {
                self.usual(&command)?;
            }
        }
    }
}
