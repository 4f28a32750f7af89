//! Kubernetes Secrets written as YAML.

use std::ops::Range;

use super::{Hidden, names};

/// The values of `data` and `stringData` of every Secret in a YAML text, by indentation alone, so that a text
/// that does not parse (a template, half a manifest in an error) is masked as well.
pub(super) fn find(text: &str) -> Vec<Hidden> {
    if !text.contains("Secret") {
        return Vec::new();
    }
    let lines: Vec<Line<'_>> = lines(text);
    let mut hidden = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if line.key() == Some("kind") && line.value().is_some_and(|value| unquoted(value) == "Secret") {
            for sibling in siblings(&lines, at) {
                hide_children(&lines, sibling, &mut hidden);
            }
        }
    }
    hidden
}

/// One line: where it stands in the text, and the column of its key (behind `- ` of a list).
struct Line<'a> {
    text: &'a str,
    start: usize,
    column: usize,
    /// The column where the line's text starts, at the dash for a list item.
    indent: usize,
}

impl<'a> Line<'a> {
    fn content(&self) -> &'a str {
        &self.text[self.column..]
    }

    fn is_blank(&self) -> bool {
        self.content().is_empty() || self.content().starts_with('#')
    }

    fn colon(&self) -> Option<usize> {
        let content = self.content();
        let found = content.find(": ").or_else(|| content.ends_with(':').then(|| content.len() - 1))?;
        Some(self.column + found)
    }

    fn key(&self) -> Option<&'a str> {
        Some(unquoted(&self.text[self.column..self.colon()?]))
    }

    fn value(&self) -> Option<&'a str> {
        Some(self.text[self.colon()? + 1..].trim())
    }

    /// Where the value stands in the whole text, without blanks around it.
    fn value_range(&self) -> Option<Range<usize>> {
        let value = self.value()?;
        let at = self.colon()? + 1 + self.text[self.colon()? + 1..].find(value)?;
        Some(self.start + at..self.start + at + value.len())
    }
}

fn lines(text: &str) -> Vec<Line<'_>> {
    let mut start = 0;
    text.split_inclusive('\n')
        .map(|whole| {
            let text = whole.trim_end_matches(['\n', '\r']);
            let indent = text.len() - text.trim_start_matches([' ', '\t']).len();
            let mut column = indent;
            while let Some(rest) = text[column..].strip_prefix("- ") {
                column = text.len() - rest.trim_start_matches(' ').len();
            }
            let line = Line { text, start, column, indent };
            start += whole.len();
            line
        })
        .collect()
}

/// The lines `data:` and `stringData:` of the mapping that the line `at` stands in.
fn siblings(lines: &[Line<'_>], at: usize) -> Vec<usize> {
    let column = lines[at].column;
    let belongs =
        |line: &Line<'_>| line.is_blank() || (line.column >= column && !line.content().starts_with("---"));
    // A list item starts its mapping with the dash: what stands above it is another one.
    let starts = |line: &Line<'_>| !line.is_blank() && line.indent < column;
    let mut first = at;
    while first > 0 && !starts(&lines[first]) && belongs(&lines[first - 1]) {
        first -= 1;
    }
    let after = &lines[at + 1..];
    let ends = |line: &Line<'_>| !belongs(line) || starts(line);
    let last = at + 1 + after.iter().position(ends).unwrap_or(after.len());
    let wanted = |line: &Line<'_>| line.column == column && matches!(line.key(), Some("data" | "stringData"));
    (first..last).filter(|at| wanted(&lines[*at])).collect()
}

/// Hides every value below the line `at`.
fn hide_children(lines: &[Line<'_>], at: usize, hidden: &mut Vec<Hidden>) {
    let base64 = lines[at].key() == Some("data");
    let mut push = |range| hidden.push(Hidden { range, quote: false, base64 });
    if let Some(range) = lines[at].value_range().filter(|_| lines[at].value().is_some_and(names::is_value)) {
        push(range); // A flow mapping on the same line.
    }
    let column = lines[at].column;
    let mut key_column = None;
    for line in &lines[at + 1..] {
        if line.is_blank() {
            continue;
        }
        if line.column <= column {
            break;
        }
        let key_column = *key_column.get_or_insert(line.column);
        if line.column > key_column || line.colon().is_none() {
            // A line of a block scalar, or of a plain one that was folded.
            push(line.start + line.indent..line.start + line.text.trim_end().len());
        } else if let Some(range) = line.value_range().filter(|_| line.value().is_some_and(is_secret)) {
            push(within_quotes(line.text, line.start, range));
        }
    }
}

fn is_secret(value: &str) -> bool {
    names::is_value(value) && !value.starts_with(['|', '>'])
}

fn within_quotes(line: &str, start: usize, range: Range<usize>) -> Range<usize> {
    let value = &line[range.start - start..range.end - start];
    let quoted = value.len() >= 2 && value.starts_with(['"', '\'']) && value.ends_with(&value[..1]);
    if quoted { range.start + 1..range.end - 1 } else { range }
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let text = text.split(" #").next().unwrap_or(text).trim_end();
    text.trim_matches(['"', '\''])
}
