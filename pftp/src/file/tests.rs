use super::*;
use crate::journal::Record;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn names(dir: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(dir.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn local(result: Result<FileSink, Failure>) -> String {
    let failure = result.unwrap_err();
    assert_eq!(failure.kind(), Kind::Local);
    let shown = failure.to_string();
    assert_eq!(shown.lines().count(), 1);
    shown
}

fn finish(sink: &FileSink, size: u64) -> Result<(), Failure> {
    sink.settle(size, None)?;
    sink.publish()
}

#[test]
fn the_final_name_appears_when_the_file_is_whole() {
    let dir = dir();
    let target = dir.path().join("a");
    fs::write(&target, "an older file").unwrap();
    let sink = FileSink::create(&target).unwrap();
    let shared: Arc<dyn Sink<Error = io::Error>> = Arc::new(FileSink::create(&dir.path().join("b")).unwrap());
    shared.write_at(0, b"x").unwrap();
    sink.write_at(5, b" world and more").unwrap();
    sink.write_at(0, b"hello").unwrap();
    assert_eq!(names(&dir), ["a", "a.pftp-part", "b.pftp-part"]);
    assert_eq!(fs::read(&target).unwrap(), b"an older file");
    finish(&sink, 11).unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"hello world");
    drop((sink, shared));
    assert_eq!(names(&dir), ["a", "b.pftp-part"]);
}

#[test]
fn an_empty_file_is_a_file() {
    let dir = dir();
    let sink = FileSink::create(&dir.path().join("a")).unwrap();
    finish(&sink, 0).unwrap();
    drop(sink);
    assert_eq!(names(&dir), ["a"]);
}

#[test]
fn missing_bytes_are_never_filled_in() {
    let dir = dir();
    let sink = FileSink::create(&dir.path().join("a")).unwrap();
    sink.write_at(0, b"abc").unwrap();
    assert_eq!(finish(&sink, 4).unwrap_err().kind(), Kind::Integrity);
    drop(sink);
    assert_eq!(names(&dir), ["a.pftp-part"]);
}

#[test]
fn what_was_never_written_goes() {
    let dir = dir();
    let sink = FileSink::create(&dir.path().join("a")).unwrap();
    sink.discard();
    assert!(names(&dir).is_empty());
    // Another program may have begun meanwhile.
    fs::write(sink.part(), "theirs").unwrap();
    drop(sink);
    assert_eq!(names(&dir), ["a.pftp-part"]);
}

#[test]
fn a_part_left_over_is_begun_anew() {
    let dir = dir();
    fs::write(dir.path().join("a.pftp-part"), "a long left-over").unwrap();
    let sink = FileSink::create(&dir.path().join("a")).unwrap();
    sink.write_at(0, b"new").unwrap();
    finish(&sink, 3).unwrap();
    assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"new");
}

#[test]
fn one_target_has_one_writer() {
    let dir = dir();
    let target = dir.path().join("a");
    let first = FileSink::create(&target).unwrap();
    first.write_at(0, b"mine").unwrap();
    assert!(local(FileSink::create(&target)).contains("in use"));
    finish(&first, 4).unwrap();
    FileSink::create(&target).unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"mine");
}

#[test]
fn links_are_not_followed() {
    let dir = dir();
    let victim = dir.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, dir.path().join("a.pftp-part")).unwrap();
    symlink(&victim, dir.path().join("link")).unwrap();
    assert!(local(FileSink::create(&dir.path().join("a"))).contains("a.pftp-part"));
    assert!(local(FileSink::create(&dir.path().join("link"))).contains("symbolic link"));
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}

#[test]
fn what_is_put_in_the_place_of_the_part_is_not_published() {
    let dir = dir();
    let (target, other) = (dir.path().join("a"), dir.path().join("other"));
    fs::write(&target, "an older file").unwrap();
    for linked in [true, false] {
        fs::write(&other, "theirs").unwrap();
        let sink = FileSink::create(&target).unwrap();
        sink.write_at(0, b"mine").unwrap();
        sink.journal().store(&Record::default()).unwrap();
        fs::remove_file(sink.part()).unwrap();
        if linked { symlink(&other, sink.part()) } else { fs::rename(&other, sink.part()) }.unwrap();
        let failure = finish(&sink, 4).unwrap_err();
        assert_eq!(failure.kind(), Kind::Local);
        assert!(failure.to_string().ends_with("a.pftp-part: is not the file that was written any more"));
        assert_eq!(fs::read(&target).unwrap(), b"an older file");
        sink.discard();
        assert_eq!(fs::read(sink.part()).unwrap(), b"theirs");
        assert_eq!(sink.journal().load().unwrap(), None, "it does not speak of that file");
        fs::remove_file(sink.part()).unwrap();
    }
}

#[test]
fn targets_that_cannot_be() {
    let dir = dir();
    let base = dir.path();
    fs::create_dir(base.join("sub")).unwrap();
    fs::write(base.join("file"), "").unwrap();
    symlink(base.join("sub"), base.join("link")).unwrap();
    let fifo = base.join("fifo.pftp-part");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
    let before = names(&dir);
    for (target, says) in [
        ("sub", "is a directory"),
        ("link", "is a directory"),
        ("new/", "is not a file name"),
        ("sub/..", "is not a file name"),
        ("none/a", "cannot use the directory"),
        ("file/a", "Not a directory"),
        ("fifo", "is not a regular file"),
        ("/dev/null", "is not a regular file"),
        ("/proc/a", "cannot create /proc/a.pftp-part: "),
    ] {
        let shown = local(FileSink::create(&base.join(target)));
        assert!(shown.contains(says), "{target}: {shown}");
    }
    assert_eq!(names(&dir), before);
}

#[test]
fn a_directory_that_became_one_meanwhile() {
    let dir = dir();
    let target = dir.path().join("a");
    let sink = FileSink::create(&target).unwrap();
    fs::create_dir(&target).unwrap();
    assert_eq!(finish(&sink, 0).unwrap_err().kind(), Kind::Local);
}

#[test]
fn long_names_fit() {
    let dir = dir();
    for length in [240, 245, 246, 255] {
        let target = dir.path().join("n".repeat(length));
        let sink = FileSink::create(&target).unwrap();
        sink.write_at(0, b"x").unwrap();
        finish(&sink, 1).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"x", "{length}");
    }
    assert!(local(FileSink::create(&dir.path().join("n".repeat(256)))).contains("too long"));
}

#[test]
fn temporary_names() {
    let name = |name: &str| name_with(OsStr::new(name), SUFFIX, 255).into_string().unwrap();
    assert_eq!(name("a"), "a.pftp-part");
    assert_eq!(name(&"n".repeat(245)).len(), 255);
    let (long, other) = (name(&"ü".repeat(127)), name(&format!("{}x", "ü".repeat(126))));
    assert!(long.len() <= 255 && long.ends_with(".pftp-part") && long != other, "{long}");
    let bytes = name_with(&OsString::from_vec(vec![0x80; 255]), SUFFIX, 255);
    assert_eq!(bytes.len(), 255);
    assert_eq!(part_path(Path::new("a")).unwrap(), Path::new("a.pftp-part"));
}

#[test]
fn names_of_temporary_files_are_told_from_others() {
    let dir = dir();
    let target = dir.path().join("n".repeat(255));
    let journal = journal_path(&target).unwrap();
    Journal::new(journal.clone()).store(&Record::default()).unwrap();
    let aside = Journal::new(journal.clone()).set_aside().unwrap();
    for path in [part_path(&target).unwrap(), journal, aside] {
        assert!(is_temporary(path.file_name().unwrap()), "{}", path.display());
    }
    for name in
        [".pftp-part", "f.pftp-journal-new", "f.pftp-journal-unusable", "f.PFTP-Part", "f.pftp-part.."]
    {
        assert!(is_temporary(OsStr::new(name)), "{name}");
    }
    for name in ["f", "pftp-part", "f.pftp-parts", "f.pftp-journal-old", "f.pftp-part.gz", "f-new", "...", ""]
    {
        assert!(!is_temporary(OsStr::new(name)), "{name}");
    }
}

#[derive(Debug, Default)]
struct Memory(Mutex<Vec<u8>>);

impl Memory {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl Sink for Memory {
    type Error = io::Error;

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut memory = self.0.lock().unwrap();
        let offset = usize::try_from(offset).unwrap();
        let end = memory.len().max(offset + bytes.len());
        memory.resize(end, b'?');
        memory[offset..offset + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

fn converted(pieces: &[&[u8]]) -> Vec<u8> {
    let sink = AsciiSink::new(Memory::default());
    let mut offset = 0;
    for piece in pieces {
        sink.write_at(offset, piece).unwrap();
        offset += piece.len() as u64;
    }
    let size = sink.finish().unwrap();
    let bytes = sink.inner().bytes();
    assert_eq!(bytes.len() as u64, size);
    bytes
}

#[test]
fn line_ends_are_converted_wherever_the_bytes_are_split() {
    for (wire, file) in [
        (&b"one\r\ntwo\r\n"[..], &b"one\ntwo\n"[..]),
        (b"\r\n\r\n", b"\n\n"),
        (b"a\rb\nc\r\r\nd\n\re\r", b"a\rb\nc\r\nd\n\re\r"),
        (b"\r\r\r", b"\r\r\r"),
        (b"\n", b"\n"),
        (b"", b""),
    ] {
        assert_eq!(converted(&[wire]), file);
        for at in 0..=wire.len() {
            let (start, end) = wire.split_at(at);
            assert_eq!(converted(&[start, end]), file, "{wire:?} at {at}");
        }
        assert_eq!(converted(&wire.chunks(1).collect::<Vec<_>>()), file);
    }
}

#[test]
fn a_restart_starts_the_conversion_over() {
    let sink = AsciiSink::new(Memory::default());
    sink.write_at(0, b"one\r\ntw\r").unwrap();
    assert_eq!(sink.write_at(3, b"x").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    sink.write_at(0, b"one\r\ntwo\r").unwrap();
    sink.write_at(9, b"\n").unwrap();
    assert_eq!(sink.finish().unwrap(), 8);
    assert_eq!(sink.inner().bytes(), b"one\ntwo\n");
}

#[test]
fn a_restarted_file_loses_its_old_end() {
    let dir = dir();
    let sink = AsciiSink::new(FileSink::create(&dir.path().join("a")).unwrap());
    sink.write_at(0, b"a long first attempt\r\n").unwrap();
    sink.write_at(0, b"short\r\n").unwrap();
    let size = sink.finish().unwrap();
    finish(sink.inner(), size).unwrap();
    assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"short\n");
}

/// Takes a byte a time, and is interrupted before each.
#[derive(Debug, Default)]
struct Slow {
    bytes: Vec<u8>,
    interrupted: bool,
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        self.bytes.push(bytes[0]);
        Ok(1)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stream_takes_bytes_in_order() {
    let sink = StreamSink::new(Slow::default());
    sink.write_at(0, b"ab").unwrap();
    sink.write_at(2, b"").unwrap();
    sink.write_at(2, b"cd").unwrap();
    for offset in [0, 3, 5] {
        assert_eq!(sink.write_at(offset, b"x").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
    sink.finish().unwrap();
    assert_eq!(sink.position(), 4);
}

#[test]
fn a_reader_that_went_away_is_a_quiet_end() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let sink: Arc<dyn Sink<Error = io::Error>> = Arc::new(AsciiSink::new(StreamSink::new(writer)));
    let error = sink.write_at(0, b"x").unwrap_err();
    assert!(Failure::write("standard output", &error).is_quiet());
}

#[test]
fn a_full_disk_is_an_error_of_the_write() {
    let sink = StreamSink::new(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    assert_eq!(sink.write_at(0, b"x").unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(sink.position(), 0);
}
