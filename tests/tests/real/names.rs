//! Names and paths, as users write them and as the server gets them.

use crate::site::{MIB, Setup, content};

const ODD: &str = "100% söme data #1?; v=1+2 日本.bin";

pub(crate) fn odd_name_in_a_url(setup: Setup) {
    let bytes = content(MIB + 17);
    let site = setup.serve(ODD, bytes);
    let outcome = site.fetch(ODD).run();
    outcome.expect_file(ODD, bytes);
    assert!(outcome.log.commands().contains(&format!("RETR {ODD}").as_str()), "{outcome}");
}

pub(crate) fn odd_name_as_an_option(setup: Setup) {
    let bytes = content(MIB + 17);
    let site = setup.serve(ODD, bytes);
    let outcome = site.call().args(["-s", &site.address(), "-f", ODD]).run();
    outcome.expect_file(ODD, bytes);
    assert!(outcome.log.commands().contains(&format!("RETR {ODD}").as_str()), "{outcome}");
}

pub(crate) fn path_from_the_login_directory(setup: Setup) {
    path_is_asked_for(setup, "deep/down here/file.bin", "deep/down here/file.bin");
}

pub(crate) fn absolute_path_after_two_slashes(setup: Setup) {
    path_is_asked_for(setup, "/deep/down%20here/file.bin", "/deep/down here/file.bin");
}

pub(crate) fn absolute_path_after_an_escaped_slash(setup: Setup) {
    path_is_asked_for(setup, "%2Fdeep/down%20here/file.bin", "/deep/down here/file.bin");
}

fn path_is_asked_for(setup: Setup, url: &str, path: &str) {
    let bytes = content(MIB + 17);
    let site = setup.serve("deep/down here/file.bin", bytes);
    let outcome = site.call().arg(format!("ftp://{}/{url}", site.address())).run();
    outcome.expect_file("file.bin", bytes);
    let asked: Vec<_> = outcome.log.commands().into_iter().filter(|line| line.starts_with("RETR ")).collect();
    assert!(asked.iter().all(|line| **line == format!("RETR {path}")), "{outcome}");
    assert_eq!(outcome.log.count("CWD"), 0, "{outcome}");
}
