use super::*;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

fn record() -> Record {
    let facts = Facts { size: Some(1000), modify: TimeVal::parse(b"20240229123456.5"), ..Facts::default() };
    let mut done = RangeSet::new();
    done.insert(0..100);
    done.insert(500..1000);
    Record::new(&facts, &done, vec!["host:2121 dir/f\u{1b}".to_owned()])
}

fn journal() -> (TempDir, Journal) {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::new(dir.path().join("f.pftp-journal"));
    (dir, journal)
}

fn names(dir: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(dir.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn stored_record_is_loaded() {
    let (dir, journal) = journal();
    assert!(journal.load().unwrap().is_none());
    journal.store(&Record::default()).unwrap();
    journal.store(&record()).unwrap();
    let loaded = journal.load().unwrap().unwrap();
    assert_eq!(loaded, record());
    assert_eq!(loaded.facts().modify, TimeVal::parse(b"20240229123456.5"));
    assert_eq!(loaded.ranges().iter().collect::<Vec<_>>(), [0..100, 500..1000]);
    assert_eq!(names(&dir), ["f.pftp-journal"]);
    journal.remove();
    assert!(names(&dir).is_empty());
}

/// Every version that writes version 1 of the format writes these bytes, so that one resumes what another has begun.
#[test]
fn format_of_a_journal_stays_the_same() {
    let missed_checksum = Some("crc32=00000000".to_owned());
    let text = String::from_utf8(Record { missed_checksum, ..record() }.encode().unwrap()).unwrap();
    let json = r#"{"size":1000,"modify":"20240229123456.5","sources":["host:2121 dir/f\u001b"],"not":"crc32=00000000","done":[[0,100],[500,1000]]}"#;
    assert_eq!(text, format!("pftp journal 1 {:08x}\n{json}\n", crc32fast::hash(json.as_bytes())));
}

#[test]
fn changed_journal_is_refused() {
    let whole = record().encode().unwrap();
    for at in 0..whole.len() {
        assert!(Record::decode(&whole[..at]).is_err(), "the first {at} bytes");
        for bit in 0..8 {
            let mut changed = whole.clone();
            changed[at] ^= 1 << bit;
            assert!(Record::decode(&changed).is_err(), "bit {bit} of byte {at}");
        }
    }
    assert!(Record::decode(&[&whole[..], b"\n"].concat()).is_err());
}

#[test]
fn unusable_journal_is_refused_with_the_reason() {
    let sealed = |json: &str| {
        format!("pftp journal 1 {:08x}\n{json}\n", crc32fast::hash(json.as_bytes())).into_bytes()
    };
    let whole = r#"{"size":10,"modify":null,"sources":[],"done":[[0,10]]}"#;
    assert_eq!(Record::decode(&sealed(whole)).unwrap().done, [(0, 10)]);
    for (text, reason) in [
        (Vec::new(), "Foreign"),
        (b"\xff\xfe".to_vec(), "Foreign"),
        (b"my diary\n".to_vec(), "Foreign"),
        (b"pftp journal 2 00000000\n{}\n".to_vec(), "Version"),
        (b"pftp journal x 00000000\n{}\n".to_vec(), "Damaged"),
        (b"pftp journal 1 00000000\n{}\n".to_vec(), "Damaged"),
        (sealed("{}"), "Damaged"),
        (sealed(&whole.replace("[0,10]", "[0,11]")), "Damaged"),
        (sealed(&whole.replace("[0,10]", "[9,9]")), "Damaged"),
        (sealed(&whole.replace("[0,10]", "[-1,9]")), "Damaged"),
    ] {
        assert_eq!(format!("{:?}", Record::decode(&text).unwrap_err()), reason, "{text:?}");
    }
}

#[test]
fn link_at_the_name_of_a_journal_is_not_followed() {
    let (dir, journal) = journal();
    let victim = dir.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, dir.path().join("f.pftp-journal-new")).unwrap();
    symlink(&victim, journal.path()).unwrap();
    assert!(journal.load().is_err());
    journal.store(&record()).unwrap();
    assert_eq!(journal.load().unwrap().unwrap(), record());
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}

#[test]
fn journal_that_cannot_be_written_keeps_its_record() {
    let (dir, journal) = journal();
    journal.store(&record()).unwrap();
    fs::create_dir(dir.path().join("f.pftp-journal-new")).unwrap();
    assert!(journal.store(&Record::default()).is_err());
    assert_eq!(journal.load().unwrap().unwrap(), record());
}

#[test]
fn records_are_stored_in_order() {
    let (dir, journal) = journal();
    let file = File::create(dir.path().join("f")).unwrap();
    let writer = JournalWriter::start(file, journal.clone()).unwrap();
    writer.store(Record { size: Some(1), ..Record::default() });
    writer.retract(record());
    assert_eq!(journal.load().unwrap().unwrap(), record());
    writer.store(Record { size: Some(2), ..Record::default() });
    writer.finish();
    assert_eq!(journal.load().unwrap().unwrap().size, Some(2));
}

/// `fdatasync` fails for a device without a disk.
#[test]
fn record_is_stored_only_if_the_file_is_on_disk() {
    let (dir, journal) = journal();
    let device = File::options().write(true).open("/dev/null").unwrap();
    assert!(device.sync_data().is_err(), "this system can sync /dev/null");
    let writer = JournalWriter::start(device, journal.clone()).unwrap();
    writer.store(record());
    writer.flush();
    assert!(matches!(writer.take_error(), Some(WriteError::File(_))));
    assert_eq!(names(&dir), Vec::<String>::new());
    // A later sync would succeed, although bytes were lost.
    writer.close(LastRecord::New(record()));
    assert_eq!(names(&dir), Vec::<String>::new());
}

#[test]
fn record_that_cannot_be_retracted_is_removed() {
    let (dir, journal) = journal();
    journal.store(&record()).unwrap();
    fs::create_dir(dir.path().join("f.pftp-journal-new")).unwrap();
    let writer = JournalWriter::start(File::create(dir.path().join("f")).unwrap(), journal.clone()).unwrap();
    writer.retract(Record::default());
    assert!(matches!(writer.take_error(), Some(WriteError::Journal(_))));
    assert!(journal.load().unwrap().is_none());
    writer.finish();
}

/// Returns how many bytes of the disk a file takes.
fn taken(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).unwrap().blocks() * 512
}

#[test]
fn reserved_room_depends_on_the_bytes_that_came() {
    // Bytes that a file system takes for a file beside its content.
    const SLACK: u64 = 64 * 1024;
    let (dir, journal) = journal();
    let path = dir.path().join("f");
    let content = vec![1; 300_000];
    let came = content.len() as u64;
    fs::write(&path, &content).unwrap();
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let writer = JournalWriter::start(file, journal.clone()).unwrap();
    let told = |size| Record { size: Some(size), done: vec![(0, came)], ..Record::default() };
    writer.store(told(2 << 30));
    writer.flush();
    assert!((2 * came..2 * came + SLACK).contains(&taken(&path)), "{}", taken(&path));
    // No disk has room for this size, which may be wrong.
    writer.store(told(1 << 43));
    writer.flush();
    assert!(writer.take_error().is_none());
    assert_eq!(journal.load().unwrap().unwrap(), told(1 << 43));
    writer.close(LastRecord::Repeated(told(1 << 43)));
    assert!(taken(&path) < came + SLACK, "{}", taken(&path));
    assert_eq!(fs::read(&path).unwrap(), content);
}

#[test]
fn record_that_could_not_be_stored_is_stored_at_the_end() {
    let (dir, journal) = journal();
    let obstacle = dir.path().join("f.pftp-journal-new");
    fs::create_dir(&obstacle).unwrap();
    let writer = JournalWriter::start(File::create(dir.path().join("f")).unwrap(), journal.clone()).unwrap();
    writer.store(record());
    writer.flush();
    assert!(journal.load().unwrap().is_none());
    fs::remove_dir(&obstacle).unwrap();
    writer.close(LastRecord::Repeated(record()));
    assert_eq!(journal.load().unwrap().unwrap(), record());
}

#[test]
fn bytes_are_given_up_only_on_a_full_disk() {
    let (dir, journal) = journal();
    let named = Record { done: vec![(0, 100_000)], ..Record::default() };
    journal.store(&named).unwrap();
    fs::create_dir(dir.path().join("f.pftp-journal-new")).unwrap();
    let content = vec![1; 300_000];
    fs::write(dir.path().join("f"), &content).unwrap();
    let file = File::options().write(true).open(dir.path().join("f")).unwrap();
    let writer = JournalWriter::start(file, journal.clone()).unwrap();
    writer.close(LastRecord::New(Record { done: vec![(0, 300_000)], ..Record::default() }));
    assert_eq!(journal.load().unwrap().unwrap(), named);
    assert_eq!(fs::read(dir.path().join("f")).unwrap(), content);
}
