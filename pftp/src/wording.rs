//! Sentences for the user about facts of the library, and the exit codes of local errors.

mod local;
mod lookup;

pub(crate) use local::{discarded, place, record_error};
pub(crate) use lookup::{found, is_warning, remark};

use crate::exit::{Failure, Kind};
use crate::local::Place;
use crate::verification::{Reference, VerifyError};

/// Makes the failure of a file whose bytes are at `at` and that is not verified.
pub(crate) fn verify_failure(at: &Place, reference: &Reference, error: &VerifyError) -> Failure {
    let name = place(at);
    let (computed, size) = match error {
        VerifyError::Read(error) => return Failure::new(Kind::Local, format!("cannot read {name}: {error}")),
        VerifyError::Mismatch { computed, size } => (computed, size),
    };
    let message = match reference {
        Reference::Given(checksum) => format!("{name} has {computed} and not {checksum}"),
        Reference::Found(wanted) if wanted.blocks.is_some() => {
            format!("{name} has {computed} and {size} bytes, and not {}", found(wanted))
        }
        Reference::Found(wanted) => format!("{name} has {computed} and not {}", found(wanted)),
    };
    Failure::new(Kind::Integrity, message)
}

/// Says why a finished file is not the one whose checksum was found.
pub(crate) fn finished_mismatch(wanted: &crate::lookup::Found, error: &VerifyError) -> String {
    match error {
        VerifyError::Read(error) => format!("cannot be read: {error}"),
        VerifyError::Mismatch { computed, .. } => format!("has {computed} and not {}", found(wanted)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::Checksum;
    use std::io;

    #[test]
    fn failed_verification_names_both_checksums() {
        let at = Place::File("f".into());
        let checksum = |text: &str| text.parse::<Checksum>().unwrap();
        let given = Reference::Given(checksum("crc32=00000000"));
        let error = VerifyError::Mismatch { computed: checksum("crc32=00000001"), size: 7 };
        let failure = verify_failure(&at, &given, &error);
        assert_eq!(failure.kind(), Kind::Integrity);
        assert_eq!(failure.to_string(), "f has crc32=00000001 and not crc32=00000000");
        let failure = verify_failure(&at, &given, &VerifyError::Read(io::Error::other("why")));
        assert_eq!((failure.kind(), failure.to_string().as_str()), (Kind::Local, "cannot read f: why"));
    }
}
