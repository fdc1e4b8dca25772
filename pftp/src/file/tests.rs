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

fn finish(sink: &FileSink, size: u64) -> Result<(), LocalError> {
    sink.settle(size, None)?;
    sink.publish()
}

#[test]
fn final_name_appears_when_the_file_is_whole() {
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
fn empty_file_gets_its_final_name() {
    let dir = dir();
    let sink = FileSink::create(&dir.path().join("a")).unwrap();
    finish(&sink, 0).unwrap();
    drop(sink);
    assert_eq!(names(&dir), ["a"]);
}

#[test]
fn file_with_missing_bytes_is_refused() {
    let dir = dir();
    let sink = FileSink::create(&dir.path().join("a")).unwrap();
    sink.write_at(0, b"abc").unwrap();
    let error = finish(&sink, 4).unwrap_err();
    assert!(matches!(error, LocalError::WrongSize { written: 3, size: 4, .. }), "{error:?}");
    drop(sink);
    assert_eq!(names(&dir), ["a.pftp-part"]);
}

#[test]
fn temporary_file_without_bytes_is_removed() {
    let dir = dir();
    let sink = FileSink::create(&dir.path().join("a")).unwrap();
    sink.discard();
    assert!(names(&dir).is_empty());
    // Another process may have created the file meanwhile.
    fs::write(sink.part(), "theirs").unwrap();
    drop(sink);
    assert_eq!(names(&dir), ["a.pftp-part"]);
}

#[test]
fn created_temporary_file_is_empty() {
    let dir = dir();
    fs::write(dir.path().join("a.pftp-part"), "a long left-over").unwrap();
    let sink = FileSink::create(&dir.path().join("a")).unwrap();
    sink.write_at(0, b"new").unwrap();
    finish(&sink, 3).unwrap();
    assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"new");
}

#[test]
fn second_writer_of_a_target_is_refused() {
    let dir = dir();
    let target = dir.path().join("a");
    let first = FileSink::create(&target).unwrap();
    first.write_at(0, b"mine").unwrap();
    assert!(matches!(FileSink::create(&target), Err(LocalError::InUse(_))));
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
    let create = |name| FileSink::create(&dir.path().join(name)).unwrap_err();
    assert!(matches!(create("a"), LocalError::Failed { action: Action::Create, .. }));
    assert!(matches!(create("link"), LocalError::TargetIsLink(_)));
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}

#[test]
fn other_file_at_the_temporary_name_is_not_published() {
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
        let error = finish(&sink, 4).unwrap_err();
        assert!(matches!(&error, LocalError::Replaced(path) if path == sink.part()), "{error:?}");
        assert_eq!(fs::read(&target).unwrap(), b"an older file");
        sink.discard();
        assert_eq!(fs::read(sink.part()).unwrap(), b"theirs");
        assert_eq!(sink.journal().load().unwrap(), None, "it is not about that file");
        fs::remove_file(sink.part()).unwrap();
    }
}

#[test]
fn impossible_target_is_refused_with_the_reason() {
    let dir = dir();
    let base = dir.path();
    fs::create_dir(base.join("sub")).unwrap();
    fs::write(base.join("file"), "").unwrap();
    symlink(base.join("sub"), base.join("link")).unwrap();
    let fifo = base.join("fifo.pftp-part");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
    let before = names(&dir);
    let path = |name: &str| base.join(name).display().to_string();
    for (target, reason) in [
        ("sub", format!("TargetIsDirectory({:?})", path("sub"))),
        ("link", format!("TargetIsDirectory({:?})", path("link"))),
        ("new/", format!("NotAFileName({:?})", path("new/"))),
        ("sub/..", format!("NotAFileName({:?})", path("sub/.."))),
        ("none/a", format!("Failed {{ action: UseDirectory, path: {:?}, ", path("none"))),
        ("file/a", format!("Failed {{ action: Inspect, path: {:?}, ", path("file/a"))),
        ("fifo", format!("TemporaryIsNotAFile({:?})", path("fifo.pftp-part"))),
        ("/dev/null", "TargetIsNotAFile(\"/dev/null\")".to_owned()),
        ("/proc/a", "Failed { action: Create, path: \"/proc/a.pftp-part\", ".to_owned()),
    ] {
        let error = format!("{:?}", FileSink::create(&base.join(target)).unwrap_err());
        assert!(error.starts_with(&reason), "{target}: {error}");
    }
    assert_eq!(names(&dir), before);
}

#[test]
fn target_that_became_a_directory_is_not_replaced() {
    let dir = dir();
    let target = dir.path().join("a");
    let sink = FileSink::create(&target).unwrap();
    fs::create_dir(&target).unwrap();
    assert!(matches!(finish(&sink, 0), Err(LocalError::TargetIsDirectory(_))));
}

#[test]
fn long_names_have_room_for_a_temporary_name() {
    let dir = dir();
    for length in [240, 245, 246, 255] {
        let target = dir.path().join("n".repeat(length));
        let sink = FileSink::create(&target).unwrap();
        sink.write_at(0, b"x").unwrap();
        finish(&sink, 1).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"x", "{length}");
    }
    let error = FileSink::create(&dir.path().join("n".repeat(256))).unwrap_err();
    let LocalError::Failed { error, .. } = error else { panic!("{error:?}") };
    assert_eq!(error.kind(), io::ErrorKind::InvalidFilename);
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

/// Returns the file that these pieces of the wire become.
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
fn line_ends_are_converted_however_the_bytes_are_split() {
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
fn write_at_offset_0_starts_the_conversion_over() {
    let sink = AsciiSink::new(Memory::default());
    sink.write_at(0, b"one\r\ntw\r").unwrap();
    assert_eq!(sink.write_at(3, b"x").unwrap_err().kind(), io::ErrorKind::InvalidInput);
    sink.write_at(0, b"one\r\ntwo\r").unwrap();
    sink.write_at(9, b"\n").unwrap();
    assert_eq!(sink.finish().unwrap(), 8);
    assert_eq!(sink.inner().bytes(), b"one\ntwo\n");
}

#[test]
fn file_that_started_over_loses_its_old_end() {
    let dir = dir();
    let sink = AsciiSink::new(FileSink::create(&dir.path().join("a")).unwrap());
    sink.write_at(0, b"a long first attempt\r\n").unwrap();
    sink.write_at(0, b"short\r\n").unwrap();
    let size = sink.finish().unwrap();
    finish(sink.inner(), size).unwrap();
    assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"short\n");
}

/// A writer that takes one byte a time, and is interrupted before each.
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
fn stream_refuses_writes_out_of_order() {
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
fn write_without_a_reader_is_a_broken_pipe() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let sink: Arc<dyn Sink<Error = io::Error>> = Arc::new(AsciiSink::new(StreamSink::new(writer)));
    let error = sink.write_at(0, b"x").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn write_to_a_full_disk_fails() {
    let sink = StreamSink::new(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    assert_eq!(sink.write_at(0, b"x").unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(sink.position(), 0);
}
