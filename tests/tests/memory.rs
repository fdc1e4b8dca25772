//! How much memory a large download takes. In a test binary of its own, so that nothing else runs meanwhile.

use std::fs;
use std::io::Read as _;

use pftp_tests::command::{Pftp, peak_memory, until};
use pftp_tests::loopback::Server;
use pftp_tests::model::{File, Model, Tree};

const SIZE: u64 = 2 << 30;

fn is_whole(mut found: fs::File, file: &File) -> bool {
    let (mut wanted, mut got) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut offset = 0;
    loop {
        let len = file.fill(offset, &mut wanted);
        found.read_exact(&mut got[..len]).expect("as many bytes as the file has");
        if got[..len] != wanted[..len] {
            return false;
        }
        if len == 0 {
            return found.read(&mut got).expect("the end of the file") == 0;
        }
        offset += len as u64;
    }
}

#[test]
fn two_gibibytes_over_8_connections_in_less_than_32_mebibytes() {
    let file = File::generated(3, SIZE);
    let server = Server::start(Model::new(Tree::new().with("big", file.clone()))).expect("a free port");
    let running = Pftp::new(["-q", "-c", "8", &server.url("big")]).start();
    // The peak of the process grows only, so the last look counts, which has to come late enough.
    let (mut peak, mut sent) = (0, 0);
    until("the download is over", || {
        let so_far = server.with_stats(|stats| stats.payload());
        let Some(now) = peak_memory(running.pid()) else { return true };
        (peak, sent) = (now, so_far);
        false
    });
    let done = running.wait().expect_code(0).expect_silence();
    assert!(sent > SIZE / 10 * 9, "the last look was at {sent} bytes");
    assert!(peak < 32 * 1024, "{peak} KiB");
    assert_eq!(done.files(), ["big"]);
    let found = fs::File::open(done.dir.path().join("big")).expect("the file");
    assert!(is_whole(found, &file));
    assert_eq!(server.stop().logins(), 8);
}
