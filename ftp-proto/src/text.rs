//! Bytes of a peer, made safe to show.

use core::fmt::{self, Write};

/// Writes `bytes` as text that neither a terminal nor a log reader mistakes: bytes that are not well-formed UTF-8, and
/// control, bidirectional and invisible characters, are escaped.
pub(crate) fn escape(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_plain(c) {
                f.write_char(c)?;
            } else {
                write!(f, "{}", c.escape_default())?;
            }
        }
        for byte in chunk.invalid() {
            write!(f, "\\x{byte:02x}")?;
        }
    }
    Ok(())
}

/// Whether `c` shows as itself and leaves the text around it as it is.
fn is_plain(c: char) -> bool {
    let hidden = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
    !c.is_control() && !hidden
}

/// Shows bytes of a peer escaped: control, bidirectional and invisible characters, and bytes that are not UTF-8, as
/// `\u{..}`, `\n`, `\x..`.
#[derive(Clone, Copy)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(self.0, f)
    }
}

impl fmt::Debug for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn control_characters_are_escaped() {
        let shown = Escaped("a\u{1b}[31m\u{9b}\u{202e}\u{7f}é\n".as_bytes()).to_string();
        assert_eq!(shown, "a\\u{1b}[31m\\u{9b}\\u{202e}\\u{7f}é\\n");
        assert_eq!(Escaped(b"\xff\xfeok").to_string(), "\\xff\\xfeok");
    }
}
