//! Downloads in order.

use crate::site::{MIB, Setup, content};

pub(crate) fn file_on_standard_output(setup: Setup) {
    let bytes = content(24 * MIB);
    let outcome = setup.serve("file.bin", bytes).fetch("file.bin").args(["-o", "-"]).run();
    outcome.expect_stdout(bytes);
    assert_eq!(outcome.log.count("USER"), 1, "{outcome}");
}

/// vsftpd in its default configuration agrees to ASCII type and sends lines as they are.
pub(crate) fn text_in_ascii_mode(setup: Setup) {
    let mut text = String::new();
    for line in 0..40_000 {
        text.push_str(&"é".repeat(line % 50));
        text.push('\n');
    }
    text.push_str("no line end");
    let site = setup.serve("text.txt", text.as_bytes());
    let outcome = site.fetch("text.txt").args(["--mode", "ascii"]).run();
    outcome.expect_file("text.txt", text.as_bytes());
    let commands = outcome.log.commands();
    assert!(commands.contains(&"TYPE A") && !commands.contains(&"TYPE I"), "{outcome}");
    site.fetch("text.txt").args(["--mode", "ascii", "-o", "-"]).run().expect_stdout(text.as_bytes());
}
