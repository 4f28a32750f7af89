//! Bytes in, lines out: bounded, and readable whatever the bytes are.

/// The longest line in bytes; a longer one becomes several.
pub(super) const MAX_LINE: usize = 16 << 10;

/// The part of a line that has arrived.
#[derive(Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Takes bytes and gives every line that they complete, without its end.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut complete = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                complete.extend(self.rest());
            }
            while self.partial.len() > MAX_LINE {
                let rest = self.partial.split_off(char_boundary(&self.partial));
                complete.push(to_text(&std::mem::replace(&mut self.partial, rest)));
            }
        }
        complete
    }

    /// What is left when the bytes end, in lines of the same bound.
    pub(super) fn rest(&mut self) -> Vec<String> {
        let mut line = std::mem::take(&mut self.partial);
        let mut lines = Vec::new();
        if line.is_empty() {
            return lines;
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        while line.len() > MAX_LINE {
            let rest = line.split_off(char_boundary(&line));
            lines.push(to_text(&std::mem::replace(&mut line, rest)));
        }
        lines.push(to_text(&line));
        lines
    }
}

/// Where to cut a long line: at [`MAX_LINE`], or a little before it to keep a character whole.
fn char_boundary(bytes: &[u8]) -> usize {
    let is_start = |at: &usize| bytes[*at] & 0b1100_0000 != 0b1000_0000;
    (MAX_LINE - 3..=MAX_LINE).rev().find(is_start).unwrap_or(MAX_LINE)
}

fn to_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut found: Vec<String> = pieces.iter().flat_map(|piece| lines.push(piece)).collect();
        found.extend(lines.rest());
        found
    }

    #[test]
    fn lines_do_not_depend_on_how_they_arrive() {
        let text = b"one\r\n\ntwo\nrest";
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(all(&[text]), ["one", "", "two", "rest"]);
        assert_eq!(all(&bytes), ["one", "", "two", "rest"]);
        assert_eq!(all(&[b"end\n"]), ["end"]);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(all(&[b"a\xffb\n"]), ["a\u{fffd}b"]);
    }

    #[test]
    fn a_long_line_becomes_several_and_loses_nothing() {
        let text = "ü".repeat(MAX_LINE);
        for size in [1000, MAX_LINE, 3 * MAX_LINE] {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let lines = all(&pieces);
            assert!(lines.iter().all(|line| line.len() <= MAX_LINE), "{size}");
            assert_eq!(lines.concat(), text, "{size}");
        }
    }
}
