//! The checks of the fuzz targets, on their corpora and on input that proptest generates.
//! `session_properties` has the generated input for `session` and `link`.

use pftp_tests::fuzzing::{TARGETS, corpus, engine, meaning, reply};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

#[test]
fn every_corpus_is_replayed() {
    for (target, check) in TARGETS {
        let corpus = corpus(target).expect("a corpus");
        assert!(corpus.len() > 10, "{target} has {} files", corpus.len());
        for (path, input) in corpus {
            println!("{}", path.display());
            check(&input);
        }
    }
}

/// Scripts take the place of the targets and all end at once; a shell may lose one of them then.
#[test]
fn finding_is_reported_if_all_targets_end_at_once() {
    let version = Command::new("rustc").arg("-vV").output().expect("rustc").stdout;
    let version = String::from_utf8(version).expect("text");
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host");
    let built = tempfile::tempdir().expect("a directory");
    let programs = built.path().join("fuzz").join(host).join("release");
    fs::create_dir_all(&programs).expect("a directory");
    let names = TARGETS.map(|(name, _)| name);
    for name in names {
        stand_in(&programs.join(name), 0);
    }
    assert!(fuzz_run(built.path()), "nothing was found");
    for name in names {
        stand_in(&programs.join(name), 1);
        for _ in 0..3 {
            assert!(!fuzz_run(built.path()), "the finding of {name} is lost");
        }
        stand_in(&programs.join(name), 0);
    }
}

fn stand_in(program: &Path, code: i32) {
    fs::write(program, format!("#!/bin/sh\necho cov: 1\nexit {code}\n")).expect("a file");
    fs::set_permissions(program, fs::Permissions::from_mode(0o700)).expect("permissions");
}

/// Runs all targets at the same time. Returns whether all of them succeed.
fn fuzz_run(built: &Path) -> bool {
    let mut run = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/run"));
    // The variable sets the number of processors that nproc prints.
    run.args(["fuzz", "1"]).env("CARGO_TARGET_DIR", built).env("OMP_NUM_THREADS", "8");
    run.output().expect("fuzz/run").status.success()
}

proptest! {
    // The cases are the same in every run; the fuzz targets look for others.
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn replies_do_not_depend_on_their_division(
        limit in prop_oneof![Just(0_u16), 1..200_u16],
        portions in prop::collection::vec(any::<u8>(), 0..16),
        lines in prop::collection::vec("([1-6][0-9]{2}[ -]?)?[a-z \u{ff}]{0,9}\r?\n?", 0..12),
        bytes: Vec<u8>,
    ) {
        let count = [portions.len() as u8];
        reply::check(&[&limit.to_le_bytes()[..], &count, &portions, lines.concat().as_bytes(), &bytes].concat());
    }

    #[test]
    fn parsed_values_print_and_parse_again(
        text in "[(|)0-9,.; =\"a-z\n]{0,60}",
        line in "(Type=file;|Size=[0-9]{1,20};|Modify=20[0-9]{12};|Unique=[a-z]{0,3};){0,4} [^\n]{0,9}",
        bytes: Vec<u8>,
    ) {
        meaning::check(text.as_bytes());
        meaning::check(line.as_bytes());
        meaning::check(&bytes);
    }

    #[test]
    fn engine_keeps_its_ranges_consistent(input in prop::collection::vec(any::<u8>(), 0..600)) {
        engine::check(&input);
    }
}
