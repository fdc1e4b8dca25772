//! Standard output gets the file or the log, and nothing else; ASCII mode converts line ends.

use std::io::Read;

use crate::support::*;

#[test]
fn standard_output_gets_the_file_and_nothing_else() {
    for size in [0, 1, 3 * MIB + 1] {
        let server = serve(&file(size), Behaviour::default());
        let done = pftp("-o -", &[&server]).run().expect_code(0).expect_silence();
        assert!(done.stdout == file(size).read(0..size));
        assert!(done.files().is_empty(), "{:?}", done.files());
        assert_eq!(server.stop().logins(), 1);
    }
}

#[test]
fn standard_output_takes_one_connection() {
    let server = serve(&file(MIB), Behaviour::default());
    let done = pftp("-o - -c 4", &[&server]).run().expect_code(0);
    assert!(done.stdout == file(MIB).read(0..MIB));
    assert!(
        done.stderr.starts_with("pftp: warning: standard output takes one connection"),
        "{}",
        done.stderr
    );
    assert_eq!(server.stop().sessions.len(), 1);
}

#[test]
fn standard_output_is_in_order_through_cuts_and_lost_sessions() {
    let cuts = Behaviour::default().cutting_every(Cut::lying(100_000));
    let hangs_up = Behaviour::default().when(Trigger::Replies(8), Reaction::Close);
    for behaviour in [cuts, hangs_up] {
        let model = Model::new(tree(&file(300_000))).with_session(0, behaviour);
        let done = pftp("-o - --timeout 5", &[&start(model)]).run().expect_code(0).expect_silence();
        assert!(done.stdout == file(300_000).read(0..300_000));
    }
}

#[test]
fn another_mirror_resumes_on_standard_output() {
    let file = file(MIB);
    let first = serve(&file, Behaviour::default().when(Trigger::Replies(8), Reaction::Close));
    let model = Model::new(tree(&file)).with_behaviour(throttled(2_000_000));
    let second = start(model);
    let running = pftp("-o - --retries 0", &[&first, &second]).run().expect_code(0);
    assert!(running.stdout == file.read(0..MIB));
}

#[test]
fn server_without_rest_cannot_resume_on_standard_output() {
    let cut = Reaction::Cut(Cut::told(100_000));
    let behaviour = Behaviour::default().without("REST").when(Trigger::every("RETR"), cut);
    let server = serve(&file(300_000), behaviour);
    let done = pftp("-o - --retries 1", &[&server]).run();
    assert_ne!(done.code, Some(0), "{}", done.stderr);
    assert!(file(300_000).read(0..300_000).starts_with(&done.stdout), "no byte of it is wrong");
}

#[test]
fn reader_that_leaves_ends_the_run_silently() {
    let server = serve(&file(8 * MIB), Behaviour::default());
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let running = pftp("-o -", &[&server]).with_stdout(writer).start();
    let mut start = [0; 1000];
    reader.read_exact(&mut start).expect("the start of the file");
    assert!(start[..] == file(8 * MIB).read(0..1000));
    drop(reader);
    running.wait().expect_code(9).expect_silence();
}

#[test]
fn reader_of_the_log_that_leaves_costs_only_the_log() {
    let server = serve(&file(MIB), Behaviour::default());
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let done = pftp("-l - -c 2", &[&server]).with_stdout(writer).run();
    done.expect_code(0).expect_silence().expect_file(NAME, &file(MIB));
}

#[test]
fn file_and_log_on_standard_output_are_refused() {
    let server = serve(&file(10), Behaviour::default());
    let done = pftp("-o - -l -", &[&server]).run().expect_code(7);
    assert!(done.stdout.is_empty());
    assert!(server.stop().sessions.is_empty());
}

#[test]
fn log_in_a_file_beside_data_on_standard_output() {
    let server = serve(&file(1000), Behaviour::default());
    let done = pftp("-o - -l the.log", &[&server]).run().expect_code(0).expect_silence();
    assert!(done.stdout == file(1000).read(0..1000));
    assert!(String::from_utf8_lossy(&done.read("the.log")).starts_with("S->C: 220 "));
}

const TEXT: &str = "one\ntwo\n\nfour \r five\nno end";

#[test]
fn ascii_mode_converts_line_ends() {
    let text = File::bytes(TEXT);
    let server = serve(&text, Behaviour::default());
    let done = pftp("-m ascii", &[&server]).run().expect_code(0).expect_silence().expect_file(NAME, &text);
    drop(done);
    let done = pftp("-m ascii -o -", &[&server]).run().expect_code(0).expect_silence();
    assert_eq!(done.stdout, TEXT.as_bytes());
    let done = Pftp::new(["-q", &format!("{};type=a", server.url(PATH))]).run().expect_code(0);
    done.expect_silence().expect_file(NAME, &text);
    let stats = server.stop();
    assert_eq!((stats.count("SIZE"), stats.logins()), (0, 3));
    assert!((0..3).all(|session| stats.lines_of(session).contains(&"TYPE A")));
}

#[test]
fn ascii_mode_converts_many_lines_through_a_cut() {
    let lines: String = (0..40_000).map(|line| format!("line number {line}\n")).collect();
    let text = File::bytes(lines);
    let cut = Behaviour::default().when(Trigger::nth("RETR", 1), Reaction::Cut(Cut::told(100_001)));
    let server = start(Model::new(tree(&text)).with_session(0, cut));
    let done = pftp("-m ascii -c 4", &[&server]).run().expect_code(0).expect_file(NAME, &text);
    assert!(done.stderr.contains("ascii mode takes one connection"), "{}", done.stderr);
    assert!(server.stop().transfers.iter().all(|transfer| transfer.offset == 0));
}

#[test]
fn binary_mode_converts_nothing() {
    let text = File::bytes("a\r\nb\nc\r");
    let server = serve(&text, Behaviour::default());
    let done = Pftp::new(["-q", "-m", "binary", &format!("{};type=a", server.url(PATH))]).run();
    done.expect_code(0).expect_file(NAME, &text);
}
