//! A text as the search for known values sees it: without terminal codes, and without line breaks and the blanks
//! around them. A value that is printed in color, wrapped or indented is still found, and every byte knows where it
//! came from.

use std::{borrow::Cow, ops::Range};

use memchr::memchr2;

/// Where in a terminal code a text ended; the next text of the same stream goes on there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Escape {
    /// In no code.
    #[default]
    None,
    /// Behind the escape character.
    Begun,
    /// In a code with parameters, until its letter.
    Control,
    /// In a code with a text (a title, a link), until its end.
    Text,
    /// In such a text, behind an escape character.
    TextEnds,
}

impl Escape {
    /// Takes a byte and says whether it belongs to a code.
    fn takes(&mut self, byte: u8) -> bool {
        let (next, taken) = match (*self, byte) {
            (Self::None, 0x1b) | (Self::Begun, 0x20..=0x2f) => (Self::Begun, true),
            (Self::Begun, b'[') | (Self::Control, 0x20..=0x3f) => (Self::Control, true),
            (Self::Begun, b']' | b'P' | b'X' | b'^' | b'_') => (Self::Text, true),
            (Self::Begun, _) | (Self::Control, 0x40..=0x7e) | (Self::Text, 0x07) => (Self::None, true),
            (Self::Text, 0x1b) => (Self::TextEnds, true),
            // A line break ends a text that was never closed, and no other code goes on like this: it was none.
            (Self::None | Self::Control, _) | (Self::Text | Self::TextEnds, b'\n') => (Self::None, false),
            (Self::Text, _) => (Self::Text, true),
            (Self::TextEnds, _) => (Self::None, true),
        };
        *self = next;
        taken
    }
}

/// The view of one text.
pub(super) struct View<'a> {
    bytes: Cow<'a, [u8]>,
    /// From this byte of the view on, so many bytes of the text are left out before it.
    shifts: Vec<(usize, usize)>,
}

impl<'a> View<'a> {
    /// The view of a text that begins in `escape`, which is left where the text ends. `is_line`: the borders of the
    /// text are line breaks.
    pub(super) fn new(text: &'a [u8], escape: &mut Escape, is_line: bool) -> Self {
        let plain = *escape == Escape::None && memchr2(b'\n', 0x1b, text).is_none();
        if plain {
            let from = if is_line { text.len() - text.trim_ascii_start().len() } else { 0 };
            let bytes = if is_line { text.trim_ascii() } else { text };
            return Self { bytes: Cow::Borrowed(bytes), shifts: vec![(0, from)] };
        }
        let mut seen = Vec::with_capacity(text.len());
        let mut shifts = vec![(0, 0)];
        let mut left_out = 0;
        let mut after_break = is_line;
        for (at, byte) in text.iter().copied().enumerate() {
            if escape.takes(byte) {
                left_out += 1;
                continue;
            }
            if byte == b'\n' {
                while seen.last().is_some_and(|last| is_blank(*last)) {
                    seen.pop();
                    left_out += 1;
                }
                after_break = true;
            }
            if byte == b'\n' || (after_break && is_blank(byte)) {
                left_out += 1;
                continue;
            }
            after_break = false;
            debug_assert_eq!(seen.len() + left_out, at);
            if shifts.last().is_none_or(|(_, before)| *before != left_out) {
                while shifts.last().is_some_and(|(from, _)| *from >= seen.len()) {
                    shifts.pop();
                }
                shifts.push((seen.len(), left_out));
            }
            seen.push(byte);
        }
        while is_line && seen.last().is_some_and(|last| is_blank(*last)) {
            seen.pop();
        }
        Self { bytes: Cow::Owned(seen), shifts }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where a range of the view, which is not empty, stands in the text.
    pub(super) fn range(&self, range: Range<usize>) -> Range<usize> {
        self.origin(range.start)..self.origin(range.end - 1) + 1
    }

    fn origin(&self, at: usize) -> usize {
        let after = self.shifts.partition_point(|(from, _)| *from <= at);
        at + after.checked_sub(1).map_or(0, |before| self.shifts[before].1)
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

/// Where these texts stand in another one, terminal codes and line breaks aside. Too short ones are not looked for.
pub(super) fn find(text: &str, wanted: &[String]) -> Vec<Range<usize>> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let view = View::new(text.as_bytes(), &mut Escape::None, false);
    let mut found = Vec::new();
    for wanted in wanted {
        let wanted = View::new(wanted.as_bytes(), &mut Escape::None, true);
        let length = wanted.bytes().len();
        if length >= 4 {
            let hits =
                view.bytes().windows(length).enumerate().filter(|(_, window)| *window == wanted.bytes());
            found.extend(hits.map(|(at, _)| view.range(at..at + length)));
        }
    }
    found
}

/// A text without its terminal codes.
pub(super) fn without_codes(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1b}') {
        return Cow::Borrowed(text);
    }
    let mut escape = Escape::None;
    let kept: Vec<u8> = text.bytes().filter(|byte| !escape.takes(*byte)).collect();
    Cow::Owned(String::from_utf8_lossy(&kept).into_owned())
}

/// The terminal codes of a text, one behind the other.
pub(super) fn codes(text: &str) -> String {
    let mut escape = Escape::None;
    let kept = text.bytes().filter(|byte| escape.takes(*byte)).collect();
    // Codes are cut out of a text byte by byte, and a code that holds half a character is none to keep.
    String::from_utf8(kept).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str, is_line: bool) -> String {
        let mut escape = Escape::None;
        let view = View::new(text.as_bytes(), &mut escape, is_line);
        for at in 0..view.bytes().len() {
            let origin = view.range(at..at + 1);
            assert_eq!(view.bytes()[at], text.as_bytes()[origin.start], "byte {at} of {text:?}");
        }
        String::from_utf8(view.bytes().to_vec()).unwrap()
    }

    #[test]
    fn codes_and_line_breaks_are_not_seen() {
        assert_eq!(seen("a\x1b[1;31mb\x1b[0mc", false), "abc");
        assert_eq!(seen("a  \r\n   b\n\n\tc", false), "abc");
        assert_eq!(seen("\x1b]8;;http://x\x1b\\link\x1b]0;t\x07!", false), "link!");
        assert_eq!(seen("  a b  ", true), "a b");
        assert_eq!(seen("  a b  ", false), "  a b  ");
        assert_eq!(seen("  a\x1b[mb  \n", true), "ab");
        assert_eq!(seen("", true), "");
    }

    #[test]
    fn a_code_goes_on_in_the_next_text() {
        let mut escape = Escape::None;
        assert_eq!(View::new(b"a\x1b[3", &mut escape, false).bytes(), b"a");
        assert_eq!(View::new(b"1mb", &mut escape, false).bytes(), b"b");
        assert_eq!(escape, Escape::None);
    }

    #[test]
    fn a_text_is_found_in_color() {
        let text = "x \x1b[1mhun\x1b[0mter2";
        let found = find(text, &["hunter2".into(), "x".into()]);
        assert_eq!(found.len(), 1);
        assert_eq!(&text[found[0].clone()], "hun\x1b[0mter2");
    }

    #[test]
    fn codes_are_kept() {
        assert_eq!(codes("a\x1b[1mb\x1b[0m"), "\x1b[1m\x1b[0m");
        assert_eq!(codes("ab"), "");
    }
}
