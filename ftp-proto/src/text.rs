//! Bytes of a peer made safe to show.

use core::fmt::{self, Write};

/// Writes `bytes` as text that no terminal and no log reader can take for anything else: what is not
/// well-formed UTF-8, and every control, bidirectional or invisible character, is escaped.
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

/// Whether `c` shows as itself and changes nothing around it.
fn is_plain(c: char) -> bool {
    let hidden = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
    !c.is_control() && !hidden
}

/// Bytes of a peer that print escaped: controls, bidirectional and invisible characters and what is
/// not UTF-8 are shown as `\u{..}`, `\n`, `\x..`.
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
    fn nothing_reaches_a_terminal_raw() {
        let shown = Escaped("a\u{1b}[31m\u{9b}\u{202e}\u{7f}é\n".as_bytes()).to_string();
        assert_eq!(shown, "a\\u{1b}[31m\\u{9b}\\u{202e}\\u{7f}é\\n");
        assert_eq!(Escaped(b"\xff\xfeok").to_string(), "\\xff\\xfeok");
    }
}
