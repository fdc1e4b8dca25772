//! Space on the disk is checked before it is needed, and a full disk loses nothing.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::*;
use pftp_tests::binary;

#[test]
fn file_larger_than_the_free_space_is_refused() {
    let claims = Behaviour { size_error: 1 << 60, ..throttled(100_000) };
    let server = serve(&file(MIB), claims);
    let done = pftp("-c 2", &[&server]).with_file(NAME, "older").run().expect_code(9);
    assert!(done.stderr.contains("cannot write ./file.bin.pftp-part: the file has "), "{}", done.stderr);
    assert!(done.stderr.contains(" bytes, and there is room for "), "{}", done.stderr);
    assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
    assert_eq!(done.read(NAME), b"older");
}

#[test]
fn wrong_size_reserves_no_space() {
    use std::os::unix::fs::MetadataExt;
    let lies = Behaviour { size_error: 1 << 28, ..Behaviour::default() };
    let server = serve(&file(300_000), lies);
    let done = stopped_after("-c 1", &[&server], 150_000);
    let facts = std::fs::metadata(done.dir.path().join(PART)).expect("the part");
    assert!(facts.blocks() * 512 < 400_000, "{} blocks for {} bytes", facts.blocks(), facts.len());
}

/// Runs a script in a file system of 3 MiB, which is `$1`, with the command as `$2` and the URLs as the other
/// arguments.
#[track_caller]
fn in_small_file_system(script: &str, urls: &[String]) -> Output {
    let dir = tempfile::tempdir().expect("a directory");
    let run = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-euc"]);
        let script = format!("mount -t tmpfs -o size=3m tmpfs \"$1\"; cd \"$1\"; {script}");
        command.arg(script).arg("sh").arg(dir.path()).arg::<&Path>(binary::pftp()).args(urls);
        command.output().expect("this test needs the command unshare (util-linux)")
    };
    let tried = run("true");
    let said = String::from_utf8_lossy(&tried.stderr);
    assert!(
        tried.status.success(),
        "this test needs user name spaces, and tmpfs mounted in them, which is not allowed here: {said}"
    );
    run(script)
}

#[test]
fn disk_that_fills_up_keeps_the_part() {
    // A file whose size the server does not tell cannot be refused for its size.
    let silent = throttled(8_000_000).without("SIZE").without("MDTM").without("MLST");
    let file = file(8 * MIB);
    let server = serve(&file, silent);
    let script = "printf older >file.bin; code=0; \"$2\" -q \"$3\" || code=$?; test $code = 9; \
        test \"$(cat file.bin)\" = older; ls >&2; mount -o remount,size=30m tmpfs \"$1\"; \"$2\" -q \"$3\"; \
        sha256sum file.bin | cut -c 1-64; ls | wc -l";
    let output = in_small_file_system(script, &[server.url(PATH)]);
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{complained}");
    assert!(complained.contains("cannot write ./file.bin.pftp-part: No space left"), "{complained}");
    assert!(complained.contains("make room and run the same command again"), "{complained}");
    assert_eq!(said, format!("{}\n1\n", file.sha256()), "{complained}");
    let offsets: Vec<u64> = server.stop().transfers.iter().map(|transfer| transfer.offset).collect();
    assert!(matches!(offsets[..], [0, further] if further > 2 * MIB), "it did not go on: {offsets:?}");
}

#[test]
fn disk_that_fills_up_with_several_mirrors_keeps_the_part() {
    let file = file(8 * MIB);
    let servers = [(); 2].map(|()| serve(&file, throttled(4_000_000)));
    let script = "code=0; \"$2\" -q \"$3\" \"$4\" || code=$?; test $code = 9; ls; \
        mount -o remount,size=30m tmpfs \"$1\"; \"$2\" -q \"$3\" \"$4\"; sha256sum file.bin | cut -c 1-64; ls";
    let urls = servers.each_ref().map(|server| server.url(PATH));
    let output = in_small_file_system(script, &urls);
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{complained}");
    assert_eq!(said, format!("{JOURNAL}\n{PART}\n{}\n{NAME}\n", file.sha256()), "{complained}");
    let sent: u64 = servers.map(|server| server.stop().payload()).iter().sum();
    assert!(sent < 10 * MIB, "{sent} bytes: it did not go on");
}
