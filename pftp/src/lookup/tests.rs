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

/// A server of the test.
struct Server {
    /// The reply to FEAT.
    features: &'static str,
    /// Names and contents.
    files: Vec<(&'static str, String)>,
    /// The replies to commands that compute, by the start of the command.
    computes: Vec<(&'static str, String)>,
    knows_size: bool,
}

/// The course of a whole lookup.
struct Course {
    found: Option<Found>,
    remarks: Vec<Remark>,
    /// All requests as the server sees them.
    requests: Vec<String>,
}

impl Course {
    /// Returns the requests behind those of the survey.
    fn after_survey(&self) -> &[String] {
        &self.requests[SURVEY..]
    }

    fn checksum(&self) -> Option<String> {
        self.found.as_ref().map(|found| found.checksum.to_string())
    }
}

/// Requests of a survey.
const SURVEY: usize = 12;

/// Bytes of the file of the test.
const SIZE: u64 = 1500;

impl Server {
    fn with_files(files: &[(&'static str, &str)]) -> Self {
        let files = files.iter().map(|(name, content)| (*name, (*content).to_owned())).collect();
        Self { features: "500 What?", files, computes: Vec::new(), knows_size: true }
    }

    /// Runs the whole lookup for [`PATH`].
    fn look_up(&self) -> Course {
        self.look_up_path(PATH, PATH)
    }

    /// Runs the whole lookup for `path`, over a session that has to name the file `session_path`.
    fn look_up_path(&self, path: &str, session_path: &str) -> Course {
        let session_path = arg(session_path);
        let mut lookup = Lookup::new("host".to_owned(), arg(path));
        let (mut remarks, mut requests) = (Vec::new(), Vec::new());
        loop {
            let round = lookup.next_requests(&session_path, Some(SIZE));
            if round.is_empty() {
                return Course { found: lookup.take_found(), remarks, requests };
            }
            for (at, request) in round.iter().enumerate() {
                let line = line(request);
                self.answer(&mut lookup, at, &line);
                requests.push(line);
            }
            remarks.extend(lookup.take_remarks());
        }
    }

    fn answer(&self, lookup: &mut Lookup, at: usize, line: &str) {
        let file = |path: &str| self.files.iter().find(|(name, _)| *name == path).map(|(_, content)| content);
        let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
        let text = match verb {
            "FEAT" => self.features.to_owned(),
            "SIZE" if !self.knows_size => "502 What?".to_owned(),
            "SIZE" => file(argument)
                .map_or_else(|| "550 No.".to_owned(), |content| format!("213 {}", content.len())),
            "RETR" => match file(argument) {
                Some(content) => {
                    for piece in content.as_bytes().chunks(7) {
                        lookup.handle_answer(at, Answer::Content(piece));
                    }
                    let whole = Finish::Whole { at: content.len() as u64 };
                    return lookup.handle_answer(at, Answer::Finished(&whole));
                }
                None => "550 No.".to_owned(),
            },
            _ => {
                let answer = self.computes.iter().find(|(start, _)| line.starts_with(start));
                answer.map_or_else(|| "550 No.".to_owned(), |(_, text)| text.clone())
            }
        };
        let reply = reply(&text);
        let answer = if reply.code().is_refusal() { Answer::Refused(&reply) } else { Answer::Reply(&reply) };
        lookup.handle_answer(at, answer);
    }
}

fn arg(text: &str) -> Arg {
    Arg::new(text.as_bytes().to_vec()).unwrap()
}

/// Returns the request as the server sees it.
fn line(request: &Request) -> String {
    let command = match request {
        Request::Command(command) | Request::Content { command, .. } => command.clone(),
        other => panic!("asked for {other:?}"),
    };
    String::from_utf8(command.masked().to_vec()).unwrap()
}

/// Returns the next requests of a lookup for the file `f`.
fn next(lookup: &mut Lookup) -> Vec<String> {
    lookup.next_requests(&arg("f"), None).iter().map(line).collect()
}

/// Begins a lookup for the file `f` on a server that replies so to the requests of the survey.
fn surveyed(reply_to: impl Fn(&str) -> &'static str) -> Lookup {
    let mut lookup = Lookup::new("host".to_owned(), arg("f"));
    for (at, request) in next(&mut lookup).iter().enumerate() {
        lookup.handle_answer(at, Answer::Reply(&reply(reply_to(request))));
    }
    lookup
}

/// Begins a lookup for the file `f` on a server that has only these files of checksums.
fn surveyed_with(lists: &[&str]) -> Lookup {
    let has = |request: &str| lists.iter().any(|list| request == format!("SIZE {list}"));
    surveyed(|request| if has(request) { "213 64" } else { "550 No" })
}

fn useless(list: &str, error: ListError) -> Remark {
    Remark::UselessList { server: "host".to_owned(), list: list.into(), error }
}

fn too_large(list: &str) -> Remark {
    Remark::ListTooLarge { server: "host".to_owned(), list: list.into() }
}

fn not_read(list: &str, text: Option<&str>) -> Remark {
    Remark::ListNotRead { server: "host".to_owned(), list: list.into(), reply: text.map(reply) }
}

fn list(name: &str) -> Origin {
    Origin::List(name.into())
}

#[test]
fn survey_asks_for_every_file_of_checksums() {
    let course = Server::with_files(&[]).look_up();
    assert_eq!((course.found, course.remarks), (None, Vec::new()));
    let expected = [
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
    assert_eq!(course.requests, expected);
}

#[test]
fn lists_are_named_as_the_session_names_the_file() {
    let server = Server::with_files(&[]);
    assert_eq!(server.look_up_path("name", "name").requests[4], "SIZE name.md5");
    assert_eq!(server.look_up_path(PATH, "a file").requests[4], "SIZE a file.md5");
}

#[test]
fn list_is_no_list_of_itself() {
    let requests = Server::with_files(&[]).look_up_path("d/MD5SUMS", "d/MD5SUMS").requests;
    assert!(!requests.contains(&"SIZE d/MD5SUMS".to_owned()));
    assert!(requests.contains(&"SIZE d/MD5SUMS.md5".to_owned()));
}

#[test]
fn strongest_published_checksum_wins() {
    let md5 = ("/pub/data/a file.md5", MD5);
    let sums = format!("{SHA256}  ./a file\n");
    let sums = ("/pub/data/SHA256SUMS", sums.as_str());
    let course = Server::with_files(&[md5, sums]).look_up();
    assert_eq!((course.checksum(), &course.remarks), (Some(format!("sha256={SHA256}")), &Vec::new()));
    assert_eq!(course.after_survey(), ["RETR /pub/data/SHA256SUMS"]);
    assert_eq!(course.found.unwrap().origin, list("SHA256SUMS"));
}

#[test]
fn list_of_any_algorithm_is_read_last() {
    let sidecar = ("/pub/data/a file.sha256", SHA256);
    let any = ("/pub/data/CHECKSUMS", "12345 2 a file\n");
    let course = Server::with_files(&[any, sidecar]).look_up();
    assert_eq!(course.after_survey(), ["RETR /pub/data/a file.sha256", "RETR /pub/data/CHECKSUMS"]);
    assert_eq!(course.found.unwrap().origin, list("a file.sha256"));
    let found = Server::with_files(&[any]).look_up().found.unwrap();
    assert_eq!((found.checksum.to_string().as_str(), found.blocks), ("sum=12345", Some(2)));
}

#[test]
fn useless_list_is_remarked_and_passed_over() {
    let course = Server::with_files(&[
        ("/pub/data/a file.sha256", "<html>"),
        ("/pub/data/SHA256SUMS", &format!("{SHA256}  b\n")),
        ("/pub/data/a file.sha1", "a9993e364706816aba3e25717850c26c9cd0d89d  other\n"),
        ("/pub/data/a file.md5", MD5),
    ])
    .look_up();
    assert_eq!(course.checksum(), Some(format!("md5={MD5}")));
    let expected = [
        useless("a file.sha256", ListError::Malformed),
        useless("SHA256SUMS", ListError::NotListed),
        useless("a file.sha1", ListError::OtherFile(b"other".to_vec())),
    ];
    assert_eq!(course.remarks, expected);
}

#[test]
fn blocks_of_a_sum_tell_its_algorithm_and_the_size() {
    // Two blocks of 1024 bytes or three of 512 are 1500 bytes.
    let course = Server::with_files(&[("/pub/data/CHECKSUMS", "12345 3 a file\n")]).look_up();
    assert_eq!(
        (course.found, course.remarks),
        (None, vec![useless("CHECKSUMS", ListError::UnknownAlgorithm)])
    );
    let course = Server::with_files(&[("/pub/data/CHECKSUMS", "12345 4 a file\n")]).look_up();
    let found = course.found.unwrap();
    assert!(!found.matches(&found.checksum, SIZE) && found.matches(&found.checksum, 4096));
}

#[test]
fn server_without_size_is_asked_for_the_lists_themselves() {
    let mut server = Server::with_files(&[("/pub/data/MD5SUMS", &format!("{MD5} *a file"))]);
    server.knows_size = false;
    let course = server.look_up();
    assert_eq!((course.checksum(), &course.remarks), (Some(format!("md5={MD5}")), &Vec::new()));
    assert_eq!(
        course.after_survey().len(),
        10,
        "all but md5checksums.txt, which can have no stronger checksum"
    );
    // A list that may not be there is no remark.
    server.files.clear();
    let course = server.look_up();
    assert_eq!((course.found.as_ref(), &course.remarks), (None, &Vec::new()));
    assert_eq!(course.after_survey().len(), 11);
}

#[test]
fn server_computes_if_no_strong_checksum_is_published() {
    let mut server = Server::with_files(&[("/pub/data/a file.md5", MD5)]);
    server.features = "211-Features\r\n HASH MD5;SHA-1*;SHA-256;TIGER\r\n XSHA256\r\n XSHA512\r\n211 End";
    server.computes = vec![
        ("XSHA512 \"/pub/data/a file\"", "501 Quotes".to_owned()),
        ("XSHA512 /pub/data/a file", "550 Too large".to_owned()),
        ("OPTS HASH SHA-256", "200 SHA-256".to_owned()),
        ("HASH /pub/data/a file", format!("213 SHA-256 0-1499 {SHA256} a file")),
    ];
    let course = server.look_up();
    assert_eq!(course.checksum(), Some(format!("sha256={SHA256}")));
    let refused = reply("550 Too large");
    assert_eq!(
        course.remarks,
        [Remark::CommandRefused { server: "host".to_owned(), verb: Verb::Xsha512, reply: refused }]
    );
    let expected = [
        "RETR /pub/data/a file.md5",
        "XSHA512 \"/pub/data/a file\"",
        "XSHA512 /pub/data/a file",
        "OPTS HASH SHA-256",
        "HASH /pub/data/a file",
    ];
    assert_eq!(course.after_survey(), expected);
    assert_eq!(course.found.unwrap().origin, Origin::Command(Verb::Hash));
    server.files.push(("/pub/data/a file.sha256", SHA256.to_owned()));
    let course = server.look_up();
    assert_eq!((course.after_survey().len(), &course.remarks), (1, &Vec::new()), "nothing is computed");
    assert_eq!(course.found.unwrap().origin, list("a file.sha256"));
}

#[test]
fn server_computes_nothing_weaker_than_what_is_published() {
    let mut server = Server::with_files(&[("/pub/data/a file.md5", MD5)]);
    server.features = "211-Features\r\n HASH MD5*\r\n XCRC\r\n211 End";
    let course = server.look_up();
    assert_eq!((course.checksum(), course.after_survey().len()), (Some(format!("md5={MD5}")), 1));
    server.files.clear();
    server.computes = vec![("HASH", format!("213 MD5 0-1500 {MD5} a file"))];
    let course = server.look_up();
    assert_eq!((course.checksum(), course.after_survey().len()), (Some(format!("md5={MD5}")), 1));
}

#[test]
fn computed_checksum_is_of_the_whole_file_and_of_the_requested_algorithm() {
    let mut server = Server::with_files(&[]);
    server.features = "211-Features\r\n HASH MD5*\r\n211 End";
    for text in [
        format!("213 MD5 0-1501 {MD5} a file"),
        format!("213 MD5 1-1500 {MD5} a file"),
        format!("213 SHA-256 0-1500 {SHA256} a file"),
        format!("213 MD5 0-1500 {SHA256} a file"),
        format!("250 {MD5}"),
        "213 Done".to_owned(),
    ] {
        server.computes = vec![("HASH", text.clone())];
        let course = server.look_up();
        assert_eq!(course.found, None, "{text}");
        let misanswered = Remark::CommandMisanswered {
            server: "host".to_owned(),
            verb: Verb::Hash,
            algorithm: Algorithm::Md5,
            reply: reply(&text),
        };
        assert_eq!(course.remarks, [misanswered]);
    }
    server.features = "211-Features\r\n XCRC\r\n211 End";
    server.computes = vec![("XCRC", "250 352441C2".to_owned())];
    let found = server.look_up().found.unwrap();
    assert_eq!(
        (found.checksum.to_string().as_str(), found.origin),
        ("crc32=352441c2", Origin::Command(Verb::Xcrc))
    );
}

#[test]
fn survey_is_repeated_once_after_the_session_ended() {
    let mut lookup = Lookup::new("host".to_owned(), arg("f"));
    for _ in 0..ATTEMPTS {
        assert_eq!(next(&mut lookup).len(), SURVEY);
        lookup.handle_session_end();
    }
    assert!(next(&mut lookup).is_empty());
}

#[test]
fn list_is_read_from_its_start_after_the_session_ended() {
    let mut lookup = surveyed_with(&["f.sha256", "SHA256SUMS", "f.md5"]);
    assert_eq!(next(&mut lookup), ["RETR f.sha256"]);
    lookup.handle_answer(0, Answer::Content(&SHA256.as_bytes()[..10]));
    lookup.handle_session_end();
    assert_eq!(next(&mut lookup), ["RETR f.sha256"]);
    lookup.handle_answer(0, Answer::Content(SHA256.as_bytes()));
    lookup.handle_answer(0, Answer::Finished(&Finish::Whole { at: 64 }));
    assert!(next(&mut lookup).is_empty());
    let found = lookup.take_found().unwrap();
    assert_eq!((found.checksum.to_string(), lookup.take_remarks()), (format!("sha256={SHA256}"), Vec::new()));
}

#[test]
fn list_over_which_two_sessions_ended_is_passed_over() {
    let mut lookup = surveyed_with(&["f.sha256", "SHA256SUMS", "f.md5"]);
    for name in ["f.sha256", "SHA256SUMS", "f.md5"] {
        for remarks in [Vec::new(), vec![not_read(name, None)]] {
            assert_eq!(next(&mut lookup), [format!("RETR {name}")]);
            lookup.handle_session_end();
            assert_eq!(lookup.take_remarks(), remarks);
        }
    }
    assert!(next(&mut lookup).is_empty());
}

#[test]
fn name_of_the_file_in_a_reply_is_no_checksum() {
    let mut server = Server::with_files(&[]);
    server.features = "211-Features\r\n XMD5\r\n211 End";
    let name = "d41d8cd98f00b204e9800998ecf8427e";
    server.computes = vec![("XMD5", format!("250 {name} {MD5}"))];
    for (path, checksum) in [(format!("pub/{name}"), Some(format!("md5={MD5}"))), ("pub/f".to_owned(), None)]
    {
        assert_eq!(server.look_up_path(&path, &path).checksum(), checksum);
    }
}

#[test]
fn command_over_which_the_session_ended_is_not_repeated() {
    let features = "211-Features\r\n XMD5\r\n XCRC\r\n211 End";
    let mut lookup = surveyed(|request| if request == "FEAT" { features } else { "550 No" });
    assert_eq!(next(&mut lookup), ["XMD5 f"]);
    lookup.handle_session_end();
    let not_answered = Remark::CommandNotAnswered { server: "host".to_owned(), verb: Verb::Xmd5 };
    assert_eq!(lookup.take_remarks(), [not_answered]);
    assert_eq!(next(&mut lookup), ["XCRC f"]);
    lookup.handle_answer(0, Answer::Reply(&reply("250 352441C2")));
    assert!(next(&mut lookup).is_empty());
    assert_eq!(lookup.take_found().unwrap().checksum.to_string(), "crc32=352441c2");
}

#[test]
fn large_list_is_remarked_and_passed_over() {
    let mut lookup = surveyed(|request| match request {
        "SIZE f.sha512" => "213 16777216",
        "SIZE f.sha256" => "213 64",
        _ => "550 No",
    });
    assert_eq!(lookup.take_remarks(), [too_large("f.sha512")]);
    assert_eq!(next(&mut lookup), ["RETR f.sha256"]);
    lookup.handle_answer(0, Answer::Finished(&Finish::Cut));
    assert_eq!(lookup.take_remarks(), [too_large("f.sha256")]);
    assert!(next(&mut lookup).is_empty());
}

#[test]
fn list_is_read_once_more_after_a_transient_reply() {
    let short = |text| Finish::Short { at: 5, reply: reply(text) };
    for (first, is_repeated) in
        [(Ok("426 Oh"), true), (Ok("551 Oh"), false), (Err("450 Oh"), true), (Err("550 Oh"), false)]
    {
        let mut lookup = surveyed_with(&["f.sha256"]);
        let fail = |lookup: &mut Lookup| {
            assert_eq!(next(lookup), ["RETR f.sha256"]);
            match first {
                Ok(text) => lookup.handle_answer(0, Answer::Finished(&short(text))),
                Err(text) => lookup.handle_answer(0, Answer::Refused(&reply(text))),
            }
        };
        fail(&mut lookup);
        if is_repeated {
            assert_eq!(lookup.take_remarks(), []);
            fail(&mut lookup);
        }
        let (Ok(text) | Err(text)) = first;
        assert_eq!(lookup.take_remarks(), [not_read("f.sha256", Some(text))]);
        assert!(next(&mut lookup).is_empty());
    }
}
