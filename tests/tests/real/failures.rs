//! Downloads that must fail: the exit code and the one line on standard error.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use pftp_tests::servers::{Kind, USER};
use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};

use crate::call::Call;
use crate::site::{Setup, content};

pub(crate) fn missing_file(setup: Setup) {
    let site = setup.serve("file.bin", content(17));
    let said = match setup.kind {
        Kind::Vsftpd => "550 Failed to open file.",
        Kind::ProFtpd => "550 missing.bin: No such file or directory",
        Kind::PureFtpd => "550 Can't open missing.bin: No such file or directory",
        Kind::Pyftpdlib => "550 No such file or directory.",
    };
    let outcome = site.fetch("missing.bin").run();
    outcome.expect_failure(3, &[&site.address(), ": fetching missing.bin: RETR was refused: ", said]);
}

pub(crate) fn missing_directory(setup: Setup) {
    let site = setup.serve("file.bin", content(17));
    let outcome = site.fetch("no/such/file.bin").run();
    outcome.expect_failure(3, &[&site.address(), ": fetching no/such/file.bin: ", "550 "]);
}

pub(crate) fn wrong_password(setup: Setup) {
    let site = setup.serve("file.bin", content(17));
    let said = match setup.kind {
        Kind::Vsftpd | Kind::ProFtpd => "530 Login incorrect.",
        Kind::PureFtpd => "530 Login authentication failed",
        // This server answers the commands behind PASS before it answers PASS.
        Kind::Pyftpdlib => "530 ",
    };
    let outcome = site.fetch("file.bin").args(["-n", USER, "-P", "wr0ng"]).run();
    outcome.expect_failure(2, &[&site.address(), ": logging in: PASS was refused: ", said]);
    assert!(!outcome.to_string().contains("wr0ng"), "{outcome}");
}

pub(crate) fn closed_port(transport: &str) {
    // The socket keeps the port and does not listen.
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = SocketAddr::try_from(getsockname(&socket).expect("an address")).expect("an IP address");
    let outcome = Call::new(transport).arg(format!("ftp://{address}/file.bin")).run();
    outcome.expect_failure(1, &[&address.to_string(), ": connecting: ", "refused"]);
}

pub(crate) fn unknown_host(transport: &str) {
    let outcome = Call::new(transport).arg("ftp://nonexistent.invalid/file.bin").run();
    outcome.expect_failure(1, &["nonexistent.invalid: cannot find the host: "]);
}
