use super::*;
use proptest::prelude::*;

const PATH: &[u8] = b"/pub/genomes/all/file.fa.gz";
const MD5: &str = "900150983cd24fb0d6963f7d28e17f72";
const OTHER: &str = "d41d8cd98f00b204e9800998ecf8427e";
const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// Reads `text` for the file at `path`, in one piece and byte by byte.
fn read_for(path: &[u8], form: ListForm, text: &[u8]) -> Result<String, ListError> {
    let (mut whole, mut bytes) = (ListReader::new(form, path), ListReader::new(form, path));
    whole.push(text);
    text.iter().for_each(|byte| bytes.push(&[*byte]));
    let whole = whole.finish();
    assert_eq!(bytes.finish(), whole);
    whole.map(|listed| match listed.blocks {
        Some(blocks) => format!("{} {blocks}", listed.checksum),
        None => listed.checksum.to_string(),
    })
}

fn read(form: ListForm, text: impl AsRef<[u8]>) -> Result<String, ListError> {
    read_for(PATH, form, text.as_ref())
}

const SIDECAR: ListForm = ListForm::Sidecar(Algorithm::Md5);
const MD5SUMS: ListForm = ListForm::Directory(Some(Algorithm::Md5));
const CHECKSUMS: ListForm = ListForm::Directory(None);

#[test]
fn every_form_of_line_is_read() {
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
        for form in [SIDECAR, MD5SUMS, CHECKSUMS] {
            assert_eq!(read(form, &line), Ok(format!("md5={MD5}")), "{form:?} {line}");
        }
    }
}

#[test]
fn strongest_algorithm_wins() {
    let text =
        format!("MD5 (file.fa.gz) = {MD5}\nSHA256 (file.fa.gz) = {SHA256}\nCRC32 (file.fa.gz) = 352441C2\n");
    assert_eq!(read(CHECKSUMS, &text), Ok(format!("sha256={SHA256}")));
    assert_eq!(read(MD5SUMS, &text), Ok(format!("md5={MD5}")));
    assert_eq!(read(CHECKSUMS, "CRC32 (file.fa.gz) = 352441C2"), Ok("crc32=352441c2".to_owned()));
}

#[test]
fn sidecar_is_for_its_own_file_only() {
    assert_eq!(read(SIDECAR, MD5), Ok(format!("md5={MD5}")));
    assert_eq!(read(SIDECAR, format!("{}\r\n\r\n", MD5.to_uppercase())), Ok(format!("md5={MD5}")));
    assert_eq!(read(SIDECAR, format!("\u{feff}{MD5}\r\n")), Ok(format!("md5={MD5}")));
    assert_eq!(read(SIDECAR, format!("{MD5}  -\n")), Err(ListError::OtherFile(b"-".to_vec())));
    // The path of the file at its author.
    assert_eq!(read(SIDECAR, format!("{MD5}  /build/x/file.fa.gz\n")), Ok(format!("md5={MD5}")));
    assert_eq!(read(MD5SUMS, format!("{MD5}  /build/x/file.fa.gz\n")), Err(ListError::NotListed));
    for text in ["", "\n\n", "no", "900150983cd24fb0d6963f7d28e17f7", SHA256, "<html>\n404</html>\n"] {
        assert_eq!(read(SIDECAR, text), Err(ListError::Malformed), "{text}");
    }
    // Two checksums without names do not say which file they are of.
    assert_eq!(read(SIDECAR, format!("{MD5}\n{OTHER}\n")), Err(ListError::Malformed));
    let other = format!("{MD5}  other.gz\n");
    assert_eq!(read(SIDECAR, &other), Err(ListError::OtherFile(b"other.gz".to_vec())));
}

#[test]
fn useless_list_is_refused_with_the_reason() {
    assert_eq!(read(MD5SUMS, format!("{MD5}  other.gz\n{MD5}\n")), Err(ListError::NotListed));
    for (first, second) in [("", ""), ("./", ""), ("all/", "./genomes/all/")] {
        let text = format!("{MD5}  {first}file.fa.gz\n{OTHER}  {second}file.fa.gz\n");
        assert_eq!(read(MD5SUMS, &text), Err(ListError::Contradictory));
    }
    for text in ["", MD5, "\0\0\0", "(((((", ")(", "MD5 () = 00", "MD5 (file.fa.gz) = 00", "\\"] {
        assert_eq!(read(MD5SUMS, text), Err(ListError::Malformed), "{text}");
    }
    // Paths in other directories.
    for name in [
        "other/file.fa.gz",
        "../file.fa.gz",
        "x/pub/genomes/all/file.fa.gz",
        "all/file.fa.gz/",
        "file.fa.gz.md5",
    ] {
        let listed = read(MD5SUMS, format!("{MD5}  {name}\n"));
        assert_eq!(listed.is_ok(), name == "all/file.fa.gz/", "{name}");
    }
}

#[test]
fn escaped_and_odd_names_are_read() {
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
        assert_eq!(read_for(path, MD5SUMS, &line), Ok(format!("md5={MD5}")), "{path:?}");
    }
}

#[test]
fn output_of_bsd_sum_is_read_from_lists_of_any_algorithm() {
    let ensembl = "40865 12345 other.fa.gz\n01234 859862 file.fa.gz\n";
    assert_eq!(read(CHECKSUMS, ensembl), Ok("sum=01234 859862".to_owned()));
    assert_eq!(read(CHECKSUMS, "00000     0 file.fa.gz\r\n"), Ok("sum=00000 0".to_owned()));
    // A list of MD5 sums has no BSD sums.
    assert_eq!(read(MD5SUMS, ensembl), Err(ListError::Malformed));
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
        assert_eq!(read(CHECKSUMS, line), Err(ListError::Malformed), "{line}");
    }
}

#[test]
fn endless_line_takes_no_memory() {
    let mut reader = ListReader::new(MD5SUMS, PATH);
    for _ in 0..1000 {
        reader.push(&[b'a'; 4096]);
        assert!(reader.line.capacity() <= 2 * MAX_LINE);
    }
    reader.push(format!("\n{MD5}  file.fa.gz").as_bytes());
    assert_eq!(reader.finish().unwrap().checksum.to_string(), format!("md5={MD5}"));
}

proptest! {
    #[test]
    fn line_that_a_tool_prints_is_read(name in "[^/\\\\\r\n ][^/\\\\\r\n]{0,20}", value: [u8; 32], before in "[^/]{0,60}") {
        prop_assume!(name != "." && !name.ends_with(' '));
        let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        for line in [format!("{hex}  {name}"), format!("{hex} *{name}"), format!("SHA256 ({name}) = {hex}")] {
            let text = format!("{before}\n{line}\n");
            prop_assert_eq!(
                read_for(name.as_bytes(), CHECKSUMS, text.as_bytes()), Ok(format!("sha256={hex}")), "{}", text
            );
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(text in "[ 0-9a-f()=*\\\\\nMD5/.]{0,200}", bytes: Vec<u8>) {
        for form in [SIDECAR, MD5SUMS, CHECKSUMS] {
            let _ = read(form, [text.as_bytes(), &bytes].concat());
        }
    }
}
