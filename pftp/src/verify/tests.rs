use super::*;
use std::fs::File;
use std::io::Write;

/// Of `abc`.
const KNOWN: [&str; 6] = [
    "md5=900150983cd24fb0d6963f7d28e17f72",
    "sha1=a9993e364706816aba3e25717850c26c9cd0d89d",
    "sha256=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "sha512=ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
     2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    "crc32=352441c2",
    // What `sum -r` prints.
    "sum=16556",
];

#[test]
fn known_checksums() {
    for known in KNOWN {
        let asked: Checksum = known.parse().unwrap();
        assert_eq!(Checksum::of(asked.algorithm(), &b"abc"[..]).unwrap(), asked);
        assert_ne!(Checksum::of(asked.algorithm(), &b"abd"[..]).unwrap(), asked);
        assert_eq!(asked.to_string(), known);
        assert_eq!(known.to_uppercase().parse(), Ok(asked));
    }
}

#[test]
fn what_can_be_asked_for() {
    assert_eq!("AUTO".parse(), Ok(Asked::Auto));
    let given: Asked = KNOWN[0].parse().unwrap();
    assert_eq!(given.given().map(ToString::to_string).as_deref(), Some(KNOWN[0]));
    assert_eq!((given.algorithms(), Asked::Auto.algorithms().len()), (vec![Algorithm::Md5], KNOWN.len()));
    assert_eq!("auto=1".parse::<Asked>(), Err(ChecksumError::Algorithm));
    let strength = KNOWN.map(|known| known.parse::<Checksum>().unwrap().algorithm());
    assert!(strength[..4].is_sorted() && strength[5] < strength[4] && strength[4] < strength[0]);
}

#[test]
fn what_is_no_checksum() {
    for text in ["", "abc", "=", "sha3=00", "md5 900150983cd24fb0d6963f7d28e17f72"] {
        assert_eq!(text.parse::<Checksum>(), Err(ChecksumError::Algorithm), "{text}");
    }
    for text in
        ["crc32=", "crc32=352441c", "crc32=352441c2c", "crc32=352441cg", "crc32=352441c200", "crc32=+52441c2"]
    {
        assert_eq!(text.parse::<Checksum>(), Err(ChecksumError::Value(Algorithm::Crc32)), "{text}");
    }
    for text in ["sum=", "sum=65536", "sum=-1", "sum=+1", "sum=0x1"] {
        assert_eq!(text.parse::<Checksum>(), Err(ChecksumError::Sum), "{text}");
    }
    let said = "md5=0".parse::<Checksum>().unwrap_err().to_string();
    assert_eq!(said, "md5 has 32 hexadecimal digits");
}

#[test]
fn a_file_in_the_making() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let mut file = File::create(&path).unwrap();
    let content: Vec<u8> = (0..PORTION * 3 + 17).map(|at| at.to_le_bytes()[at % 3]).collect();
    let size = content.len() as u64;
    file.write_all(&vec![b'x'; content.len()]).unwrap();
    let ahead = Ahead::start(File::open(&path).unwrap(), Algorithm::Sha256).unwrap();
    ahead.advance(1000);
    ahead.advance(PORTION as u64 + 1);
    std::os::unix::fs::FileExt::write_all_at(&file, &content, 0).unwrap();
    ahead.start_over(100);
    ahead.advance(size - 1);
    let wanted = Checksum::of(Algorithm::Sha256, &content[..]).unwrap();
    assert_eq!(ahead.finish(size).unwrap(), wanted);
}

#[test]
fn the_checksum_of_nothing_and_of_what_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    File::create(&path).unwrap();
    let ahead = || Ahead::start(File::open(&path).unwrap(), Algorithm::Crc32).unwrap();
    assert_eq!(ahead().finish(0).unwrap().to_string(), "crc32=00000000");
    assert!(ahead().finish(1).is_err());
}
