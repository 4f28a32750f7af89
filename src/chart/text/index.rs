//! From byte offsets to lines and columns, and back.
//!
//! A line ends with LF, CR LF or CR, as LSP has it. Building reads the text once; a look-up is a binary search over lines
//! and, on lines that are not plain ASCII, over the characters wider than a byte.

use std::collections::HashMap;
use std::ops::Range;

use super::Span;

/// A place as editors count it; everything is 0-based.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column in UTF-16 units.
    pub utf16: usize,
    /// The column in bytes.
    pub utf8: usize,
}

/// A character that takes more than one byte; its offset counts from the start of its line.
#[derive(Debug, Clone, Copy)]
struct Wide {
    start: usize,
    /// 2 to 4 bytes.
    bytes: usize,
    /// The column in UTF-16 units where it starts.
    utf16: usize,
}

impl Wide {
    fn units(self) -> usize {
        if self.bytes == 4 { 2 } else { 1 }
    }
}

/// Where the lines of one text are. Owns what it needs: the text may change or go away.
#[derive(Debug, Clone)]
pub struct LineIndex {
    /// Per line its bytes without the line break; one line at least.
    lines: Vec<Span>,
    wide: HashMap<usize, Vec<Wide>>,
    length: usize,
}

impl LineIndex {
    /// Reads the text once.
    pub fn new(text: &str) -> Self {
        let mut lines = Vec::new();
        let mut wide: HashMap<usize, Vec<Wide>> = HashMap::new();
        let bytes = text.as_bytes();
        let mut start = 0;
        let mut units = 0;
        for (offset, character) in text.char_indices() {
            match character {
                '\n' | '\r' => {
                    if character == '\r' && bytes.get(offset + 1) == Some(&b'\n') {
                        continue;
                    }
                    let end = if character == '\n' && offset > start && bytes[offset - 1] == b'\r' {
                        offset - 1
                    } else {
                        offset
                    };
                    lines.push(Span::new(start, end));
                    start = offset + 1;
                    units = 0;
                }
                _ => {
                    if !character.is_ascii() {
                        let found = Wide { start: offset - start, bytes: character.len_utf8(), utf16: units };
                        wide.entry(lines.len()).or_default().push(found);
                    }
                    units += character.len_utf16();
                }
            }
        }
        lines.push(Span::new(start, text.len()));
        Self { lines, wide, length: text.len() }
    }

    /// How many lines there are; a text that ends with a line break has an empty last one.
    pub fn line_count(&self) -> usize {
        self.lines.len()
    }

    /// The bytes of a line without its line break; `None` beyond the last line.
    pub fn line(&self, line: usize) -> Option<Span> {
        self.lines.get(line).copied()
    }

    /// Where a byte stands. An offset beyond the text is its end, one inside a character that character's start, one
    /// inside a line break the end of its line.
    pub fn position(&self, byte: usize) -> Position {
        let byte = byte.min(self.length);
        let line = self.lines.partition_point(|line| line.start <= byte) - 1;
        let span = self.lines[line];
        let column = byte.min(span.end) - span.start;
        let wide = self.wide_before(line, |wide| wide.start < column);
        let Some(last) = wide else { return Position { line, utf16: column, utf8: column } };
        let after = last.start + last.bytes;
        if column < after {
            return Position { line, utf16: last.utf16, utf8: last.start };
        }
        Position { line, utf16: last.utf16 + last.units() + (column - after), utf8: column }
    }

    /// The byte at a column of UTF-16 units. Beyond the line it is the line's end, beyond the last line the text's end,
    /// inside a surrogate pair the character's start.
    pub fn byte(&self, line: usize, utf16: usize) -> usize {
        let Some(span) = self.line(line) else { return self.length };
        let Some(last) = self.wide_before(line, |wide| wide.utf16 < utf16) else {
            return span.end.min(span.start.saturating_add(utf16));
        };
        let after = last.utf16 + last.units();
        if utf16 < after {
            return span.start + last.start;
        }
        span.end.min((span.start + last.start + last.bytes).saturating_add(utf16 - after))
    }

    /// The byte at a column of bytes, with the same clamping.
    pub fn byte_utf8(&self, line: usize, utf8: usize) -> usize {
        let Some(span) = self.line(line) else { return self.length };
        match self.wide_before(line, |wide| wide.start < utf8) {
            Some(last) if utf8 < last.start + last.bytes => span.start + last.start,
            _ => span.end.min(span.start.saturating_add(utf8)),
        }
    }

    /// The first and one past the last line that a span touches.
    pub fn lines_of(&self, span: Span) -> Range<usize> {
        self.position(span.start).line..self.position(span.end).line + 1
    }

    fn wide_before(&self, line: usize, before: impl Fn(&Wide) -> bool) -> Option<Wide> {
        let wide = self.wide.get(&line)?;
        let count = wide.partition_point(before);
        wide.get(count.checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn position(line: usize, utf16: usize, utf8: usize) -> Position {
        Position { line, utf16, utf8 }
    }

    #[test]
    fn every_line_break_of_lsp_ends_a_line() {
        let index = LineIndex::new("a\nb\r\nc\rd\u{2028}e");
        assert_eq!(index.line_count(), 4);
        assert_eq!(index.position(2), position(1, 0, 0));
        assert_eq!(index.position(5), position(2, 0, 0));
        assert_eq!(index.position(7), position(3, 0, 0));
    }

    #[test]
    fn the_inside_of_a_line_break_belongs_to_the_line_before() {
        let index = LineIndex::new("ab\r\ncd");
        assert_eq!(index.position(3), position(0, 2, 2));
    }

    #[test]
    fn an_emoji_is_two_units_and_four_bytes() {
        let index = LineIndex::new("x😀é: 1");
        assert_eq!(index.position(5), position(0, 3, 5));
        assert_eq!(index.position(7), position(0, 4, 7));
        assert_eq!(index.byte(0, 3), 5);
        assert_eq!(index.byte(0, 2), 1, "inside the surrogate pair");
        assert_eq!(index.byte_utf8(0, 6), 5, "inside é");
    }

    #[test]
    fn a_byte_order_mark_is_a_character() {
        let index = LineIndex::new("\u{feff}a: 1");
        assert_eq!(index.position(3), position(0, 1, 3));
    }

    #[test]
    fn places_beyond_the_text_are_clamped() {
        let index = LineIndex::new("a\n");
        assert_eq!(index.position(99), position(1, 0, 0));
        assert_eq!(index.byte(0, 99), 1);
        assert_eq!(index.byte(99, 0), 2);
        assert_eq!(index.byte(usize::MAX, usize::MAX), 2);
        assert_eq!(index.byte(0, usize::MAX), 1);
        assert_eq!(LineIndex::new("").position(1), position(0, 0, 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn positions_of_characters_come_back(text in "[a-c\\r\\né😀\u{feff}]{0,40}") {
            let index = LineIndex::new(&text);
            for (offset, character) in text.char_indices() {
                let position = index.position(offset);
                let span = index.line(position.line).unwrap();
                if character != '\n' && character != '\r' {
                    prop_assert_eq!(index.byte(position.line, position.utf16), offset);
                    prop_assert_eq!(index.byte_utf8(position.line, position.utf8), offset);
                    prop_assert_eq!(text[span.start..offset].encode_utf16().count(), position.utf16);
                }
            }
        }
    }
}
