use super::*;
use crate::cli::{Cli, Invocation};
use std::os::unix::fs::FileExt;

#[test]
fn a_file_that_cannot_be_read_is_not_condemned() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("f");
    let zeros = format!("sha256={}", "0".repeat(64));
    let args = ["pftp", "--checksum", &zeros, "-o", target.to_str().unwrap(), "ftp://host/f"];
    let Ok(Invocation::Download(cli)) = Cli::parse_from_args(args) else { panic!("{args:?}") };
    let options = Options::resolve(&cli).unwrap();
    let destination = Destination::open(&options.output, options.representation, &[]).unwrap();
    let mut progress = Progress::new(Mode::choose(true), "f");
    let planner = Planner::new(settings(&options, &options.sources, &mut progress), Instant::ZERO);
    let mut failure = |content: &[u8]| {
        let sink = destination.resumable().unwrap();
        sink.file().unwrap().write_all_at(content, 0).unwrap();
        let recorder = recorder(&options, &destination, &planner).unwrap();
        let verification = verification(&options, &destination).unwrap();
        let result = make_whole(&destination, &planner, 1000, (recorder, verification), &mut progress);
        let condemned = sink.journal().load().unwrap().is_some_and(|record| record.missed_checksum.is_some());
        (result.err().map(|failure| failure.kind()), condemned)
    };
    assert_eq!(failure(&[1; 999]), (Some(Kind::Local), false));
    assert_eq!(failure(&[1; 1000]), (None, true));
}
