use super::*;
use ftp_proto::ReplyParser;

const PATH: &str = "/pub/data/a file";
const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const MD5: &str = "900150983cd24fb0d6963f7d28e17f72";

fn reply(text: &str) -> Reply {
    let mut parser = ReplyParser::new(4096);
    parser.push(format!("{text}\r\n").as_bytes());
    parser.next().unwrap().unwrap()
}

/// A server: what it answers to FEAT, its files, and what it answers to commands that compute.
struct Server {
    features: &'static str,
    files: Vec<(&'static str, String)>,
    computes: Vec<(&'static str, String)>,
    knows_size: bool,
}

impl Server {
    fn of(files: &[(&'static str, &str)]) -> Self {
        let files = files.iter().map(|(name, content)| (*name, (*content).to_owned())).collect();
        Self { features: "500 What?", files, computes: Vec::new(), knows_size: true }
    }

    /// Plays the whole inquiry: what was found, what was said on the way, and what was asked behind the first burst.
    fn ask(&self) -> (Option<Found>, Vec<String>, Vec<String>) {
        self.ask_for(PATH, false)
    }

    fn ask_for(&self, path: &str, bare: bool) -> (Option<Found>, Vec<String>, Vec<String>) {
        let mut inquiry = Inquiry::new("host".to_owned(), Arg::new(path.as_bytes().to_vec()).unwrap());
        let (mut remarks, mut asked) = (Vec::new(), Vec::new());
        loop {
            let requests = inquiry.next(bare, Some(1500));
            if requests.is_empty() {
                return (inquiry.take_found(), remarks, asked);
            }
            for (at, request) in requests.iter().enumerate() {
                let line = line(request);
                self.answer(&mut inquiry, at, &line);
                asked.push(line);
            }
            inquiry.settle();
            remarks.extend(told(&mut inquiry));
        }
    }

    fn answer(&self, inquiry: &mut Inquiry, at: usize, line: &str) {
        let file = |path: &str| self.files.iter().find(|(name, _)| *name == path).map(|(_, content)| content);
        let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
        let said = match verb {
            "FEAT" => self.features.to_owned(),
            "SIZE" if !self.knows_size => "502 What?".to_owned(),
            "SIZE" => file(argument)
                .map_or_else(|| "550 No.".to_owned(), |content| format!("213 {}", content.len())),
            "RETR" => match file(argument) {
                Some(content) => {
                    for piece in content.as_bytes().chunks(7) {
                        inquiry.answer(at, Answer::Content(piece));
                    }
                    return inquiry.answer(at, Answer::Finished(&Finish::Whole { at: content.len() as u64 }));
                }
                None => "550 No.".to_owned(),
            },
            _ => {
                let answer = self.computes.iter().find(|(start, _)| line.starts_with(start));
                answer.map_or_else(|| "550 No.".to_owned(), |(_, text)| text.clone())
            }
        };
        let said = reply(&said);
        let answer = if said.code().is_refusal() { Answer::Refused(&said) } else { Answer::Reply(&said) };
        inquiry.answer(at, answer);
    }
}

/// The request as the server sees it.
fn line(request: &Request) -> String {
    let command = match request {
        Request::Command(command) | Request::Content { command, .. } => command.clone(),
        other => panic!("asked for {other:?}"),
    };
    String::from_utf8(command.masked().to_vec()).unwrap()
}

/// What the user is told now.
fn told(inquiry: &mut Inquiry) -> Vec<String> {
    let text = |remark| match remark {
        Remark::Warning(text) => text,
        Remark::Note(text) => format!("note: {text}"),
    };
    inquiry.take_remarks().into_iter().map(text).collect()
}

/// One for the file `f`, of which places the server has these; the others it does not have.
fn surveyed(places: &[&str]) -> Inquiry {
    let mut inquiry = Inquiry::new("host".to_owned(), Arg::new("f").unwrap());
    for (at, request) in inquiry.next(false, None).iter().enumerate() {
        let has = places.iter().any(|place| line(request) == format!("SIZE {place}"));
        inquiry.answer(at, Answer::Reply(&reply(if has { "213 64" } else { "550 No" })));
    }
    inquiry.settle();
    inquiry
}

/// The next request is for the content of this place.
#[track_caller]
fn reads(inquiry: &mut Inquiry, place: &str) {
    let asked: Vec<String> = inquiry.next(false, None).iter().map(line).collect();
    assert_eq!(asked, [format!("RETR {place}")]);
}

fn checksum(found: Option<Found>) -> Option<String> {
    found.map(|found| found.checksum.to_string())
}

#[test]
fn one_burst_asks_what_there_is() {
    let (found, remarks, asked) = Server::of(&[]).ask();
    assert_eq!((found, remarks), (None, Vec::new()));
    let wanted = [
        "FEAT",
        "SIZE /pub/data/a file.sha512",
        "SIZE /pub/data/a file.sha256",
        "SIZE /pub/data/a file.sha1",
        "SIZE /pub/data/a file.md5",
        "SIZE /pub/data/SHA512SUMS",
        "SIZE /pub/data/SHA256SUMS",
        "SIZE /pub/data/sha256sum.txt",
        "SIZE /pub/data/SHA1SUMS",
        "SIZE /pub/data/MD5SUMS",
        "SIZE /pub/data/md5checksums.txt",
        "SIZE /pub/data/CHECKSUMS",
    ];
    assert_eq!(asked, wanted);
}

#[test]
fn names_are_those_that_the_session_has_to_ask_for() {
    let (_, _, asked) = Server::of(&[]).ask_for("name", false);
    assert_eq!(asked[4], "SIZE name.md5");
    let (_, _, asked) = Server::of(&[]).ask_for(PATH, true);
    assert_eq!(asked[4], "SIZE a file.md5");
    // A list is no list of itself.
    let (_, _, asked) = Server::of(&[]).ask_for("d/MD5SUMS", false);
    assert!(
        !asked.contains(&"SIZE d/MD5SUMS".to_owned()) && asked.contains(&"SIZE d/MD5SUMS.md5".to_owned())
    );
}

#[test]
fn the_strongest_counts_wherever_it_is() {
    let md5 = ("/pub/data/a file.md5", MD5);
    let list = format!("{SHA256}  ./a file\n");
    let sums = ("/pub/data/SHA256SUMS", list.as_str());
    let (found, remarks, asked) = Server::of(&[md5, sums]).ask();
    let found = found.unwrap();
    assert_eq!(found.to_string(), format!("sha256={SHA256}, as SHA256SUMS on host says"));
    assert_eq!((remarks, &asked[12..]), (Vec::new(), &["RETR /pub/data/SHA256SUMS".to_owned()][..]));
    // A list of no kind in particular is read too, as long as it may be better.
    let own = ("/pub/data/a file.sha256", SHA256);
    let any = ("/pub/data/CHECKSUMS", "12345 2 a file\n");
    let (found, _, asked) = Server::of(&[any, own, sums]).ask();
    assert_eq!(found.unwrap().origin, "a file.sha256 on host");
    assert_eq!(
        asked[12..],
        ["RETR /pub/data/a file.sha256".to_owned(), "RETR /pub/data/CHECKSUMS".to_owned()]
    );
    let (found, _, _) = Server::of(&[any]).ask();
    let said = found.unwrap().to_string();
    assert_eq!(said, "sum=12345 and 2 KiB, as CHECKSUMS on host says; that is weak evidence");
}

#[test]
fn what_is_of_no_use_is_told_and_passed_over() {
    let server = Server::of(&[
        ("/pub/data/a file.sha256", "<html>"),
        ("/pub/data/SHA256SUMS", &format!("{SHA256}  b\n")),
        ("/pub/data/a file.sha1", "a9993e364706816aba3e25717850c26c9cd0d89d  \x1b[2J\n"),
        ("/pub/data/a file.md5", MD5),
    ]);
    let (found, remarks, _) = server.ask();
    assert_eq!(checksum(found), Some(format!("md5={MD5}")));
    let wanted = [
        "host: a file.sha256 has no checksum in it",
        "note: host: SHA256SUMS does not list the file",
        "host: a file.sha1 is for another file, \\u{1b}[2J",
    ];
    assert_eq!(remarks, wanted);
    // Two blocks of 1024 bytes or three of 512 are 1500 bytes.
    let (found, remarks, _) = Server::of(&[("/pub/data/CHECKSUMS", "12345 3 a file\n")]).ask();
    assert_eq!((found, remarks.len()), (None, 1), "{remarks:?}");
    let (found, _, _) = Server::of(&[("/pub/data/CHECKSUMS", "12345 4 a file\n")]).ask();
    let found = found.unwrap();
    assert!(!found.is_of(&found.checksum, 1500) && found.is_of(&found.checksum, 4096));
}

#[test]
fn a_server_that_does_not_know_size_is_asked_for_the_files() {
    let mut server = Server::of(&[("/pub/data/MD5SUMS", &format!("{MD5} *a file"))]);
    server.knows_size = false;
    let (found, remarks, asked) = server.ask();
    assert_eq!(checksum(found), Some(format!("md5={MD5}")));
    assert_eq!((remarks, asked.len()), (Vec::new(), 12 + 10), "all but those that promise no more");
}

#[test]
fn a_server_that_computes() {
    let mut server = Server::of(&[("/pub/data/a file.md5", MD5)]);
    server.features = "211-Features\r\n HASH MD5;SHA-1*;SHA-256;TIGER\r\n XSHA256\r\n XSHA512\r\n211 End";
    // The best of its commands does not work.
    server.computes = vec![
        ("XSHA512 \"/pub/data/a file\"", "501 Quotes".to_owned()),
        ("XSHA512 /pub/data/a file", "550 Too large".to_owned()),
        ("OPTS HASH SHA-256", "200 SHA-256".to_owned()),
        ("HASH /pub/data/a file", format!("213 SHA-256 0-1499 {SHA256} a file")),
    ];
    let (found, remarks, asked) = server.ask();
    assert_eq!(found.unwrap().to_string(), format!("sha256={SHA256}, as HASH on host says"));
    assert_eq!(remarks, ["host: XSHA512 is refused: 550 Too large"]);
    let wanted = [
        "RETR /pub/data/a file.md5",
        "XSHA512 \"/pub/data/a file\"",
        "XSHA512 /pub/data/a file",
        "OPTS HASH SHA-256",
        "HASH /pub/data/a file",
    ];
    assert_eq!(asked[12..], wanted);
    // Nothing is computed where something strong is there.
    server.files.push(("/pub/data/a file.sha256", SHA256.to_owned()));
    let (found, remarks, asked) = server.ask();
    assert_eq!(found.unwrap().origin, "a file.sha256 on host");
    assert_eq!((remarks, asked.len()), (Vec::new(), 13));
    server.files.pop();
    // Nothing is computed that is no better than what is there.
    server.features = "211-Features\r\n HASH MD5*\r\n XCRC\r\n211 End";
    let (found, _, asked) = server.ask();
    assert_eq!((checksum(found), asked.len()), (Some(format!("md5={MD5}")), 13));
    server.files.clear();
    server.computes = vec![("HASH", format!("213 MD5 0-1500 {MD5} a file"))];
    let (found, _, asked) = server.ask();
    assert_eq!((checksum(found), asked.len()), (Some(format!("md5={MD5}")), 13));
}

#[test]
fn what_is_computed_has_to_be_of_the_whole_file_and_of_the_kind_asked_for() {
    let mut server = Server::of(&[]);
    server.features = "211-Features\r\n HASH MD5*\r\n211 End";
    for answer in [
        format!("213 MD5 0-1501 {MD5} a file"),
        format!("213 MD5 1-1500 {MD5} a file"),
        format!("213 SHA-256 0-1500 {SHA256} a file"),
        format!("213 MD5 0-1500 {SHA256} a file"),
        format!("250 {MD5}"),
        "213 Done".to_owned(),
    ] {
        server.computes = vec![("HASH", answer.clone())];
        let (found, remarks, _) = server.ask();
        assert_eq!(found, None, "{answer}");
        assert_eq!(remarks, [format!("host: HASH is answered with what is no md5 of the file: {answer}")]);
    }
    server.features = "211-Features\r\n XCRC\r\n211 End";
    server.computes = vec![("XCRC", "250 352441C2".to_owned())];
    let said = server.ask().0.unwrap().to_string();
    assert_eq!(said, "crc32=352441c2, as XCRC on host says; that is weak evidence");
}

#[test]
fn a_session_that_ends_is_no_end_of_the_inquiry() {
    let mut inquiry = Inquiry::new("host".to_owned(), Arg::new("f").unwrap());
    for _ in 0..ATTEMPTS {
        assert_eq!(inquiry.next(false, None).len(), 12);
        inquiry.interrupt();
    }
    assert!(inquiry.next(false, None).is_empty(), "it has ended over that before");
    // What was broken off is read from its start.
    let mut inquiry = surveyed(&["f.sha256", "SHA256SUMS", "f.md5"]);
    reads(&mut inquiry, "f.sha256");
    inquiry.answer(0, Answer::Content(&SHA256.as_bytes()[..10]));
    inquiry.interrupt();
    reads(&mut inquiry, "f.sha256");
    inquiry.answer(0, Answer::Content(SHA256.as_bytes()));
    inquiry.answer(0, Answer::Finished(&Finish::Whole { at: 64 }));
    inquiry.settle();
    assert!(inquiry.next(false, None).is_empty());
    let found = inquiry.take_found();
    assert_eq!((checksum(found), told(&mut inquiry)), (Some(format!("sha256={SHA256}")), Vec::new()));
    // Once more, and no more often, and another file is another matter.
    let mut inquiry = surveyed(&["f.sha256", "SHA256SUMS", "f.md5"]);
    for name in ["f.sha256", "SHA256SUMS", "f.md5"] {
        for says in [Vec::new(), vec![format!("host: {name} cannot be read: {LOST}")]] {
            reads(&mut inquiry, name);
            inquiry.interrupt();
            assert_eq!(told(&mut inquiry), says);
        }
    }
    assert!(inquiry.next(false, None).is_empty());
}

#[test]
fn a_file_that_is_called_like_a_checksum() {
    let mut server = Server::of(&[]);
    server.features = "211-Features\r\n XMD5\r\n211 End";
    let name = "d41d8cd98f00b204e9800998ecf8427e";
    server.computes = vec![("XMD5", format!("250 {name} {MD5}"))];
    for (path, found) in [(format!("pub/{name}"), Some(format!("md5={MD5}"))), ("pub/f".to_owned(), None)] {
        assert_eq!(checksum(server.ask_for(&path, false).0), found);
    }
}

#[test]
fn a_server_that_ends_the_session_instead_of_computing() {
    let mut inquiry = Inquiry::new("host".to_owned(), Arg::new("f").unwrap());
    for at in 0..inquiry.next(false, None).len() {
        let text = if at == 0 { "211-Features\r\n XMD5\r\n XCRC\r\n211 End" } else { "550 No" };
        inquiry.answer(at, Answer::Reply(&reply(text)));
    }
    inquiry.settle();
    assert_eq!(inquiry.next(false, None).iter().map(line).collect::<Vec<_>>(), ["XMD5 f"]);
    inquiry.interrupt();
    assert_eq!(told(&mut inquiry), [format!("host: XMD5 is not answered: {LOST}")]);
    assert_eq!(inquiry.next(false, None).iter().map(line).collect::<Vec<_>>(), ["XCRC f"]);
    inquiry.answer(0, Answer::Reply(&reply("250 352441C2")));
    inquiry.settle();
    assert_eq!(checksum(inquiry.take_found()), Some("crc32=352441c2".to_owned()));
}

#[test]
fn files_that_are_too_large() {
    let mut inquiry = Inquiry::new("host".to_owned(), Arg::new("f").unwrap());
    for at in 0..inquiry.next(false, None).len() {
        let text = match at {
            1 => "213 16777216",
            2 => "213 64",
            _ => "550 No",
        };
        inquiry.answer(at, Answer::Reply(&reply(text)));
    }
    inquiry.settle();
    assert_eq!(told(&mut inquiry), ["host: f.sha512 is too large to be read for a checksum"]);
    reads(&mut inquiry, "f.sha256");
    inquiry.answer(0, Answer::Finished(&Finish::Cut));
    inquiry.settle();
    assert_eq!(told(&mut inquiry), ["host: f.sha256 is too large to be read for a checksum"]);
    assert!(inquiry.next(false, None).is_empty());
}

#[test]
fn what_a_server_cannot_send_now_it_is_asked_for_once_more() {
    let short = |text| Finish::Short { at: 5, reply: reply(text) };
    for (first, again) in
        [(Ok("426 Oh"), true), (Ok("551 Oh"), false), (Err("450 Oh"), true), (Err("550 Oh"), false)]
    {
        let mut inquiry = surveyed(&["f.sha256"]);
        let fails = |inquiry: &mut Inquiry| {
            reads(inquiry, "f.sha256");
            match first {
                Ok(text) => inquiry.answer(0, Answer::Finished(&short(text))),
                Err(text) => inquiry.answer(0, Answer::Refused(&reply(text))),
            }
            inquiry.settle();
        };
        fails(&mut inquiry);
        if again {
            assert_eq!(told(&mut inquiry), Vec::<String>::new());
            fails(&mut inquiry);
        }
        let (Ok(text) | Err(text)) = first;
        assert_eq!(told(&mut inquiry), [format!("host: f.sha256 cannot be read: {text}")]);
        assert!(inquiry.next(false, None).is_empty());
    }
    // What may not be there at all is not.
    let mut server = Server::of(&[]);
    server.knows_size = false;
    let (found, remarks, asked) = server.ask();
    assert_eq!((found, remarks, asked.len()), (None, Vec::new(), 12 + 11));
}
