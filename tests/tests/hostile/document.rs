//! The table as a document.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use crate::TABLE;
use crate::table::Outcome;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/HOSTILE.md");

const HEAD: &str = "\
# Hostile servers

This table lists what a hostile or broken server may do to `pftp`, and how the download ends.

Each row is a test in `tests/tests/hostile.rs`. It runs over both transports, and over one connection and over three if
that makes a difference. A further test compares this page with the table in the code.

- *whole file*: the file is complete, and the exit code is 0.
- *code N*: the exit code is N, no file has the final name, and the last line on standard error contains the words in
  quotes.

`pftp` retries a connection without progress once. A silent server has two seconds; if the file comes in spite of the
silence, it has one second and `pftp` retries five times. In every test `pftp` uses less than 64 MiB of memory, messages
and log contain no control characters, and no line of the log is forged.

The rows on checksums run with `--checksum auto`, because `pftp` sends FEAT only to look up a checksum. For the library's
answer to a FEAT reply without end, see `tests/dialogs/features_without_end.ftp`.
";

fn rendered() -> String {
    let mut text = HEAD.to_owned();
    for (title, rows) in TABLE {
        let _ = write!(text, "\n## {title}\n\n| row | the server | pftp |\n|---|---|---|\n");
        for row in *rows {
            let outcome = match row.outcome {
                Outcome::Whole => "whole file".to_owned(),
                Outcome::Fails(code, says) => failure(code, says),
                Outcome::Either(code, says) => format!("whole file, or {}", failure(code, says)),
            };
            let _ = writeln!(text, "| `{}` | {} | {outcome} |", row.name, row.does.replace('|', "\\|"));
        }
    }
    text
}

fn failure(code: i32, says: &str) -> String {
    match says {
        "" => format!("code {code}"),
        _ => format!("code {code}: \"{}\"", says.replace('|', "\\|")),
    }
}

/// Compares the document with the table. With the environment variable `PFTP_TESTS_WRITE` set, writes the
/// document instead.
#[test]
fn document_shows_the_table() {
    if std::env::var_os("PFTP_TESTS_WRITE").is_some() {
        fs::write(DOCUMENT, rendered()).expect("a file that can be written");
    }
    let found = fs::read_to_string(DOCUMENT).expect("a file that can be read");
    let (found, wanted) = (found.lines(), rendered());
    let wrong = found.zip(wanted.lines()).find(|(found, wanted)| found != wanted);
    assert_eq!(wrong, None, "left: HOSTILE.md; right: the rows of the tests");
    assert_eq!(fs::read_to_string(DOCUMENT).expect("the same file"), wanted);
}

#[test]
fn row_names_are_unique() {
    let names: Vec<&str> = TABLE.iter().flat_map(|(_, rows)| rows.iter().map(|row| row.name)).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    assert!(names.len() > 100, "{}", names.len());
}
