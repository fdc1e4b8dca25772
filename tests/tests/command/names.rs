//! Names that mean something to `pftp` itself: a server that chooses such a name gains nothing.

use pftp::journal::Record;

use crate::support::*;

/// The files at the temporary names decide what a run resumes, so no server may put them there.
#[test]
fn remote_names_of_temporary_files_are_refused() {
    let (good, forged) = (file(300_000), File::generated(8, 300_000));
    let server = serve(&good, Behaviour::default());
    // A journal as `pftp` would write it, which records the whole file.
    let kept = stopped_after("-c 1 --min-segment 64K", &[&server], 64 * 1024);
    let mut record = Record::decode(&kept.read(JOURNAL)).expect("a journal");
    record.done = vec![(0, 300_000)];
    let journal = File::bytes(record.encode().expect("a journal"));
    let tree = Tree::new().with(format!("/{PART}"), forged).with(format!("/{JOURNAL}"), journal);
    let evil = start(Model::new(tree));
    let mut dir = Pftp::new(["-v"]).run().expect_code(0).dir;
    for name in [PART, JOURNAL] {
        let done = Pftp::new(["-q", &evil.url(name)]).in_dir(dir).run().expect_code(4);
        let says = "pftp keeps its unfinished files under such names; give it another with -o";
        assert_eq!(done.stderr, format!("pftp: {name}: {says}\n"));
        assert!(done.files().is_empty(), "{:?}", done.files());
        let done = pftp(&format!("-o {name}"), &[&server]).in_dir(done.dir).run().expect_code(7);
        assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
        assert!(done.files().is_empty(), "{:?}", done.files());
        dir = done.dir;
    }
    assert!(evil.stop().sessions.is_empty(), "nobody is called for nothing");
    let done = pftp("", &[&server]).in_dir(dir).run().expect_code(0).expect_silence();
    done.expect_file(NAME, &good);
}

#[test]
fn file_named_like_a_part_comes_under_another_name() {
    let file = file(1000);
    let server = start(Model::new(Tree::new().with(format!("/{PART}"), file.clone())));
    let url = server.url(PART);
    let done = Pftp::new(["-q", "-o", NAME, &url]).run().expect_code(0).expect_silence();
    done.expect_file(NAME, &file);
    let done = Pftp::new(["-q", "-o", "-", &url]).run().expect_code(0).expect_silence();
    assert!(done.stdout == file.read(0..1000));
}
