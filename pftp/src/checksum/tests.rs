use super::*;

/// The checksums of `abc`; the last one is the output of `sum -r`.
const OF_ABC: [&str; 6] = [
    "md5=900150983cd24fb0d6963f7d28e17f72",
    "sha1=a9993e364706816aba3e25717850c26c9cd0d89d",
    "sha256=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "sha512=ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
     2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    "crc32=352441c2",
    "sum=16556",
];

#[test]
fn known_bytes_have_known_checksums() {
    for known in OF_ABC {
        let checksum: Checksum = known.parse().unwrap();
        assert_eq!(Checksum::of(checksum.algorithm(), &b"abc"[..]).unwrap(), checksum);
        assert_ne!(Checksum::of(checksum.algorithm(), &b"abd"[..]).unwrap(), checksum);
        assert_eq!(checksum.to_string(), known);
        assert_eq!(known.to_uppercase().parse(), Ok(checksum));
    }
}

#[test]
fn expected_checksum_is_auto_or_given() {
    assert_eq!("AUTO".parse(), Ok(Expected::Auto));
    let given: Expected = OF_ABC[0].parse().unwrap();
    assert_eq!(given.given().map(ToString::to_string).as_deref(), Some(OF_ABC[0]));
    assert_eq!((given.algorithms(), Expected::Auto.algorithms().len()), (vec![Algorithm::Md5], OF_ABC.len()));
    assert_eq!("auto=1".parse::<Expected>(), Err(ChecksumError::Algorithm));
}

#[test]
fn algorithms_are_ordered_by_strength() {
    let [md5, sha1, sha256, sha512, crc32, sum] =
        OF_ABC.map(|known| known.parse::<Checksum>().unwrap().algorithm());
    assert!([sum, crc32, md5, sha1, sha256, sha512].is_sorted());
}

#[test]
fn malformed_checksum_is_refused_with_the_reason() {
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
    let message = "md5=0".parse::<Checksum>().unwrap_err().to_string();
    assert_eq!(message, "md5 has 32 hexadecimal digits");
}
