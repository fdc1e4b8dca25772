use super::*;
use crate::cli::arguments::Invocation;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

fn resolve(args: &[&str]) -> Result<Options, Failure> {
    resolve_with(args, None)
}

fn resolve_with(args: &[&str], password: Option<&str>) -> Result<Options, Failure> {
    match Arguments::parse_from_args(["pftp"].iter().chain(args))? {
        Invocation::Download(arguments) => Options::resolve_with(&arguments, password.map(OsString::from)),
        Invocation::Print(text) => panic!("{text}"),
    }
}

fn options(args: &[&str]) -> Options {
    resolve(args).unwrap_or_else(|failure| panic!("{args:?}: {failure}"))
}

#[track_caller]
fn refused(args: &[&str], kind: ErrorKind, says: &str) {
    let failure = resolve(args).unwrap_err();
    assert_eq!(failure.kind(), Some(kind), "{args:?}: {failure}");
    assert!(failure.to_string().contains(says), "{args:?}: {failure}");
}

const URL: &str = "ftp://host/dir/file.bin";

#[test]
fn defaults_are_those_of_the_manual() {
    let options = options(&[URL]);
    let [source] = &options.sources[..] else { panic!("{options:?}") };
    assert_eq!((source.host.as_str(), source.port, source.connections), ("host", 21, 1));
    assert_eq!(source.username.as_bytes(), b"anonymous");
    assert_eq!(source.password.expose(), b"user@localhost.localnet");
    assert_eq!(source.path.as_bytes(), b"dir/file.bin");
    assert_eq!(options.output, Output::File("./file.bin".into()));
    assert_eq!((options.log.clone(), options.settings.representation), (None, RepresentationType::Image));
    assert_eq!((options.settings.connections, options.settings.min_segment), (None, None));
    assert_eq!((options.settings.timeout, options.settings.retries), (Duration::from_secs(30), 5));
    assert!(options.warnings.is_empty() && !options.quiet);
    assert_eq!(options.name(), "file.bin");
}

#[test]
fn options_fill_in_the_parts_that_urls_leave_out() {
    let args = ["-p", "2121", "-n", "bob", "-P", "pw", "ftp://a/f", "ftp://eve:x@b:21/f", "ftp://eve@c/f"];
    let seen: Vec<_> = options(&args)
        .sources
        .iter()
        .map(|source| {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            format!(
                "{}:{} {} {}",
                source.host,
                source.port,
                text(source.username.as_bytes()),
                text(source.password.expose())
            )
        })
        .collect();
    assert_eq!(seen, ["a:2121 bob pw", "b:21 eve x", "c:2121 eve pw"]);
}

#[test]
fn server_and_file_are_taken_as_typed() {
    for (server, host, port) in [
        ("host", "host", 21),
        ("host:2121", "host", 2121),
        ("ftp://host", "host", 21),
        ("[::1]:2121", "::1", 2121),
        ("::1", "::1", 21),
    ] {
        let options = options(&["-s", server, "-f", "/a%20b/c;type=a"]);
        let source = &options.sources[0];
        assert_eq!((source.host.as_str(), source.port), (host, port));
        assert_eq!(source.path.as_bytes(), b"/a%20b/c;type=a");
        assert_eq!(options.settings.representation, RepresentationType::Image);
        assert_eq!(options.output, Output::File("./c;type=a".into()));
    }
    refused(&["-s", "host/dir", "-f", "f"], ErrorKind::Syntax, "-s: a path");
    refused(&["-s", "http://host", "-f", "f"], ErrorKind::Syntax, "http");
    refused(&["-s", "", "-f", "f"], ErrorKind::Syntax, "-s: names no host");
    refused(&["-s", "host", "-f", ""], ErrorKind::Syntax, "-f: ");
    refused(&["-s", "host", "-f", "dir/"], ErrorKind::Syntax, "-f: ");
    refused(&["-s", "host", "-f", "a\r\nDELE b"], ErrorKind::Syntax, "line end");
    refused(&["-n", "", URL], ErrorKind::Syntax, "-n is empty");
    refused(&["-P", "a\nb", URL], ErrorKind::Syntax, "-P holds CR");
}

#[test]
fn name_that_is_not_utf8_is_kept() {
    let file = OsString::from_vec(b"gr\xfcn".to_vec());
    let args = ["pftp".into(), "-s".into(), "h".into(), "-f".into(), file.clone()];
    let Ok(Invocation::Download(arguments)) = Arguments::parse_from_args(args) else { panic!() };
    let options = Options::resolve(&arguments).unwrap();
    assert_eq!(options.output, Output::File(Path::new(".").join(file)));
}

#[test]
fn config_file_names_the_sources() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("mirrors");
    let config = config.to_str().unwrap();
    fs::write(config, "ftp://a/x/f\nftp://a/x/f\nftp://b/f\n").unwrap();
    let found = options(&["-t", config, "-p", "2121"]);
    let seen: Vec<_> = found.sources.iter().map(|source| (source.server(), source.connections)).collect();
    assert_eq!(seen, [("a:2121".to_owned(), 2), ("b:2121".to_owned(), 1)]);
    fs::write(config, "ftp://a/x/f\nftp://b/g\n").unwrap();
    refused(&["-t", config], ErrorKind::Syntax, "mirrors: line 2: ");
    refused(&["-t", "/nonexistent"], ErrorKind::Local, "/nonexistent");
    refused(&["-t", config, URL], ErrorKind::Other, "cannot be used with");
}

#[test]
fn temporary_names_are_refused() {
    let says = "pftp keeps its unfinished files under such names";
    for name in
        ["f.pftp-part", "f.pftp-journal", "f.pftp-journal-new", "f.pftp-journal-unusable", "F.PFTP-PART"]
    {
        let url = format!("ftp://host/dir/{name}");
        refused(&[&url], ErrorKind::Syntax, &format!("{name}: {says}; give it another with -o"));
        refused(&["-s", "host", "-f", name], ErrorKind::Syntax, says);
        refused(&["-o", name, URL], ErrorKind::Other, &format!("-o {name}: {says}"));
        refused(&["-o", &format!("/tmp/{name}/."), URL], ErrorKind::Other, says);
        assert_eq!(options(&["-o", "f", &url]).output, Output::File("./f".into()));
        assert_eq!(options(&["-o", "-", &url]).output, Output::Stdout);
    }
    refused(&["ftp://host/f%2epftp-part"], ErrorKind::Syntax, says);
}

#[test]
fn output_is_below_the_directory_or_the_name_on_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().to_str().unwrap();
    for (args, path) in [
        (&["-o", "new.bin"][..], PathBuf::from("./new.bin")),
        (&["-d", base], dir.path().join("file.bin")),
        (&["-d", base, "-o", "x"], dir.path().join("x")),
        (&["-d", base, "-o", "a/x"], dir.path().join("a/x")),
        (&["-d", "elsewhere", "-o", "/tmp/none/x"], PathBuf::from("/tmp/none/x")),
        (&["-o", "./-"], PathBuf::from("././-")),
    ] {
        let args: Vec<&str> = args.iter().copied().chain([URL]).collect();
        assert_eq!(options(&args).output, Output::File(path));
    }
    refused(&["-o", base, URL], ErrorKind::Local, "names a directory");
    refused(&["-d", base, "-o", ".", URL], ErrorKind::Local, "names a directory");
    refused(&["-o", "none/", URL], ErrorKind::Local, "names a directory");
    refused(&["-o", "", URL], ErrorKind::Other, "--output");
}

#[test]
fn standard_output_takes_the_file_or_the_log() {
    let found = options(&["-o", "-", "-d", "/nonexistent", URL]);
    assert_eq!((found.output.clone(), found.settings.connections), (Output::Stdout, NonZeroUsize::new(1)));
    assert_eq!(found.name(), "file.bin");
    assert_eq!(options(&["-l", "-", URL]).log, Some(LogTarget::Stdout));
    assert_eq!(options(&["-l", "x", "-o", "-", URL]).log, Some(LogTarget::File("x".into())));
    refused(&["-o", "-", "-l", "-", URL], ErrorKind::Other, "standard output");
}

#[test]
fn option_for_the_mode_goes_before_the_types_of_urls() {
    let ascii = "ftp://host/f;type=a";
    for (args, representation) in [
        (&[URL][..], RepresentationType::Image),
        (&["-m", "ascii", URL], RepresentationType::Ascii),
        (&[ascii], RepresentationType::Ascii),
        (&["-m", "binary", ascii], RepresentationType::Image),
        (&["-m", "ascii", "ftp://host/f;type=i"], RepresentationType::Ascii),
        (&["-m", "ascii", "ftp://host/f;type=i", ascii], RepresentationType::Ascii),
    ] {
        let options = options(args);
        assert_eq!(options.settings.representation, representation, "{args:?}");
        assert_eq!(options.settings.connections.is_some(), representation == RepresentationType::Ascii);
    }
    refused(&["ftp://host/f;type=i", ascii], ErrorKind::Syntax, "-m");
}

#[test]
fn ordered_bytes_take_one_connection() {
    let connections = |args: &[&str]| {
        let options = options(args);
        (options.settings.connections.map(NonZeroUsize::get), options.warnings.len())
    };
    assert_eq!(connections(&["-c", "4", URL]), (Some(4), 0));
    assert_eq!(connections(&["-c", "4", "-o", "-", URL]), (Some(1), 1));
    assert_eq!(connections(&["-c", "4", "-m", "ascii", URL]), (Some(1), 1));
    assert_eq!(connections(&["-c", "1", "-o", "-", URL]), (Some(1), 0));
    assert_eq!(connections(&["-m", "ascii", "-o", "-", URL]), (Some(1), 0));
}

#[test]
fn no_password_is_shown() {
    let shown = format!("{:?}", options(&["-P", "hunter2", "ftp://bob:hunter3@host/f"]));
    assert!(!shown.contains("hunter"), "{shown}");
}

/// Returns the passwords of the sources.
fn passwords(args: &[&str], environment: Option<&str>) -> Vec<String> {
    let options = resolve_with(args, environment).unwrap_or_else(|failure| panic!("{args:?}: {failure}"));
    let text = |source: &Source| String::from_utf8(source.password.expose().to_vec()).unwrap();
    options.sources.iter().map(text).collect()
}

#[test]
fn password_is_the_first_line_of_the_password_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("password");
    let file = path.to_str().unwrap();
    let args = ["-n", "bob", "--password-file", file, "ftp://a/f", "ftp://eve:x@b/f"];
    for (content, password) in [
        (&b"pw"[..], "pw"),
        (b"pw\n", "pw"),
        (b"p w \r\nsecond\n", "p w "),
        ("p\u{fc}\n".as_bytes(), "p\u{fc}"),
    ] {
        fs::write(&path, content).unwrap();
        assert_eq!(passwords(&args, Some("other")), [password, "x"]);
    }
    for (content, says) in [
        (&b""[..], "password: the first line is empty"),
        (b"\npw\n", "is empty"),
        (b"hun\0ter2\n", "password: the first line holds CR, LF or NUL at byte 3"),
        (b"hun\rter2\n", "holds CR, LF or NUL"),
    ] {
        fs::write(&path, content).unwrap();
        refused(&args, ErrorKind::Syntax, says);
    }
    fs::remove_file(&path).unwrap();
    refused(&args, ErrorKind::Local, "cannot read ");
}

#[test]
fn password_from_the_environment_is_for_named_users() {
    let guest = "user@localhost.localnet";
    assert_eq!(passwords(&["-n", "bob", URL], Some("pw")), ["pw"]);
    assert_eq!(passwords(&["-n", "bob", "-P", "x", URL], Some("pw")), ["x"]);
    assert_eq!(passwords(&["ftp://bob@h/f", "ftp://eve:x@h/f", "ftp://h/f"], Some("pw")), ["pw", "x", guest]);
    assert_eq!(passwords(&["-n", "Anonymous", "ftp://h/f", "ftp://ftp@h/f"], Some("pw")), [guest, guest]);
    assert_eq!(passwords(&["-n", "bob", URL], Some("")), [""]);
    let failure = resolve_with(&["-n", "bob", URL], Some("hun\nter2")).unwrap_err();
    assert_eq!(failure.to_string(), "the value of PFTP_PASSWORD holds CR, LF or NUL at byte 3");
}
