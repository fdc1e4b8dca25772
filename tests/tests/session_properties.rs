//! Properties of a session: with any server, network and caller, and with a server that keeps to the rules.

#[path = "session_properties/chaos.rs"]
mod chaos;
#[path = "session_properties/fair.rs"]
mod fair;

use std::num::NonZeroUsize;
use std::sync::Arc;

use ftp_proto::{Arg, Config, Secret, Session};

/// A session that has just been started, at the time 0.
fn session(pipeline: usize, adjust: impl FnOnce(&mut Config)) -> Session {
    let mut config = Config::default();
    config.pipeline = NonZeroUsize::new(pipeline).expect("a depth");
    config.account = Some(Secret::new(&b"blue"[..]).expect("an account"));
    adjust(&mut config);
    Session::new(Arc::new(config), ([192, 0, 2, 1], 21).into(), ftp_proto::Instant::ZERO)
}

fn path(name: &'static str) -> Arg {
    Arg::new(name.as_bytes()).expect("a path")
}
