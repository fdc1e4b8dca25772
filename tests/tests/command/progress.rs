//! What a user sees on a standard error that is no terminal.

use crate::support::*;

fn download(args: &[&str], server: &Server) -> Done {
    Pftp::new(args.iter().copied()).arg(server.url(PATH)).run().expect_code(0)
}

#[test]
fn nothing_if_asked_to_be_quiet() {
    let server = serve(&file(2 * MIB), throttled(1_000_000));
    download(&["-q", "-c", "2", "--min-segment", "64K"], &server).expect_silence();
}

#[test]
fn a_last_line_in_a_pipe() {
    let server = serve(&file(2 * MIB), Behaviour::default());
    let done = download(&["-c", "2"], &server);
    assert!(done.stdout.is_empty());
    let last = done.stderr.lines().last().unwrap_or_default();
    assert!(last.starts_with("file.bin: 2097152 bytes in ") && last.contains(" s, "), "{}", done.stderr);
    // A line every few seconds at most, and this takes less.
    assert!(done.stderr.lines().count() <= 3, "{}", done.stderr);
    assert!(!done.stderr.contains(['\r', '\x1b']), "{:?}", done.stderr);
}

#[test]
fn no_last_line_of_a_run_that_fails() {
    let server = serve(&file(10), Behaviour::default());
    let done = Pftp::new([server.url("missing")]).run().expect_code(3);
    assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
}

#[test]
fn warnings_even_if_quiet() {
    let server = serve(&file(1000), Behaviour::default());
    let done = download(&["-q", "-o", "-", "-c", "2"], &server);
    assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
}
