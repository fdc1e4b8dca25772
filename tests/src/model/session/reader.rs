//! The bytes of one transfer, in the order they are sent.

use std::sync::Arc;

use crate::model::tree::File;

/// A place in a file, and the line ends made on the way.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    file: Arc<File>,
    place: Place,
    ascii: bool,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    offset: u64,
    /// The CR of a line end is sent, its LF is not.
    within_line_end: bool,
}

impl Reader {
    pub(super) fn new(file: Arc<File>, offset: u64, ascii: bool) -> Self {
        Self { file, place: Place { offset, within_line_end: false }, ascii }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.place.offset >= self.file.size()
    }

    /// How many bytes are left at most; how many line ends there are is not known beforehand.
    pub(super) fn left(&self) -> u64 {
        let left = self.file.size().saturating_sub(self.place.offset);
        if self.ascii { left.saturating_mul(2) } else { left }
    }

    pub(super) fn fill(&self, buffer: &mut [u8]) -> usize {
        if !self.ascii {
            return self.file.fill(self.place.offset, buffer);
        }
        let mut filled = 0;
        self.convert(buffer.len(), |byte| {
            buffer[filled] = byte;
            filled += 1;
        });
        filled
    }

    pub(super) fn advance(&mut self, count: usize) {
        if self.ascii {
            self.place = self.convert(count, |_| {});
        } else {
            self.place.offset += count as u64;
        }
    }

    /// Hands out up to `limit` bytes with CR LF for every LF, and says where that ends.
    fn convert(&self, limit: usize, mut take: impl FnMut(u8)) -> Place {
        let mut place = self.place;
        let mut chunk = [0; 4096];
        let mut taken = 0;
        while taken < limit {
            let len = self.file.fill(place.offset, &mut chunk);
            if len == 0 {
                break;
            }
            for &byte in &chunk[..len] {
                if byte == b'\n' && !place.within_line_end && taken < limit {
                    take(b'\r');
                    taken += 1;
                    place.within_line_end = true;
                }
                if taken == limit {
                    break;
                }
                take(byte);
                taken += 1;
                place = Place { offset: place.offset + 1, within_line_end: false };
            }
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_are_converted_however_the_reading_is_cut() {
        let mut source = b"one\n\ntwo\r\nthree\n".to_vec();
        source.extend(b"\n".repeat(5000));
        let mut expected = b"one\r\n\r\ntwo\r\r\nthree\r\n".to_vec();
        expected.extend(b"\r\n".repeat(5000));
        for step in [1, 2, 3, 7, 4096, 20_000] {
            let mut reader = Reader::new(Arc::new(File::bytes(source.clone())), 0, true);
            let mut sent = Vec::new();
            while !reader.is_at_end() {
                let mut buffer = vec![0; step];
                let len = reader.fill(&mut buffer);
                assert!(len > 0 && len as u64 <= reader.left());
                sent.extend_from_slice(&buffer[..len]);
                reader.advance(len);
            }
            assert_eq!(sent, expected, "in steps of {step}");
        }
    }
}
