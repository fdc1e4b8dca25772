//! Standard error that is no terminal.

use crate::support::*;

fn download(args: &[&str], server: &Server) -> Done {
    Pftp::new(args.iter().copied()).arg(server.url(PATH)).run().expect_code(0)
}

#[test]
fn quiet_run_writes_nothing() {
    let server = serve(&file(2 * MIB), throttled(1_000_000));
    download(&["-q", "-c", "2", "--min-segment", "64K"], &server).expect_silence();
}

#[test]
fn last_line_is_written_to_a_pipe() {
    let server = serve(&file(2 * MIB), Behaviour::default());
    let done = download(&["-c", "2"], &server);
    assert!(done.stdout.is_empty());
    let last = done.stderr.lines().last().unwrap_or_default();
    assert!(last.starts_with("file.bin: 2097152 bytes in ") && last.contains(" s, "), "{}", done.stderr);
    // A line comes every few seconds at most, and this run takes less.
    assert!(done.stderr.lines().count() <= 3, "{}", done.stderr);
    assert!(!done.stderr.contains(['\r', '\x1b']), "{:?}", done.stderr);
}

#[test]
fn failed_run_writes_no_last_line() {
    let server = serve(&file(10), Behaviour::default());
    let done = Pftp::new([server.url("missing")]).run().expect_code(3);
    assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
}

#[test]
fn quiet_run_writes_warnings() {
    let server = serve(&file(1000), Behaviour::default());
    let done = download(&["-q", "-o", "-", "-c", "2"], &server);
    assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
}
