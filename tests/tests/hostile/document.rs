//! The table as people read it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use crate::TABLE;
use crate::table::Outcome;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/HOSTILE.md");

const HEAD: &str = "\
# Hostile servers

What servers may do to `pftp`, and what `pftp` does then. Every row is a test over both transports, once over one
connection and once over three where that makes a difference: `tests/tests/hostile.rs`, which also sees that this file
says what the tests do. A connection is tried again once without progress. Where silence is what is tested it has two
seconds; or one, and is tried again five times, where the file comes all the same. In each test `pftp` takes less than
64 MiB of memory, its messages and its log hold no control character, and no line of the log is forged.

Where the file is whole, the exit code is 0. Otherwise the code is the one named, there is no file of that name, and
the last line on standard error holds the words in quotes.

`pftp` asks FEAT only when it looks for a checksum; all rows on checksums are of `--checksum auto`. What the library does
with too long an answer where it asks by itself is `tests/dialogs/features_without_end.ftp`.
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

/// With the environment variable `PFTP_TESTS_WRITE` it writes the file instead.
#[test]
fn the_document_shows_the_table() {
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
fn no_two_rows_have_one_name() {
    let names: Vec<&str> = TABLE.iter().flat_map(|(_, rows)| rows.iter().map(|row| row.name)).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    assert!(names.len() > 100, "{}", names.len());
}
