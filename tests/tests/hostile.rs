//! A table of what servers may do to `pftp`, and how `pftp` takes it; every row is a test over both
//! transports. `tests/HOSTILE.md` shows the table.

#[path = "hostile/addresses.rs"]
mod addresses;
#[path = "hostile/checksums.rs"]
mod checksums;
#[path = "hostile/control.rs"]
mod control;
#[path = "hostile/data.rs"]
mod data;
#[path = "hostile/document.rs"]
mod document;
#[path = "hostile/facts.rs"]
mod facts;
#[path = "hostile/login.rs"]
mod login;
#[path = "hostile/passive.rs"]
mod passive;
#[path = "hostile/pool.rs"]
mod pool;
#[path = "hostile/replies.rs"]
mod replies;
#[path = "hostile/secrets.rs"]
mod secrets;
#[path = "hostile/stalls.rs"]
mod stalls;
#[path = "hostile/table.rs"]
mod table;
#[path = "hostile/transfers.rs"]
mod transfers;

use table::Row;

/// The table, section by section.
const TABLE: &[(&str, &[Row])] = &[
    ("The control connection ends", control::ROWS),
    ("The server falls silent", stalls::ROWS),
    ("The greeting and the login", login::ROWS),
    ("Replies", replies::ROWS),
    ("Sizes", facts::ROWS),
    ("Where the data connection goes", passive::ROWS),
    ("The data connection ends", data::ROWS),
    ("Transfers", transfers::ROWS),
    ("Checksums", checksums::ROWS),
];
