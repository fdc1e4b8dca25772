use super::*;
use proptest::prelude::*;

fn parsed(url: &str) -> FtpUrl {
    url.parse().unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn refusal(url: &str) -> UrlError {
    url.parse::<FtpUrl>().expect_err(url)
}

#[test]
fn paths_reach_the_server_as_meant() {
    for (url, path) in [
        ("ftp://host/dir/file", &b"dir/file"[..]),
        ("ftp://host//dir/file", b"/dir/file"),
        ("ftp://host/%2Fdir/file", b"/dir/file"),
        ("ftp://host/%2fdir%2ffile", b"/dir/file"),
        ("ftp://host///dir/file", b"//dir/file"),
        ("FtP://host/file", b"file"),
        ("ftp://host/a b/c d", b"a b/c d"),
        ("ftp://host/a%20b", b"a b"),
        ("ftp://host/what?.txt?x=1", b"what?.txt?x=1"),
        ("ftp://host/c#/file#2", b"c#/file#2"),
        ("ftp://host/50%25", b"50%"),
        ("ftp://host/%2541", b"%41"),
        ("ftp://host/grün/größe", "grün/größe".as_bytes()),
        ("ftp://host/gr%C3%BCn", "grün".as_bytes()),
        ("ftp://host/gr%FCn", b"gr\xfcn"),
        ("ftp://host/../up", b"../up"),
        ("ftp://host/a\\b", b"a\\b"),
        ("ftp://host/a+b@c:d", b"a+b@c:d"),
        ("ftp://host/http://x", b"http://x"),
        ("ftp://host/...", b"..."),
    ] {
        assert_eq!(parsed(url).path.as_bytes(), path, "{url}");
    }
    assert_eq!(FtpUrl::parse(b"ftp://host/gr\xfcn").unwrap().path.as_bytes(), b"gr\xfcn");
}

#[test]
fn server_and_login_are_parsed() {
    for (url, host, port, username, password) in [
        ("ftp://Example.ORG/f", "example.org", None, None, None),
        ("ftp://host:2121/f", "host", Some(2121), None, None),
        ("ftp://host:/f", "host", None, None, None),
        ("ftp://192.0.2.1:65535/f", "192.0.2.1", Some(65535), None, None),
        ("ftp://[2001:DB8::0:1]/f", "2001:db8::1", None, None, None),
        ("ftp://[::1]:21/f", "::1", Some(21), None, None),
        ("ftp://bob@host/f", "host", None, Some("bob"), None),
        ("ftp://bob:@host/f", "host", None, Some("bob"), Some("")),
        ("ftp://bob:a:b@host/f", "host", None, Some("bob"), Some("a:b")),
        ("ftp://b%40c:p%2Fq%3A@host:3/f", "host", Some(3), Some("b@c"), Some("p/q:")),
        ("ftp://me@mail.example:x@y@host/f", "host", None, Some("me@mail.example"), Some("x@y")),
        ("ftp://bob:pw@[::1]:7/f", "::1", Some(7), Some("bob"), Some("pw")),
    ] {
        let server = parsed(url).server;
        assert_eq!((server.host.as_str(), server.port), (host, port), "{url}");
        assert_eq!(server.username.as_ref().map(Arg::as_bytes), username.map(str::as_bytes), "{url}");
        assert_eq!(server.password.as_ref().map(Secret::expose), password.map(str::as_bytes), "{url}");
    }
}

#[test]
fn type_is_split_from_the_path() {
    for (url, path, representation) in [
        ("ftp://h/f;type=i", "f", Some(RepresentationType::Image)),
        ("ftp://h/f;TYPE=A", "f", Some(RepresentationType::Ascii)),
        ("ftp://h/f%3Btype=a", "f;type=a", None),
        ("ftp://h/f;v=1", "f;v=1", None),
        ("ftp://h/f;1", "f;1", None),
        ("ftp://h/f;1;type=a", "f;1", Some(RepresentationType::Ascii)),
        ("ftp://h/d;type=a/f", "d;type=a/f", None),
    ] {
        let parsed = parsed(url);
        assert_eq!(parsed.path.as_bytes(), path.as_bytes(), "{url}");
        assert_eq!(parsed.representation, representation, "{url}");
    }
}

#[test]
fn malformed_urls_are_refused() {
    for (url, error) in [
        ("http://host/f", UrlError::Scheme("http".into())),
        ("SFTP://host/f", UrlError::Scheme("sftp".into())),
        ("ftps://host/f", UrlError::Scheme("ftps".into())),
        ("host/f", UrlError::NoScheme),
        ("", UrlError::NoScheme),
        ("ftp:/host/f", UrlError::NoScheme),
        ("://host/f", UrlError::NoScheme),
        ("bob:hunter2@host/ftp://f", UrlError::NoScheme),
        ("ftp://", UrlError::NoHost),
        ("ftp:///f", UrlError::NoHost),
        ("ftp://:21/f", UrlError::NoHost),
        ("ftp://bob@/f", UrlError::NoHost),
        ("ftp://ho st/f", UrlError::Host),
        ("ftp://ho%73t/f", UrlError::Host),
        ("ftp://host?x/f", UrlError::Host),
        ("ftp://bücher.example/f", UrlError::HostNotAscii),
        ("ftp://::1/f", UrlError::Ipv6),
        ("ftp://[::1/f", UrlError::Ipv6),
        ("ftp://[::1]x/f", UrlError::Ipv6),
        ("ftp://[host]/f", UrlError::Ipv6),
        ("ftp://[fe80::1%25eth0]/f", UrlError::Zone),
        ("ftp://host:0/f", UrlError::Port),
        ("ftp://host:65536/f", UrlError::Port),
        ("ftp://host:+21/f", UrlError::Port),
        ("ftp://host:ftp/f", UrlError::Port),
        ("ftp://@host/f", UrlError::NoUser),
        ("ftp://:pw@host/f", UrlError::NoUser),
        ("ftp://host/a%", UrlError::Escape),
        ("ftp://host/a%2", UrlError::Escape),
        ("ftp://host/%%41", UrlError::Escape),
        ("ftp://host/%+1", UrlError::Escape),
        ("ftp://b%zz@host/f", UrlError::Escape),
        ("ftp://bob:%@host/f", UrlError::Escape),
        ("ftp://host/a%0D%0ADELE%20b", UrlError::Control("path")),
        ("ftp://host/a\nb", UrlError::Control("path")),
        ("ftp://host/a%00", UrlError::Control("path")),
        ("ftp://b%0ab@host/f", UrlError::Control("user name")),
        ("ftp://bob:%0dx@host/f", UrlError::Control("password")),
        ("ftp://host", UrlError::NoFile),
        ("ftp://host/", UrlError::NoFile),
        ("ftp://host/;type=a", UrlError::NoFile),
        ("ftp://host/dir/", UrlError::NoFile),
        ("ftp://host/dir%2F", UrlError::NoFile),
        ("ftp://host/dir/..", UrlError::NoFile),
        ("ftp://host/%2e", UrlError::NoFile),
        ("ftp://host/dir;type=d", UrlError::Directory),
        ("ftp://host/f;type=", UrlError::Type),
        ("ftp://host/f;type=e", UrlError::Type),
    ] {
        assert_eq!(refusal(url), error, "{url}");
    }
    assert!(refusal("HTTPS://host/f").to_string().contains("https"));
}

#[test]
fn local_names_stay_in_their_directory() {
    assert_eq!(parsed("ftp://host//etc/passwd").local_name().unwrap(), "passwd");
    assert_eq!(parsed("ftp://host/..%2F..%2Fx").local_name().unwrap(), "x");
    assert_eq!(parsed("ftp://host/a%5Cb").local_name().unwrap(), "a\\b");
    for path in ["dir/", "dir/..", ".", "/"] {
        assert_eq!(local_name(&Arg::new(path).unwrap()), Err(UrlError::NoFile), "{path}");
    }
}

#[test]
fn server_without_a_path_is_parsed() {
    let server = |text: &str| Server::parse(text.as_bytes());
    for (text, host, port) in [
        ("host", "host", None),
        ("host:2121", "host", Some(2121)),
        ("ftp://host", "host", None),
        ("ftp://host:21/", "host", Some(21)),
        ("[::1]:21", "::1", Some(21)),
        ("::1", "::1", None),
        ("ftp://[::1]", "::1", None),
    ] {
        let server = server(text).unwrap();
        assert_eq!((server.host.as_str(), server.port), (host, port), "{text}");
    }
    assert_eq!(server("bob:pw@host").unwrap().username.unwrap().as_bytes(), b"bob");
    assert_eq!(server("ftp://host/dir"), Err(UrlError::Path));
    assert_eq!(server(""), Err(UrlError::NoHost));
    assert_eq!(server("http://host"), Err(UrlError::Scheme("http".into())));
    assert_eq!(server("::1%lo"), Err(UrlError::Ipv6));
}

#[test]
fn password_is_never_shown() {
    assert!(!format!("{:?}", parsed("ftp://bob:hunter2@host/f")).contains("hunter2"));
}

fn check(bytes: &[u8]) {
    let Ok(url) = FtpUrl::parse(bytes) else { return };
    let clean = |bytes: &[u8]| !bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
    assert!(clean(url.path.as_bytes()));
    assert!(url.server.username.iter().all(|user| clean(user.as_bytes()) && !user.as_bytes().is_empty()));
    assert!(url.server.password.iter().all(|password| clean(password.expose())));
    assert!(clean(url.server.host.as_bytes()) && !url.server.host.is_empty());
    assert_ne!(url.server.port, Some(0));
    let name = url.local_name().unwrap().into_vec();
    assert!(!matches!(&name[..], b"" | b"." | b"..") && !name.contains(&b'/'));
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        check(&bytes);
    }

    #[test]
    fn nearly_urls(rest in r"([a-z:@/%\[\];.\r\n]|%[0-9a-fA-F]{2}|;type=[aid]){0,24}") {
        check(format!("ftp://{rest}").as_bytes());
    }

    #[test]
    fn what_is_escaped_comes_back(path in prop::collection::vec(any::<u8>(), 1..40)) {
        use percent_encoding::{percent_encode, NON_ALPHANUMERIC};
        let url = format!("ftp://host/{}", percent_encode(&path, NON_ALPHANUMERIC));
        if let Ok(url) = FtpUrl::parse(url.as_bytes()) {
            prop_assert_eq!(url.path.as_bytes(), &path[..]);
        }
    }
}
