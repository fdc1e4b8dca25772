//! ftp-proto without std: see `Cargo.toml`.

#![no_std]

extern crate alloc;

use alloc::alloc::{GlobalAlloc, Layout};
use alloc::sync::Arc;
use core::net::{Ipv4Addr, SocketAddr};
use core::panic::PanicInfo;
use core::ptr;
use core::time::Duration;
use ftp_proto::{
    Arg, Change, Channel, Config, Facts, Instant, Link, Request, RequestId, Retrieve, Session, Sink, Until,
    meaning,
};

/// Has no memory. Nothing here is ever run.
struct Allocator;

// SAFETY: an allocator may fail every time.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

struct Nowhere;

impl Sink for Nowhere {
    type Error = ();

    fn write_at(&self, _: u64, _: &[u8]) -> Result<(), ()> {
        Ok(())
    }
}

/// Calls into every part of the crate, so that all of it is linked.
///
/// # Safety
/// `bytes` points to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn use_ftp_proto(bytes: *const u8, len: usize) -> usize {
    // SAFETY: the caller promises it.
    let bytes = unsafe { core::slice::from_raw_parts(bytes, len) };
    let now = Instant(Duration::from_secs(1));
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 21));

    let mut replies = ftp_proto::ReplyParser::new(len);
    replies.push(bytes);
    let mut facts = Facts::default();
    if let Ok(Some(reply)) = replies.next() {
        facts = meaning::mlst(&reply).map_or(facts, |entry| entry.facts);
        facts.size = facts.size.or(meaning::pasv(&reply).map(|(_, port)| port.into()));
        facts.size = facts.size.or(meaning::epsv(&reply).map(Into::into));
    }

    let mut session = Session::new(Arc::new(Config::default()), peer, now);
    let mut link = Link::new(Arc::new(Config::default()), peer.into(), now);
    if let Ok(path) = Arg::new(bytes.to_vec()) {
        let whole = Retrieve::new(path.clone(), 0, Until::Eof);
        let _ = session.request(RequestId(1), Request::Facts(path), now);
        let _ = link.retrieve(RequestId(1), whole, Arc::new(Nowhere), now);
    }
    session.handle_channel(Channel::Control, Change::Connected, now);
    session.handle_bytes(bytes, now);
    session.handle_timeout(now);
    link.handle_channel(Channel::Control, Change::Connected, now);
    link.handle_bytes(Channel::Control, bytes, now);
    link.handle_timeout(now);

    let mut outputs = 0;
    while session.poll_output().is_some() || link.poll_output().is_some() {
        outputs += 1;
    }
    outputs
        + session.poll_transmit().len()
        + link.poll_transmit(Channel::Control).len()
        + usize::from(facts.size.is_some())
}
