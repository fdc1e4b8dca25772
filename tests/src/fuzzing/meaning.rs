//! Texts of replies: what is read prints, and is read again as the same.
//!
//! The input is the text, which every parser gets as a reply of one line, and as the lines of a longer one.

use super::reply::{check_shown, print};
use ftp_proto::meaning::{self, EntryType, Feature};
use ftp_proto::{Facts, Reply, ReplyParser, TimeVal};

/// See [`meaning`](self).
///
/// # Panics
/// If something does not hold.
pub fn check(input: &[u8]) {
    let first = input.split(|byte| *byte == b'\n').next().unwrap_or_default();
    for code in [200, 211, 213, 227, 229, 250, 257] {
        let code = format!("{code}");
        let single = [code.as_bytes(), b" ", first, b"\r\n"].concat();
        let several = [code.as_bytes(), b"-\r\n", input, b"\r\n", code.as_bytes(), b" \r\n"].concat();
        for raw in [single, several] {
            if let Some(reply) = read(&raw) {
                check_reply(&reply);
            }
        }
    }
    for line in input.split(|byte| *byte == b'\n') {
        check_entry(line);
        check_time(line);
    }
}

/// The first reply in `raw`, as framing makes it.
fn read(raw: &[u8]) -> Option<Reply> {
    let mut parser = ReplyParser::new(raw.len());
    parser.push(raw);
    parser.next().expect("a reply by its making")
}

fn reply(code: u16, text: &[u8]) -> Reply {
    let raw = [format!("{code} ").as_bytes(), &print(text), b"\r\n"].concat();
    read(&raw).expect("a reply")
}

fn check_reply(reply_: &Reply) {
    check_shown(&reply_.to_string());
    if let Some((host, port)) = meaning::pasv(reply_) {
        assert_ne!(port, 0);
        let ([a, b, c, d], [e, f]) = (host.octets(), port.to_be_bytes());
        let printed = format!("Entering Passive Mode ({a},{b},{c},{d},{e},{f}).");
        assert_eq!(meaning::pasv(&reply(227, printed.as_bytes())), Some((host, port)));
    }
    if let Some(port) = meaning::epsv(reply_) {
        assert_ne!(port, 0);
        assert_eq!(meaning::epsv(&reply(229, format!("here (|||{port}|)").as_bytes())), Some(port));
    }
    if let Some(size) = meaning::size(reply_) {
        assert!(i64::try_from(size).is_ok());
        assert_eq!(meaning::size(&reply(213, size.to_string().as_bytes())), Some(size));
    }
    if let Some(time) = meaning::mdtm(reply_) {
        assert_eq!(meaning::mdtm(&reply(213, time.to_string().as_bytes())), Some(time));
    }
    if let Some(path) = meaning::pwd(reply_) {
        assert!(!path.is_empty());
        let doubled: Vec<u8> =
            path.iter().flat_map(|byte| std::iter::repeat_n(*byte, 1 + usize::from(*byte == b'"'))).collect();
        let printed = [b"\"", &doubled[..], b"\" is here"].concat();
        assert_eq!(meaning::pwd(&reply(257, &printed)), Some(path));
    }
    if let Some(entry) = meaning::mlst(reply_) {
        let line = print(&entry_line(&entry.facts, &entry.path));
        let raw = [b"250-Listing\r\n ", &line[..], b"\r\n250 End\r\n"].concat();
        assert_eq!(meaning::mlst(&read(&raw).expect("a reply")), Some(entry));
    }
    if let Some(hash) = meaning::hash(reply_) {
        assert!(!hash.algorithm.is_empty() && !hash.value.is_empty());
        let hex: String = hash.value.iter().map(|byte| format!("{byte:02X}")).collect();
        let range = format!(" {}-{} {hex} ", hash.start, hash.end);
        let text = [&hash.algorithm[..], range.as_bytes(), &hash.path].concat();
        assert_eq!(meaning::hash(&reply(213, &text)), Some(hash));
    }
    for length in [4, 16] {
        let Some(value) = meaning::digest(reply_, length, b"") else { continue };
        assert_eq!(value.len(), length);
        let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        let printed = reply(250, format!("XMD5 {hex}").as_bytes());
        assert_eq!(meaning::digest(&printed, length, hex.as_bytes()), Some(value));
    }
    check_features(reply_);
}

fn check_features(reply: &Reply) {
    let Some(features) = meaning::feat(reply) else { return };
    let _ = (features.auth_tls(), features.mlst_facts().count(), features.hash_algorithms().count());
    let list: Vec<Feature> = features.iter().cloned().collect();
    assert!(list.len() <= 256 && list.iter().all(|feature| !feature.name.is_empty()));
    assert!(list.iter().all(|one| str::from_utf8(&one.name).is_ok_and(|name| features.has(name))
        || str::from_utf8(&one.name).is_err()));
    let lines: Vec<u8> =
        list.iter().flat_map(|one| [b" ", &one.name[..], b" ", &one.parameters, b"\r\n"].concat()).collect();
    let raw = [b"211-Features:\r\n", &print(&lines)[..], b"211 End\r\n"].concat();
    assert_eq!(meaning::feat(&read(&raw).expect("a reply")), Some(features));
}

fn check_entry(line: &[u8]) {
    let Some(entry) = meaning::mlsx(line) else { return };
    assert!(!entry.path.is_empty());
    assert!(entry.facts.size.is_none_or(|size| i64::try_from(size).is_ok()));
    assert!(entry.facts.unique.as_ref().is_none_or(|unique| !unique.is_empty()));
    assert_eq!(meaning::mlsx(&entry_line(&entry.facts, &entry.path)), Some(entry));
}

/// `fact=value;fact=value; path` (RFC 3659 §7.2).
fn entry_line(facts: &Facts, path: &[u8]) -> Vec<u8> {
    let mut line = Vec::new();
    let mut fact = |name: &str, value: &[u8]| {
        line.extend_from_slice(&[name.as_bytes(), b"=", value, b";"].concat());
    };
    if let Some(kind) = &facts.kind {
        fact("Type", kind_name(kind));
    }
    if let Some(size) = facts.size {
        fact("Size", size.to_string().as_bytes());
    }
    if let Some(time) = facts.modify {
        fact("Modify", time.to_string().as_bytes());
    }
    if let Some(unique) = &facts.unique {
        fact("Unique", unique);
    }
    [&line[..], b" ", path].concat()
}

fn kind_name(kind: &EntryType) -> &[u8] {
    match kind {
        EntryType::File => b"file",
        EntryType::Cdir => b"cdir",
        EntryType::Pdir => b"pdir",
        EntryType::Dir => b"dir",
        EntryType::Other(name) => name,
    }
}

fn check_time(text: &[u8]) {
    let Some(time) = TimeVal::parse(text) else { return };
    assert!(time.fraction().is_none_or(|fraction| fraction < 1_000_000_000));
    assert!((1..=12).contains(&time.month()) && (1..=31).contains(&time.day()));
    let day = 24 * 60 * 60;
    let seconds = time.unix_seconds();
    assert!((-719_528 * day..=253_402_300_800).contains(&seconds), "{time} is {seconds}");
    let of_day = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    assert_eq!((seconds - of_day).rem_euclid(day), 0);
    assert_eq!(TimeVal::parse(time.to_string().as_bytes()), Some(time));
}
