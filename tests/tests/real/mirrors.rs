//! Several sources of one file.

use pftp_tests::servers::{Kind, Options, RealServer, USER};

use crate::call::Call;
use crate::site::{MIB, Setup, content, tree};

/// The config file names sources in every way; it names the server twice without a login.
pub(crate) fn config_file(setup: Setup) {
    let bytes = content(MIB + 17);
    let site = setup.serve_slowly(MIB / 8, "file.bin", bytes);
    let address = site.address();
    let config = format!(
        "# every way\r\n\n \t \nftp://{address}/file.bin\n  # to name it\n\
         ftp://{USER}:s3cret%20word@{address}/file.bin\n\nftp://127.0.0.1/file.bin  \n"
    );
    let port = site.port().to_string();
    let outcome = site.call().config(&config).args(["--port", &port]).connections(3).run();
    outcome.expect_file("file.bin", bytes);
    let threads = outcome.log.threads();
    let users = threads.values().map(|thread| (thread.commands()[0].to_owned(), thread.count("USER")));
    let users: Vec<_> = users.collect();
    let anonymous = ("USER anonymous".to_owned(), 1);
    assert_eq!(users, [anonymous.clone(), (format!("USER {USER}"), 1), anonymous], "{outcome}");
}

pub(crate) fn servers_of_every_make(transport: &str) {
    let bytes = content(16 * MIB);
    let tree = tree("file.bin", bytes);
    let options = Options { rate: Some(1 << 19), ..Options::default() };
    let servers = Kind::ALL.map(|kind| RealServer::with(kind, tree.path(), &options));
    let urls = servers.iter().map(|server| format!("ftp://{}/file.bin", server.addr()));
    let outcome = Call::new(transport).args(urls).connections(8).run();
    outcome.expect_file("file.bin", bytes);
    let threads = outcome.log.threads();
    for greeting in ["220 (vsFTPd", "220 ProFTPD", "Welcome to Pure-FTPd", "220 pyftpdlib"] {
        let fetched = threads.values().filter(|thread| thread.was_told(greeting));
        let fetched: usize = fetched.map(|thread| thread.count("RETR")).sum();
        assert!(fetched > 0, "nothing came from {greeting}\n{outcome}");
    }
    assert!(threads.values().all(|thread| thread.count("USER") == 1), "{outcome}");
}
