//! The log of a download, line by line.

use pftp_tests::servers::{Kind, PASSWORD, USER};

use crate::site::{MIB, Setup, content};

/// The commands after the login, and their reply codes. RETR has two replies; the reply to QUIT is not waited
/// for.
const AFTER_LOGIN: [(&str, u16); 6] = [
    ("TYPE I", 200),
    ("SIZE deep/file.bin", 213),
    ("MDTM deep/file.bin", 213),
    ("EPSV", 229),
    ("RETR deep/file.bin", 150),
    ("QUIT", 226),
];

pub(crate) fn log_of_an_anonymous_download(setup: Setup) {
    log_of_a_download(setup, "anonymous", "user@localhost.localnet");
}

pub(crate) fn log_of_a_download_with_a_password(setup: Setup) {
    log_of_a_download(setup, USER, PASSWORD);
}

fn log_of_a_download(setup: Setup, user: &str, password: &str) {
    let site = setup.serve("deep/file.bin", content(MIB + 17));
    let outcome = site.fetch("deep/file.bin").connections(1).args(["-n", user, "-P", password]).run();
    outcome.expect_file("file.bin", content(MIB + 17));
    let log = &outcome.log;
    // Pure-FTPd logs an anonymous user in before the password.
    let at_once = setup.kind == Kind::PureFtpd && user == "anonymous";
    let user = format!("USER {user}");
    let mut dialog = vec![(user.as_str(), if at_once { 230 } else { 331 }), ("PASS ***", 230)];
    dialog.extend(AFTER_LOGIN);
    let (commands, codes): (Vec<&str>, Vec<u16>) = dialog.into_iter().unzip();
    assert_eq!(log.commands(), commands, "{outcome}");
    assert_eq!(log.codes(), [&[220], codes.as_slice()].concat(), "{outcome}");
    let text = outcome.to_string();
    assert!(!text.contains(password) && !text.contains("Thread"), "{text}");
}
