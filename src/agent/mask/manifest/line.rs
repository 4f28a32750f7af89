//! One line: its column, its key and its value.

use std::ops::Range;

use super::super::{encode, span::Hidden};

/// One line, and where it stands in the text.
pub(super) struct Line<'a> {
    pub(super) text: &'a str,
    pub(super) start: usize,
    /// The column of its key, behind `- ` of a list and the sign of a diff.
    pub(super) column: usize,
    /// The column where its text starts, at the dash for a list item.
    pub(super) indent: usize,
    /// Whether it begins an item of a list.
    pub(super) is_item: bool,
}

pub(super) fn lines(text: &str, is_diff: bool) -> Vec<Line<'_>> {
    let mut start = 0;
    text.split_inclusive('\n')
        .map(|whole| {
            let text = whole.trim_end_matches(['\n', '\r']);
            let line = Line::new(text, start, is_diff);
            start += whole.len();
            line
        })
        .collect()
}

/// Whether a value is none yet: what belongs to the key stands below it.
pub(super) fn opens(value: &str) -> bool {
    let scalar = value.strip_prefix(['|', '>']);
    let is_scalar = scalar.is_some_and(|rest| rest.bytes().all(|b| matches!(b, b'+' | b'-' | b'0'..=b'9')));
    is_scalar || matches!(value, "" | "{" | "[") || value.starts_with(['#', '&']) || value.starts_with("!!")
}

/// A scalar without its quotes, and without the comma of JSON.
pub(super) fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let text = text.split(" #").next().unwrap_or(text).trim_end().trim_end_matches(',');
    text.trim_matches(['"', '\''])
}

impl<'a> Line<'a> {
    fn new(text: &'a str, start: usize, is_diff: bool) -> Self {
        // The sign of a diff stands where a blank stands in the lines that did not change.
        let sign = usize::from(is_diff && text.starts_with(['+', '-']) || text.starts_with('+'));
        let rest = &text[sign..];
        let indent = sign + rest.len() - rest.trim_start_matches([' ', '\t']).len();
        let mut column = indent;
        while let Some(rest) = text[column..].strip_prefix("- ") {
            column = text.len() - rest.trim_start_matches(' ').len();
        }
        Self { text, start, column, indent, is_item: column > indent }
    }

    pub(super) fn content(&self) -> &'a str {
        &self.text[self.column..]
    }

    pub(super) fn is_blank(&self) -> bool {
        self.content().is_empty() || self.content().starts_with('#')
    }

    /// Between two documents, or two files of a diff.
    pub(super) fn is_border(&self) -> bool {
        let text = self.text;
        text.trim_end() == "---"
            || text.starts_with("--- ")
            || text.starts_with("+++ ")
            || text.starts_with("@@ ")
            || text.contains("Secret (v1)")
    }

    fn colon(&self) -> Option<usize> {
        let content = self.content();
        let found = content.find(": ").or_else(|| content.ends_with(':').then(|| content.len() - 1))?;
        // A key in quotes may hold a colon, and one without holds no blank: that is a sentence.
        let is_key = content.starts_with(['"', '\'', '?']) || !content[..found].trim_end().contains(' ');
        is_key.then_some(self.column + found)
    }

    pub(super) fn key(&self) -> Option<&'a str> {
        Some(unquoted(&self.text[self.column..self.colon()?]))
    }

    pub(super) fn is_key(&self, name: &str) -> bool {
        self.content().trim_start_matches(['"', '\'']).starts_with(name) && self.key() == Some(name)
    }

    pub(super) fn value(&self) -> Option<&'a str> {
        Some(self.text[self.colon()? + 1..].trim())
    }

    /// Its value, without quotes; `encoded`: in base64.
    pub(super) fn hidden(&self, encoded: bool) -> Option<Hidden> {
        let value = self.value()?;
        let at = self.text.len() - self.text[self.colon()? + 1..].trim_start().len();
        self.cut(at, value, encoded)
    }

    /// What stands behind the dash.
    pub(super) fn item(&self) -> Option<Hidden> {
        self.cut(self.column, self.content().trim_end(), false)
    }

    /// All of it.
    pub(super) fn whole(&self) -> Option<Hidden> {
        let range: Range<usize> = self.indent..self.text.trim_end().len();
        (!range.is_empty()).then(|| Hidden::new(self.start + range.start..self.start + range.end))
    }

    pub(super) fn looks_encoded(&self) -> bool {
        self.value().is_some_and(|value| super::looks_encoded(unquoted(value)))
    }

    fn cut(&self, at: usize, value: &str, encoded: bool) -> Option<Hidden> {
        let is_quoted = value.starts_with(['"', '\'']);
        let value = if is_quoted { value.trim_end_matches(',') } else { value };
        let closed = is_quoted && value.len() >= 2 && value.ends_with(&value[..1]);
        let (from, to) = if closed { (1, value.len() - 1) } else { (usize::from(is_quoted), value.len()) };
        let inner = &value[from..to];
        let plain = if encoded { encode::decode(inner) } else { None };
        let start = self.start + at + from;
        (!inner.is_empty()).then(|| Hidden { plain, ..Hidden::new(start..start + inner.len()) })
    }
}
