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
fn what_is_stored_is_loaded() {
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

#[test]
fn a_changed_journal_is_never_trusted() {
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
fn why_a_journal_is_of_no_use() {
    let sealed = |json: &str| {
        format!("pftp journal 1 {:08x}\n{json}\n", crc32fast::hash(json.as_bytes())).into_bytes()
    };
    let whole = r#"{"size":10,"modify":null,"sources":[],"done":[[0,10]]}"#;
    assert_eq!(Record::decode(&sealed(whole)).unwrap().done, [(0, 10)]);
    for (text, says) in [
        (Vec::new(), "is not a journal of pftp"),
        (b"\xff\xfe".to_vec(), "is not a journal of pftp"),
        (b"my diary\n".to_vec(), "is not a journal of pftp"),
        (b"pftp journal 2 00000000\n{}\n".to_vec(), "is of another version of pftp"),
        (b"pftp journal x 00000000\n{}\n".to_vec(), "is damaged"),
        (b"pftp journal 1 00000000\n{}\n".to_vec(), "is damaged"),
        (sealed("{}"), "is damaged"),
        (sealed(&whole.replace("[0,10]", "[0,11]")), "is damaged"),
        (sealed(&whole.replace("[0,10]", "[9,9]")), "is damaged"),
        (sealed(&whole.replace("[0,10]", "[-1,9]")), "is damaged"),
    ] {
        assert_eq!(Record::decode(&text).unwrap_err().to_string(), says, "{text:?}");
    }
}

#[test]
fn nothing_is_written_through_a_link() {
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
fn a_journal_that_cannot_be_written_says_what_it_said() {
    let (dir, journal) = journal();
    journal.store(&record()).unwrap();
    fs::create_dir(dir.path().join("f.pftp-journal-new")).unwrap();
    assert!(journal.store(&Record::default()).is_err());
    assert_eq!(journal.load().unwrap().unwrap(), record());
}

#[test]
fn the_keeper_notes_in_order() {
    let (dir, journal) = journal();
    let file = File::create(dir.path().join("f")).unwrap();
    let keeper = Keeper::start(file, journal.clone()).unwrap();
    keeper.note(Record { size: Some(1), ..Record::default() });
    keeper.note_now(record());
    assert_eq!(journal.load().unwrap().unwrap(), record());
    keeper.note(Record { size: Some(2), ..Record::default() });
    keeper.end();
    assert_eq!(journal.load().unwrap().unwrap().size, Some(2));
}

/// Before a record there is `fdatasync`: where that fails, as it does for a device without a disk, there is no record.
#[test]
fn what_is_not_on_disk_is_not_noted() {
    let (dir, journal) = journal();
    let device = File::options().write(true).open("/dev/null").unwrap();
    assert!(device.sync_data().is_err(), "this system syncs what has no disk");
    let keeper = Keeper::start(device, journal.clone()).unwrap();
    keeper.note(record());
    keeper.rest();
    assert!(matches!(keeper.trouble(), Some(Trouble::File(_))));
    assert_eq!(names(&dir), Vec::<String>::new());
    // Nor is anything after that, as what was lost may be in it.
    keeper.close(record(), true);
    assert_eq!(names(&dir), Vec::<String>::new());
}

#[test]
fn what_cannot_be_taken_back_is_not_left_there() {
    let (dir, journal) = journal();
    journal.store(&record()).unwrap();
    fs::create_dir(dir.path().join("f.pftp-journal-new")).unwrap();
    let keeper = Keeper::start(File::create(dir.path().join("f")).unwrap(), journal.clone()).unwrap();
    keeper.note_now(Record::default());
    assert!(matches!(keeper.trouble(), Some(Trouble::Journal(_))));
    assert!(journal.load().unwrap().is_none());
    keeper.end();
}

/// Bytes of the disk that a file has.
fn taken(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).unwrap().blocks() * 512
}

#[test]
fn what_is_reserved_goes_by_what_has_come() {
    // What a file system takes beside the bytes of a file.
    const SLACK: u64 = 64 * 1024;
    let (dir, journal) = journal();
    let path = dir.path().join("f");
    let content = vec![1; 300_000];
    let came = content.len() as u64;
    fs::write(&path, &content).unwrap();
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let keeper = Keeper::start(file, journal.clone()).unwrap();
    let told = |size| Record { size: Some(size), done: vec![(0, came)], ..Record::default() };
    keeper.note(told(2 << 30));
    keeper.rest();
    assert!((2 * came..2 * came + SLACK).contains(&taken(&path)), "{}", taken(&path));
    // No disk has room for this. Another server may say something else.
    keeper.note(told(1 << 43));
    keeper.rest();
    assert!(keeper.trouble().is_none());
    assert_eq!(journal.load().unwrap().unwrap(), told(1 << 43));
    keeper.close(told(1 << 43), false);
    assert!(taken(&path) < came + SLACK, "{}", taken(&path));
    assert_eq!(fs::read(&path).unwrap(), content);
}

#[test]
fn what_could_not_be_noted_is_noted_at_the_end() {
    let (dir, journal) = journal();
    let in_the_way = dir.path().join("f.pftp-journal-new");
    fs::create_dir(&in_the_way).unwrap();
    let keeper = Keeper::start(File::create(dir.path().join("f")).unwrap(), journal.clone()).unwrap();
    keeper.note(record());
    keeper.rest();
    assert!(journal.load().unwrap().is_none());
    fs::remove_dir(&in_the_way).unwrap();
    keeper.close(record(), false);
    assert_eq!(journal.load().unwrap().unwrap(), record());
}

#[test]
fn bytes_are_given_up_for_want_of_room_alone() {
    let (dir, journal) = journal();
    let named = Record { done: vec![(0, 100_000)], ..Record::default() };
    journal.store(&named).unwrap();
    fs::create_dir(dir.path().join("f.pftp-journal-new")).unwrap();
    let content = vec![1; 300_000];
    fs::write(dir.path().join("f"), &content).unwrap();
    let file = File::options().write(true).open(dir.path().join("f")).unwrap();
    let keeper = Keeper::start(file, journal.clone()).unwrap();
    keeper.close(Record { done: vec![(0, 300_000)], ..Record::default() }, true);
    assert_eq!(journal.load().unwrap().unwrap(), named);
    assert_eq!(fs::read(dir.path().join("f")).unwrap(), content);
}
