//! Byte spans and the one conversion from them to places that people and editors read.
//!
//! Inside the code a place is a byte range. Lines, columns and UTF-16 exist only where text leaves the program.

mod index;

use std::ops::Range;

pub use index::{LineIndex, Position};

/// A byte range in one text: `start..end`, end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The range `start..end`; an end before the start is taken as empty.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end: end.max(start) }
    }

    /// As a range for slicing.
    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }

    /// Whether nothing lies inside.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether the byte at `offset` lies inside.
    pub fn contains(self, offset: usize) -> bool {
        self.range().contains(&offset)
    }

    /// The text inside; empty when the span does not belong to this text.
    pub fn of(self, text: &str) -> &str {
        text.get(self.range()).unwrap_or_default()
    }

    /// Its first line, without white space at the end: a block over many lines is shown at its head.
    #[must_use]
    pub fn first_line(self, text: &str) -> Self {
        let length = self.of(text).split(['\n', '\r']).next().unwrap_or_default().trim_end().len();
        Self::new(self.start, self.start + length)
    }
}

/// A value and where it is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it is written.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// A value at its place.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_shown_at_its_head() {
        let text = "a:\n  b: 1 \r\n  c: 2\n";
        assert_eq!(Span::new(5, text.len()).first_line(text), Span::new(5, 9));
        assert_eq!(Span::new(5, 7).first_line(text), Span::new(5, 7));
        assert_eq!(Span::new(5, 99).first_line(text), Span::new(5, 5), "of another text");
    }
}
