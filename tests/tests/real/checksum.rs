//! Checksums that servers offer.

use pftp_tests::servers::{Kind, Options};
use sha2::{Digest as _, Sha256};

use crate::call::{Call, Outcome};
use crate::site::{MIB, Setup, Site, content};

const NAME: &str = "file.bin";

/// The name of a file that some commands need in quotes.
const SPACED: &str = "a file (1).bin";

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Fetches the file over so many connections, and verifies it.
fn verified(setup: Setup, site: &Site, name: &str, connections: usize) -> Outcome {
    let call = Call::talkative(setup.transport).args(["--checksum", "auto"]).min_segment("64K");
    call.connections(connections).arg(site.url(name)).run()
}

pub(crate) fn checksum_of_a_sidecar(setup: Setup) {
    let bytes = content(2 * MIB + 17);
    for name in [NAME, SPACED] {
        let sidecar = format!("{}  {name}\n", sha256(bytes));
        let site = setup.serve(name, bytes).with(&format!("{name}.sha256"), &sidecar);
        for connections in [1, 4] {
            let outcome = verified(setup, &site, name, connections);
            let says =
                format!("verified: sha256={}, as {name}.sha256 on {} says", sha256(bytes), site.address());
            outcome.expect_file_and_words(name, bytes, &says);
            let threads = outcome.log.threads();
            assert!(threads.values().all(|thread| thread.count("USER") == 1), "{outcome}");
            assert!(threads.len() <= connections, "{outcome}");
        }
    }
}

pub(crate) fn checksum_of_a_list(setup: Setup) {
    let bytes = content(MIB);
    let list = format!("{}  ./README\r\n{}  ./{NAME}\r\n", "0".repeat(64), sha256(bytes).to_uppercase());
    let site = setup.serve(NAME, bytes).with("SHA256SUMS", &list);
    let outcome = verified(setup, &site, NAME, 3);
    outcome.expect_file_and_words(NAME, bytes, &format!("as SHA256SUMS on {} says", site.address()));
}

pub(crate) fn checksum_that_nobody_has(setup: Setup) {
    let bytes = content(MIB);
    let site = setup.serve(NAME, bytes);
    verified(setup, &site, NAME, 1).expect_file_and_words(NAME, bytes, "warning: there is nothing to verify");
}

pub(crate) fn checksum_that_is_wrong(setup: Setup) {
    let site = setup.serve(NAME, content(MIB)).with("file.bin.sha256", &sha256(content(MIB - 1)));
    for connections in [1, 3] {
        verified(setup, &site, NAME, connections).expect_mismatch("as file.bin.sha256 on ");
    }
}

pub(crate) fn checksum_that_is_computed(setup: Setup) {
    let bytes = content(2 * MIB + 1);
    for name in [NAME, SPACED] {
        let site = setup.serve_with(&Options { digests: true, ..Options::default() }, name, bytes);
        let outcome = verified(setup, &site, name, 2);
        let address = site.address();
        let says = match setup.kind {
            Kind::Vsftpd | Kind::PureFtpd => "warning: there is nothing to verify".to_owned(),
            Kind::ProFtpd => format!(", as HASH on {address} says"),
            Kind::Pyftpdlib => format!("sha256={}, as XSHA256 on {address} says", sha256(bytes)),
        };
        outcome.expect_file_and_words(name, bytes, &says);
    }
}
