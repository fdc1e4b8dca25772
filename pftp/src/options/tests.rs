use super::*;
use crate::cli::Invocation;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

fn resolve(args: &[&str]) -> Result<Options, Failure> {
    resolve_with(args, None)
}

fn resolve_with(args: &[&str], password: Option<&str>) -> Result<Options, Failure> {
    match Cli::parse_from_args(["pftp"].iter().chain(args))? {
        Invocation::Download(cli) => Options::resolve_with(&cli, password.map(OsString::from)),
        Invocation::Print(text) => panic!("{text}"),
    }
}

fn options(args: &[&str]) -> Options {
    resolve(args).unwrap_or_else(|failure| panic!("{args:?}: {failure}"))
}

#[track_caller]
fn refused(args: &[&str], kind: Kind, says: &str) {
    let failure = resolve(args).unwrap_err();
    assert_eq!(failure.kind(), kind, "{args:?}: {failure}");
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
    assert_eq!((options.log.clone(), options.representation), (None, RepresentationType::Image));
    assert_eq!((options.connections, options.min_segment), (None, None));
    assert_eq!((options.timeout, options.retries), (Duration::from_secs(30), 5));
    assert!(options.warnings.is_empty() && !options.quiet);
    assert_eq!(options.name(), "file.bin");
}

#[test]
fn options_fill_in_what_sources_do_not_name() {
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
fn a_server_and_a_file() {
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
        assert_eq!(options.representation, RepresentationType::Image);
        assert_eq!(options.output, Output::File("./c;type=a".into()));
    }
    refused(&["-s", "host/dir", "-f", "f"], Kind::Syntax, "-s: a path");
    refused(&["-s", "http://host", "-f", "f"], Kind::Syntax, "http");
    refused(&["-s", "", "-f", "f"], Kind::Syntax, "-s: names no host");
    refused(&["-s", "host", "-f", ""], Kind::Syntax, "-f: ");
    refused(&["-s", "host", "-f", "dir/"], Kind::Syntax, "-f: ");
    refused(&["-s", "host", "-f", "a\r\nDELE b"], Kind::Syntax, "line end");
    refused(&["-n", "", URL], Kind::Syntax, "-n is empty");
    refused(&["-P", "a\nb", URL], Kind::Syntax, "-P holds CR");
}

#[test]
fn a_name_that_is_not_utf8_is_kept() {
    let file = OsString::from_vec(b"gr\xfcn".to_vec());
    let args = ["pftp".into(), "-s".into(), "h".into(), "-f".into(), file.clone()];
    let Ok(Invocation::Download(cli)) = Cli::parse_from_args(args) else { panic!() };
    let options = Options::resolve(&cli).unwrap();
    assert_eq!(options.output, Output::File(Path::new(".").join(file)));
}

#[test]
fn a_config_file() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("mirrors");
    let config = config.to_str().unwrap();
    fs::write(config, "ftp://a/x/f\nftp://a/x/f\nftp://b/f\n").unwrap();
    let found = options(&["-t", config, "-p", "2121"]);
    let seen: Vec<_> = found.sources.iter().map(|source| (source.server(), source.connections)).collect();
    assert_eq!(seen, [("a:2121".to_owned(), 2), ("b:2121".to_owned(), 1)]);
    fs::write(config, "ftp://a/x/f\nftp://b/g\n").unwrap();
    refused(&["-t", config], Kind::Syntax, "mirrors: line 2: ");
    refused(&["-t", "/nonexistent"], Kind::Local, "/nonexistent");
    refused(&["-t", config, URL], Kind::Other, "cannot be used with");
}

#[test]
fn no_file_gets_the_name_of_an_unfinished_one() {
    let says = "pftp keeps its unfinished files under such names";
    for name in
        ["f.pftp-part", "f.pftp-journal", "f.pftp-journal-new", "f.pftp-journal-unusable", "F.PFTP-PART"]
    {
        let url = format!("ftp://host/dir/{name}");
        refused(&[&url], Kind::Syntax, &format!("{name}: {says}; give it another with -o"));
        refused(&["-s", "host", "-f", name], Kind::Syntax, says);
        refused(&["-o", name, URL], Kind::Other, &format!("-o {name}: {says}"));
        refused(&["-o", &format!("/tmp/{name}/."), URL], Kind::Other, says);
        assert_eq!(options(&["-o", "f", &url]).output, Output::File("./f".into()));
        assert_eq!(options(&["-o", "-", &url]).output, Output::Stdout);
    }
    refused(&["ftp://host/f%2epftp-part"], Kind::Syntax, says);
}

#[test]
fn where_the_file_goes() {
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
    refused(&["-o", base, URL], Kind::Local, "names a directory");
    refused(&["-d", base, "-o", ".", URL], Kind::Local, "names a directory");
    refused(&["-o", "none/", URL], Kind::Local, "names a directory");
    refused(&["-o", "", URL], Kind::Other, "--output");
}

#[test]
fn standard_output() {
    let found = options(&["-o", "-", "-d", "/nonexistent", URL]);
    assert_eq!((found.output.clone(), found.connections), (Output::Stdout, NonZeroUsize::new(1)));
    assert_eq!(found.name(), "file.bin");
    assert_eq!(options(&["-l", "-", URL]).log, Some(LogTarget::Stdout));
    assert_eq!(options(&["-l", "x", "-o", "-", URL]).log, Some(LogTarget::File("x".into())));
    refused(&["-o", "-", "-l", "-", URL], Kind::Other, "standard output");
}

#[test]
fn modes() {
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
        assert_eq!(options.representation, representation, "{args:?}");
        assert_eq!(options.connections.is_some(), representation == RepresentationType::Ascii);
    }
    refused(&["ftp://host/f;type=i", ascii], Kind::Syntax, "-m");
}

#[test]
fn one_connection_where_order_matters() {
    let connections = |args: &[&str]| {
        let options = options(args);
        (options.connections.map(NonZeroUsize::get), options.warnings.len())
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

/// The passwords of the sources.
fn passwords(args: &[&str], environment: Option<&str>) -> Vec<String> {
    let options = resolve_with(args, environment).unwrap_or_else(|failure| panic!("{args:?}: {failure}"));
    let text = |source: &Source| String::from_utf8(source.password.expose().to_vec()).unwrap();
    options.sources.iter().map(text).collect()
}

#[test]
fn a_password_from_a_file() {
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
        refused(&args, Kind::Syntax, says);
    }
    fs::remove_file(&path).unwrap();
    refused(&args, Kind::Local, "cannot read ");
}

#[test]
fn a_password_from_the_environment() {
    let guest = "user@localhost.localnet";
    assert_eq!(passwords(&["-n", "bob", URL], Some("pw")), ["pw"]);
    assert_eq!(passwords(&["-n", "bob", "-P", "x", URL], Some("pw")), ["x"]);
    assert_eq!(passwords(&["ftp://bob@h/f", "ftp://eve:x@h/f", "ftp://h/f"], Some("pw")), ["pw", "x", guest]);
    assert_eq!(passwords(&["-n", "Anonymous", "ftp://h/f", "ftp://ftp@h/f"], Some("pw")), [guest, guest]);
    assert_eq!(passwords(&["-n", "bob", URL], Some("")), [""]);
    let failure = resolve_with(&["-n", "bob", URL], Some("hun\nter2")).unwrap_err();
    assert_eq!(failure.to_string(), "the value of PFTP_PASSWORD holds CR, LF or NUL at byte 3");
}
