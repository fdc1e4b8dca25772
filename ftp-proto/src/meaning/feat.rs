//! The reply to FEAT.

use crate::reply::Reply;
use alloc::vec::Vec;
use bytes::Bytes;

/// How many features of a server are kept.
const KEPT: usize = 256;

/// The features of a server beyond RFC 959 (RFC 2389 §3): the first 256 that it lists.
///
/// | feature | query |
/// |---|---|
/// | SIZE, MDTM, TVFS (RFC 3659) | `has("SIZE")`, ... |
/// | REST in stream mode (RFC 3659 §5) | `lists("REST", "STREAM")` |
/// | MLST and MLSD (RFC 3659 §7) | `has("MLST")`, [`mlst_facts`](Self::mlst_facts) |
/// | EPSV, EPRT (RFC 2428) | `has("EPSV")`, ...; many servers know them without listing them |
/// | UTF8 (RFC 2640) | `has("UTF8")` |
/// | RANG (draft-bryan-ftp-range): exact ranges | `lists("RANG", "STREAM")` |
/// | HASH (draft-bryan-ftpext-hash) | [`hash_algorithms`](Self::hash_algorithms) |
/// | XCRC, XMD5, XSHA1, XSHA256, XSHA512 (no RFC) | `has("XMD5")`, ... |
/// | AUTH TLS (RFC 4217 §4) | [`auth_tls`](Self::auth_tls) |
/// | PBSZ, PROT (RFC 2228) | `has("PBSZ")`, ... |
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Features {
    list: Vec<Feature>,
}

impl Features {
    /// Returns all features, in the server's order. A server may list a name more than once.
    pub fn iter(&self) -> impl Iterator<Item = &Feature> {
        self.list.iter()
    }

    /// Whether the server lists the feature `name`, which is the name of a command as a rule. Case is ignored.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.named(name).next().is_some()
    }

    /// Whether the server lists `value` among the parameters of `name`. Case is ignored.
    #[must_use]
    pub fn lists(&self, name: &str, value: &str) -> bool {
        self.values(name).any(|(listed, _)| listed.eq_ignore_ascii_case(value.as_bytes()))
    }

    /// Whether AUTH TLS can put the control connection under TLS (RFC 4217 §4). `TLS-C` is its older name.
    #[must_use]
    pub fn auth_tls(&self) -> bool {
        self.lists("AUTH", "TLS") || self.lists("AUTH", "TLS-C")
    }

    /// Returns the facts that MLST can tell, each with whether the server tells it unless OPTS MLST changes that (RFC
    /// 3659 §7.8). Compare them without regard to case.
    pub fn mlst_facts(&self) -> impl Iterator<Item = (&[u8], bool)> {
        self.values("MLST")
    }

    /// Returns the algorithms of HASH, each with whether the server uses it unless OPTS HASH chooses another
    /// (draft-bryan-ftpext-hash): `SHA-256`, `SHA-512`, `SHA-1`, `MD5`, `CRC32`. Compare them without regard to case.
    pub fn hash_algorithms(&self) -> impl Iterator<Item = (&[u8], bool)> {
        self.values("HASH")
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Feature> {
        self.list.iter().filter(move |feature| feature.name.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// Returns the parameters of `name`, each with whether an asterisk follows it.
    fn values(&self, name: &str) -> impl Iterator<Item = (&[u8], bool)> {
        let values =
            self.named(name).flat_map(|feature| feature.parameters.split(|byte| b"; ,\t".contains(byte)));
        values.filter(|value| !value.is_empty()).map(|value| match value.strip_suffix(b"*") {
            Some(value) => (value, true),
            None => (value, false),
        })
    }
}

/// A line of a server's list (RFC 2389 §3.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Feature {
    /// The name, as the server writes it. Compare it without regard to case. Never empty.
    pub name: Bytes,
    /// The rest of the line; its form depends on the feature.
    pub parameters: Bytes,
}

impl Feature {
    fn new(line: &[u8]) -> Option<Self> {
        let line = line.trim_ascii();
        let mut words = line.splitn(2, |byte| matches!(byte, b' ' | b'\t'));
        let name = words.next().filter(|name| !name.is_empty())?;
        let parameters = words.next().unwrap_or_default().trim_ascii();
        Some(Self { name: Bytes::copy_from_slice(name), parameters: Bytes::copy_from_slice(parameters) })
    }
}

/// Returns the features that a 211 lists, the reply to FEAT (RFC 2389 §3.2): the lines between the first and the last
/// one.
#[must_use]
pub fn feat(reply: &Reply) -> Option<Features> {
    let mut lines = super::lines(reply, 211)?.skip(1).peekable();
    let between = core::iter::from_fn(|| lines.next().filter(|_| lines.peek().is_some()));
    Some(Features { list: between.filter_map(Feature::new).take(KEPT).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meaning::reply;
    use alloc::format;
    use alloc::string::String;
    use proptest::prelude::*;

    const VSFTPD: &str = concat!(
        "211-Features:\r\n AUTH TLS\r\n EPRT\r\n EPSV\r\n MDTM\r\n PASV\r\n PBSZ\r\n PROT\r\n",
        " REST STREAM\r\n SIZE\r\n TVFS\r\n UTF8\r\n211 End\r\n",
    );
    const PROFTPD: &str = concat!(
        "211-Features:\r\n AUTH TLS\r\n CCC\r\n CLNT\r\n EPRT\r\n EPSV\r\n",
        " HASH CRC32;MD5;SHA-1*;SHA-256;SHA-512\r\n HOST\r\n LANG en-US.UTF-8*;en-US\r\n MDTM\r\n",
        " MFF modify;UNIX.group;UNIX.mode;\r\n MFMT\r\n",
        " MLST modify*;perm*;size*;type*;unique*;UNIX.group*;\r\n PBSZ\r\n PROT\r\n",
        " RANG STREAM\r\n REST STREAM\r\n SIZE\r\n SSCN\r\n TVFS\r\n UTF8\r\n XCRC\r\n XMD5\r\n",
        " XSHA1\r\n XSHA256\r\n211 End\r\n",
    );
    const PURE_FTPD: &str = concat!(
        "211-Extensions supported:\r\n UTF8\r\n EPRT\r\n IDLE\r\n MDTM\r\n SIZE\r\n MFMT\r\n",
        " REST STREAM\r\n MLST type*;size*;sizd*;modify*;UNIX.mode*;unique*;\r\n MLSD\r\n",
        " PRET\r\n AUTH TLS\r\n PBSZ\r\n PROT\r\n TVFS\r\n ESTA\r\n PASV\r\n EPSV\r\n ESTP\r\n",
        "211 End.\r\n",
    );
    const PYFTPDLIB: &str = concat!(
        "211-Features supported:\r\n EPRT\r\n EPSV\r\n MDTM\r\n MFMT\r\n",
        " MLST type*;perm*;size*;modify*;unique*;unix.mode;unix.uid;unix.gid;\r\n REST STREAM\r\n",
        " SIZE\r\n TVFS\r\n UTF8\r\n211 End FEAT.\r\n",
    );
    const IIS: &str = concat!(
        "211-Extended features supported:\r\n LANG EN*\r\n UTF8\r\n AUTH TLS;TLS-C;SSL;TLS-P;\r\n",
        " PBSZ\r\n PROT C;P;\r\n CCC\r\n HOST\r\n SIZE\r\n MDTM\r\n REST STREAM\r\n211 END\r\n",
    );
    const FILEZILLA: &str = concat!(
        "211-Features:\n MDTM\n REST STREAM\n SIZE\n MLST type*;size*;modify*;perms*;\n MLSD\n",
        " AUTH SSL\n AUTH TLS\n PROT\n PBSZ\n UTF8\n TVFS\n EPSV\n EPRT\n MFMT\n211 End\n",
    );

    fn features(raw: &'static str) -> Features {
        feat(&reply(211, raw)).unwrap()
    }

    #[test]
    fn lists_of_real_servers() {
        for (raw, count, absent) in [
            (VSFTPD, 11, &["MLST", "RANG", "HASH", "XMD5"][..]),
            (PROFTPD, 24, &["Features:", "End", "211"]),
            (PURE_FTPD, 18, &["RANG", "HASH", "XCRC"]),
            (PYFTPDLIB, 9, &["AUTH", "PBSZ", "PROT", "HASH"]),
            (IIS, 10, &["EPSV", "MLST", "TVFS", "END"]),
            (FILEZILLA, 14, &["RANG"]),
        ] {
            let features = features(raw);
            assert_eq!(features.iter().count(), count, "{raw}");
            for name in ["size", "MDTM", "Utf8"] {
                assert!(features.has(name), "{name} in {raw}");
            }
            for name in absent {
                assert!(!features.has(name), "{name} in {raw}");
            }
            assert!(features.lists("REST", "stream") && !features.lists("REST", "STRE"));
            assert_eq!(features.lists("RANG", "STREAM"), raw == PROFTPD);
            assert_eq!(features.auth_tls(), raw != PYFTPDLIB);
        }
        assert!(["XCRC", "XMD5", "XSHA1", "XSHA256"].iter().all(|name| features(PROFTPD).has(name)));
        assert!(features(IIS).lists("PROT", "P"));
    }

    #[test]
    fn parameters_of_mlst_and_hash_are_split() {
        let pyftpdlib = features(PYFTPDLIB);
        let facts: Vec<_> = pyftpdlib.mlst_facts().collect();
        assert_eq!(facts.len(), 8);
        assert_eq!((facts[2], facts[7]), ((&b"size"[..], true), (&b"unix.gid"[..], false)));
        let proftpd = features(PROFTPD);
        let hashes: Vec<_> = proftpd.hash_algorithms().collect();
        assert_eq!(hashes[1..3], [(&b"MD5"[..], false), (&b"SHA-1"[..], true)]);
        assert_eq!(features(VSFTPD).mlst_facts().chain(features(VSFTPD).hash_algorithms()).count(), 0);
    }

    #[test]
    fn odd_lists() {
        for raw in
            ["211 No features\r\n", "211-Features:\r\n211 End\r\n", "211\r\n", "211-a\r\n \r\n\r\n211 b"]
        {
            assert_eq!(feat(&reply(211, raw)), Some(Features::default()), "{raw}");
        }
        assert_eq!(feat(&reply(500, "500-a\r\n SIZE\r\n500 b\r\n")), None);
        let repeated =
            features("211-a\r\n211-SIZE\r\nMDTM\r\n\trest  stream \r\n AUTH SSL\r\n AUTH TLS-C\r\n211 b");
        assert!(repeated.has("SIZE") && repeated.has("MDTM") && repeated.lists("REST", "STREAM"));
        assert!(repeated.auth_tls());
        assert!(!features("211-a\r\n AUTH SSL\r\n211 b").auth_tls());
    }

    #[test]
    fn features_beyond_the_limit_are_dropped() {
        let raw = format!("211-a\r\n{}211 b\r\n", " SIZE\r\n".repeat(1000));
        assert_eq!(feat(&reply(211, raw)).unwrap().iter().count(), KEPT);
    }

    proptest! {
        #[test]
        fn printed_values_are_read_back(
            names in proptest::collection::vec("[A-Z0-9]{1,9}( [A-Z;*=]{1,9})?", 0..20),
        ) {
            let list: String = names.iter().map(|name| format!(" {name}\r\n")).collect();
            let features = feat(&reply(211, format!("211-a\r\n{list}211 b\r\n"))).unwrap();
            let back: Vec<_> = features
                .iter()
                .map(|feature| [&feature.name[..], &feature.parameters].join(&b' ').trim_ascii().to_vec())
                .collect();
            prop_assert_eq!(back, names.iter().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>());
        }

        #[test]
        fn any_text_has_a_meaning_or_none(text in "[ A-Z;*\t\n]{0,60}", bytes: Vec<u8>) {
            let raw = [b"211-\n ", text.as_bytes(), b"\n", &bytes, b"\n211 "].concat();
            let features = feat(&reply(211, raw)).unwrap();
            let _ = (features.auth_tls(), features.mlst_facts().count(), features.hash_algorithms().count());
        }
    }
}
