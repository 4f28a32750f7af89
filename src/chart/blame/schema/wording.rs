//! The two wordings of a schema violation.
//!
//! ```text
//! - image.tag: Invalid type. Expected: string, given: integer        Helm up to 3.17
//! - at '/image/tag': got number, want string                         Helm from 3.18 on
//! ```

mod dotted;
mod pointer;

/// One violation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) context: Context,
    pub(super) kind: Kind,
    /// The words after the place, the causes below them included.
    pub(super) message: String,
}

/// Where it is, in the values of the chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Context {
    /// The steps of a JSON pointer.
    Pointer(Vec<String>),
    /// Keys with dots between them, and perhaps in them; `(root)` for the top.
    Dotted(String),
}

/// What is to be pointed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// The value.
    Value,
    /// Keys in the map there: they must not be, or ask for others.
    Key(Vec<String>),
    /// A key that is not there.
    Missing(Vec<String>),
    /// An item of the list there.
    Item(usize),
}

/// The violations of one chart, in the order of the text; empty when the lines are about the schema itself.
pub(super) fn parse(lines: &[&str]) -> Vec<Violation> {
    if lines.iter().any(|line| line.trim_start().starts_with("- at '")) {
        return pointer::parse(lines);
    }
    dotted::parse(lines)
}

/// The texts in single quotes, with `\'` and `\\` undone.
fn quoted(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('\'') {
        let (word, end) = unquoted(&rest[start + 1..]);
        found.push(word);
        rest = rest.get(start + 1 + end..).unwrap_or_default();
    }
    found
}

/// A text up to its closing quote, and how many bytes that took with the quote.
fn unquoted(text: &str) -> (String, usize) {
    let mut word = String::new();
    let mut characters = text.char_indices();
    while let Some((offset, character)) = characters.next() {
        match character {
            '\'' => return (word, offset + 1),
            '\\' => match characters.next() {
                Some((_, 'n')) => word.push('\n'),
                Some((_, 't')) => word.push('\t'),
                Some((_, other)) => word.push(other),
                None => {}
            },
            other => word.push(other),
        }
    }
    (word, text.len())
}

#[cfg(test)]
mod tests;
