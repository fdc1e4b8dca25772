use super::*;
use proptest::prelude::*;

const PATH: &[u8] = b"/pub/genomes/all/file.fa.gz";
const MD5: &str = "900150983cd24fb0d6963f7d28e17f72";
const OTHER: &str = "d41d8cd98f00b204e9800998ecf8427e";
const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// What `text` says, in one piece and byte by byte.
fn scan_of(path: &[u8], form: Form, text: &[u8]) -> Result<String, Useless> {
    let (mut whole, mut bytes) = (Scan::new(form, path), Scan::new(form, path));
    whole.push(text);
    text.iter().for_each(|byte| bytes.push(&[*byte]));
    let whole = whole.finish();
    assert_eq!(bytes.finish(), whole);
    whole.map(|listed| match listed.blocks {
        Some(blocks) => format!("{} {blocks}", listed.checksum),
        None => listed.checksum.to_string(),
    })
}

fn scan(form: Form, text: impl AsRef<[u8]>) -> Result<String, Useless> {
    scan_of(PATH, form, text.as_ref())
}

const OWN: Form = Form::Own(Algorithm::Md5);
const LIST: Form = Form::List(Some(Algorithm::Md5));
const ANY: Form = Form::List(None);

#[test]
fn lines_in_every_form() {
    for line in [
        format!("{MD5}  file.fa.gz"),
        format!("{MD5} *file.fa.gz\n"),
        format!("{MD5}  file.fa.gz\r\n"),
        format!("{MD5} file.fa.gz\n"),
        format!("{MD5}\tfile.fa.gz\n"),
        format!("{}  ./file.fa.gz\n", MD5.to_uppercase()),
        format!("{MD5}  ./all/file.fa.gz\n"),
        format!("{MD5}  /pub/genomes/all/file.fa.gz\n"),
        format!("MD5 (file.fa.gz) = {MD5}\n"),
        format!("MD5(./file.fa.gz)= {MD5}\r\n"),
        format!("\u{feff}{MD5}  file.fa.gz\n"),
        format!("# comment\n\n{OTHER}  README\n{MD5}  file.fa.gz\n{OTHER}  x/file.fa.gz\n"),
        format!("{}\n{MD5}  file.fa.gz\n", "a".repeat(100_000)),
        format!("{OTHER}  ./all/file.fa.gz\n{MD5}  ./file.fa.gz\n{OTHER}  genomes/all/file.fa.gz\n"),
        format!("SHA384 (file.fa.gz) = {MD5}\n{MD5}  file.fa.gz\n{MD5}  file.fa.gz\n"),
    ] {
        for form in [OWN, LIST, ANY] {
            assert_eq!(scan(form, &line), Ok(format!("md5={MD5}")), "{form:?} {line}");
        }
    }
}

#[test]
fn the_strongest_counts() {
    let text =
        format!("MD5 (file.fa.gz) = {MD5}\nSHA256 (file.fa.gz) = {SHA256}\nCRC32 (file.fa.gz) = 352441C2\n");
    assert_eq!(scan(ANY, &text), Ok(format!("sha256={SHA256}")));
    assert_eq!(scan(LIST, &text), Ok(format!("md5={MD5}")));
    assert_eq!(scan(ANY, "CRC32 (file.fa.gz) = 352441C2"), Ok("crc32=352441c2".to_owned()));
}

#[test]
fn sidecars_of_one_file() {
    assert_eq!(scan(OWN, MD5), Ok(format!("md5={MD5}")));
    assert_eq!(scan(OWN, format!("{}\r\n\r\n", MD5.to_uppercase())), Ok(format!("md5={MD5}")));
    assert_eq!(scan(OWN, format!("\u{feff}{MD5}\r\n")), Ok(format!("md5={MD5}")));
    assert_eq!(scan(OWN, format!("{MD5}  -\n")), Err(Useless::Other(b"-".to_vec())));
    // Where it was made.
    assert_eq!(scan(OWN, format!("{MD5}  /build/x/file.fa.gz\n")), Ok(format!("md5={MD5}")));
    assert_eq!(scan(LIST, format!("{MD5}  /build/x/file.fa.gz\n")), Err(Useless::NotListed));
    for text in ["", "\n\n", "no", "900150983cd24fb0d6963f7d28e17f7", SHA256, "<html>\n404</html>\n"] {
        assert_eq!(scan(OWN, text), Err(Useless::Malformed), "{text}");
    }
    // Of which one is it?
    assert_eq!(scan(OWN, format!("{MD5}\n{OTHER}\n")), Err(Useless::Malformed));
    let other = format!("{MD5}  other.gz\n");
    let said = scan(OWN, &other).unwrap_err();
    assert_eq!(
        (&said, said.to_string().as_str()),
        (&Useless::Other(b"other.gz".to_vec()), "is for another file, other.gz")
    );
    assert_eq!(Useless::Other(b"\x1b[2J".to_vec()).to_string(), "is for another file, \\u{1b}[2J");
}

#[test]
fn lists_that_are_of_no_use() {
    assert_eq!(scan(LIST, format!("{MD5}  other.gz\n{MD5}\n")), Err(Useless::NotListed));
    for (first, second) in [("", ""), ("./", ""), ("all/", "./genomes/all/")] {
        let text = format!("{MD5}  {first}file.fa.gz\n{OTHER}  {second}file.fa.gz\n");
        assert_eq!(scan(LIST, &text), Err(Useless::Contradictory));
    }
    for text in ["", MD5, "\0\0\0", "(((((", ")(", "MD5 () = 00", "MD5 (file.fa.gz) = 00", "\\"] {
        assert_eq!(scan(LIST, text), Err(Useless::Malformed), "{text}");
    }
    // Directories that are not those.
    for name in [
        "other/file.fa.gz",
        "../file.fa.gz",
        "x/pub/genomes/all/file.fa.gz",
        "all/file.fa.gz/",
        "file.fa.gz.md5",
    ] {
        let listed = scan(LIST, format!("{MD5}  {name}\n"));
        assert_eq!(listed.is_ok(), name == "all/file.fa.gz/", "{name}");
    }
}

#[test]
fn names_that_are_escaped_or_odd() {
    for (path, line) in [
        (&b"a\\b\nc"[..], format!("\\{MD5}  a\\\\b\\nc")),
        (b"a\\b", format!("{MD5}  a\\b")),
        (b"d/a (1) = b", format!("MD5 (a (1) = b) = {MD5}")),
        (b"\\", format!("\\MD5 (\\\\) = {MD5}")),
        (b" a ", format!("{MD5}   a ")),
        (b"*a", format!("{MD5} **a")),
        (b"a\xffb", String::new()),
    ] {
        let line =
            if line.is_empty() { [MD5.as_bytes(), b"  ./a\xffb\n"].concat() } else { line.into_bytes() };
        assert_eq!(scan_of(path, LIST, &line), Ok(format!("md5={MD5}")), "{path:?}");
    }
}

#[test]
fn sums_of_bsd() {
    let ensembl = "40865 12345 other.fa.gz\n01234 859862 file.fa.gz\n";
    assert_eq!(scan(ANY, ensembl), Ok("sum=01234 859862".to_owned()));
    assert_eq!(scan(ANY, "00000     0 file.fa.gz\r\n"), Ok("sum=00000 0".to_owned()));
    // A list that is to have something better has none of these.
    assert_eq!(scan(LIST, ensembl), Err(Useless::Malformed));
    for line in [
        "1234 5 file.fa.gz",
        "65536 5 file.fa.gz",
        "12345 file.fa.gz",
        "12345 5",
        "+1234 5 file.fa.gz",
        "12345 -5 file.fa.gz",
        "123456 5 file.fa.gz",
        "4038471504 75 file.fa.gz",
    ] {
        assert_eq!(scan(ANY, line), Err(Useless::Malformed), "{line}");
    }
}

#[test]
fn a_list_without_end_takes_no_memory() {
    let mut scan = Scan::new(LIST, PATH);
    for _ in 0..1000 {
        scan.push(&[b'a'; 4096]);
        assert!(scan.line.capacity() <= 2 * LONGEST);
    }
    scan.push(format!("\n{MD5}  file.fa.gz").as_bytes());
    assert_eq!(scan.finish().unwrap().checksum.to_string(), format!("md5={MD5}"));
}

proptest! {
    #[test]
    fn what_is_printed_is_read(name in "[^/\\\\\r\n ][^/\\\\\r\n]{0,20}", value: [u8; 32], before in "[^/]{0,60}") {
        prop_assume!(name != "." && !name.ends_with(' '));
        let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        for line in [format!("{hex}  {name}"), format!("{hex} *{name}"), format!("SHA256 ({name}) = {hex}")] {
            let text = format!("{before}\n{line}\n");
            prop_assert_eq!(
                scan_of(name.as_bytes(), ANY, text.as_bytes()), Ok(format!("sha256={hex}")), "{}", text
            );
        }
    }

    #[test]
    fn anything_is_a_list_or_none(text in "[ 0-9a-f()=*\\\\\nMD5/.]{0,200}", bytes: Vec<u8>) {
        for form in [OWN, LIST, ANY] {
            let _ = scan(form, [text.as_bytes(), &bytes].concat());
        }
    }
}
