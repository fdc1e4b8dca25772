//! Every kind of useless mirror, alone, beside a good one and beside two, in a fresh download and in a
//! resumed one: the right file or the right exit code.

use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use crate::support::*;

const SIZE: u64 = 2 * MIB;

/// The expected end of a run.
#[derive(Clone)]
enum End {
    /// This file, and code 0.
    File(File),
    /// This code, and no file.
    Code(i32),
    /// No evidence says which file is right: code 8, or the file of one mirror if the other's was not needed.
    Either(File),
}

/// A useless mirror.
struct Useless {
    what: &'static str,
    /// `None` for an address at which no process listens.
    server: Option<(File, Behaviour)>,
    alone: End,
    beside_one: End,
}

fn kinds() -> Vec<Useless> {
    let good = || file(SIZE);
    let kind = |what, server, alone| Useless { what, server, alone, beside_one: End::File(good()) };
    let fails = |what, behaviour, code| kind(what, Some((good(), behaviour)), End::Code(code));
    let other = |what, other: File, beside_one| {
        let server = Some((other.clone(), throttled(2_000_000)));
        Useless { what, server, alone: End::File(other), beside_one }
    };
    let login = Behaviour { login: Login::only("bob", "secret"), ..Behaviour::default() };
    let missing = Behaviour::default()
        .when(Trigger::every("RETR"), Reaction::reply("550 Failed to open file."))
        .when(Trigger::every("SIZE"), Reaction::reply("550 Could not get file size."));
    let stalls = Behaviour::default().cutting_every(Cut::silent(0, Interruption::Stall));
    let later = "20250101000000";
    let bytes = File::generated(8, SIZE);
    vec![
        kind("dead", None, End::Code(1)),
        fails("stalled", stalls, 7),
        fails("550", missing, 3),
        fails("login required", login, 2),
        fails("breaks off", Behaviour::default().cutting_every(Cut::told(0)), 7),
        fails("calls a part the whole", Behaviour::default().cutting_every(Cut::lying(0)), 8),
        other("truncated", file(SIZE / 2), End::Code(8)),
        other("other version", File::generated(8, SIZE).with_modified(later), End::Code(8)),
        other("other time", file(SIZE).with_modified(later), End::Code(8)),
        other("other bytes", bytes.clone(), End::Either(bytes)),
    ]
}

/// Returns the journal and the part that a stopped run leaves.
fn left(transport: &str) -> [(&'static str, Vec<u8>); 2] {
    let server = serve(&file(SIZE), throttled(500_000));
    let done =
        stopped_after(&format!("--transport {transport} -c 2 --min-segment 64K"), &[&server], SIZE / 4);
    [JOURNAL, PART].map(|name| (name, done.read(name)))
}

#[track_caller]
fn ends(command: Pftp, end: &End, what: &str) {
    let done = command.run();
    let file = match (end, done.code) {
        (End::File(file), _) => file.clone(),
        (End::Either(file), Some(0)) if done.read(NAME) == file.read(0..SIZE) => return,
        (End::Either(_), Some(0)) => crate::support::file(SIZE),
        (End::Either(_), _) => return failed(done, 8, what),
        (End::Code(code), _) => return failed(done, *code, what),
    };
    assert_eq!(done.code, Some(0), "{what}: {}", done.stderr);
    done.expect_file(NAME, &file);
}

#[track_caller]
fn failed(done: Done, code: i32, what: &str) {
    assert_eq!(done.code, Some(code), "{what}: {}", done.stderr);
    assert!(!done.files().contains(&NAME.to_owned()), "{what}: {:?}", done.files());
}

fn befalls(transport: &str, left: &[(&'static str, Vec<u8>)], useless: &Useless) {
    // The listener is bound to another loopback address, so this port of 127.0.0.9 stays free.
    let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 8), 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let bad = useless.server.as_ref().map(|(file, behaviour)| serve(file, behaviour.clone()));
    let bad_url = bad.as_ref().map_or(format!("ftp://127.0.0.9:{port}/{PATH}"), |bad| bad.url(PATH));
    // The good mirror is slow enough that the other's failure is noticed meanwhile.
    let good = [(); 2].map(|()| serve(&file(SIZE), throttled(700_000)));
    for (count, end) in [(0, &useless.alone), (1, &useless.beside_one), (2, &End::File(file(SIZE)))] {
        let mut urls = vec![bad_url.clone()];
        urls.extend(good.iter().take(count).map(|good| good.url(PATH)));
        for turn in 0..urls.len().min(2) {
            urls.rotate_left(turn);
            // Without anything else to wait for, no machine is too busy.
            let limit = if useless.what == "stalled" { " --timeout 2" } else { "" };
            let args = format!("-q --transport {transport} -c 3 --min-segment 64K --retries 0{limit}");
            let args = args.split(' ').map(str::to_owned).chain(urls.iter().cloned());
            let command = left
                .iter()
                .fold(Pftp::new(args), |command, (name, content)| command.with_file(name, content));
            let resumed = if left.is_empty() { "fresh" } else { "going on" };
            ends(command, end, &format!("{}, beside {count}, turned by {turn}, {resumed}", useless.what));
        }
    }
}

fn useless_mirrors_in_a_fresh_download(transport: &str) {
    let kinds = kinds();
    thread::scope(|scope| {
        for useless in &kinds {
            scope.spawn(move || befalls(transport, &[], useless));
        }
    });
}

fn useless_mirrors_in_a_resumed_download(transport: &str) {
    let (kinds, left) = (kinds(), left(transport));
    thread::scope(|scope| {
        for useless in &kinds {
            let left = &left;
            scope.spawn(move || befalls(transport, left, useless));
        }
    });
}

over_each_transport! {
    useless_mirrors_in_a_fresh_download
    useless_mirrors_in_a_resumed_download
}
