//! Ranges that must not be seen, and texts without them.

use std::ops::Range;

use super::{mark, view};

/// A range that must not be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hidden {
    pub(super) range: Range<usize>,
    /// A bare JSON value: its mark needs quotes to stay JSON, each with this many backslashes.
    pub(super) quote: Option<usize>,
    /// The secret behind the range, where it is not what is written there: decoded, unescaped, or known. Equal
    /// secrets get equal marks by it.
    pub(super) plain: Option<String>,
}

impl Hidden {
    pub(super) fn new(range: Range<usize>) -> Self {
        Self { range, quote: None, plain: None }
    }

    /// The same, later in the text.
    pub(super) fn after(self, bytes: usize) -> Self {
        Self { range: self.range.start + bytes..self.range.end + bytes, ..self }
    }
}

/// Sorts, joins what overlaps, and leaves out what is hidden already: a mark is never masked again.
pub(super) fn merge(text: &str, mut found: Vec<Hidden>) -> Vec<Hidden> {
    if found.is_empty() {
        return found;
    }
    let marks = mark::find(text);
    if !marks.is_empty() {
        found = found.into_iter().flat_map(|hidden| without(text, hidden, &marks)).collect();
    }
    found.retain(|hidden| !view::without_codes(&text[hidden.range.clone()]).trim().is_empty());
    found.sort_by_key(|hidden| (hidden.range.start, hidden.range.end));
    let mut merged: Vec<Hidden> = Vec::with_capacity(found.len());
    for next in found {
        match merged.last_mut() {
            Some(last) if next.range.start < last.range.end => join(last, next),
            _ => merged.push(next),
        }
    }
    merged
}

/// `next` starts inside of `last`, or where it starts. What a part stands for says nothing about the whole.
fn join(last: &mut Hidden, next: Hidden) {
    if next.range == last.range {
        last.plain = last.plain.take().or(next.plain);
        last.quote = last.quote.or(next.quote);
    } else if next.range.end > last.range.end {
        if next.range.start == last.range.start {
            *last = next;
        } else {
            *last = Hidden::new(last.range.start..next.range.end);
        }
    }
}

/// The parts of a range between marks.
fn without(text: &str, hidden: Hidden, marks: &[Range<usize>]) -> Vec<Hidden> {
    let Range { start, end } = hidden.range;
    let first = marks.partition_point(|mark| mark.end <= start);
    let inside: Vec<_> = marks[first..].iter().take_while(|mark| mark.start < end).collect();
    if inside.is_empty() {
        return vec![hidden];
    }
    let starts = [start].into_iter().chain(inside.iter().map(|mark| mark.end.min(end)));
    let ends = inside.iter().map(|mark| mark.start.max(start)).chain([end]);
    let mut parts: Vec<Range<usize>> = starts.zip(ends).map(|(start, end)| start..end).collect();
    // What is left of a value around its mark is punctuation, or a text of its own.
    parts.retain(|part| {
        let text = text.get(part.clone()).map(view::without_codes);
        text.is_some_and(|text| text.contains(char::is_alphanumeric))
    });
    parts.into_iter().map(Hidden::new).collect()
}

/// The text with a mark in the place of each hidden range. Terminal codes inside a range are kept behind its mark, so
/// that the colors of what follows stay.
pub(super) fn rewrite(
    text: &str,
    hidden: &[Hidden],
    mut mark: impl FnMut(&mut String, &Hidden, &str),
) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for one in hidden {
        out.push_str(&text[done..one.range.start]);
        mark(&mut out, one, &text[one.range.clone()]);
        done = one.range.end;
    }
    out.push_str(&text[done..]);
    out
}

/// A character as wide as `c` in UTF-8 and in UTF-16.
pub(super) fn filler(c: char) -> char {
    match (c, c.len_utf8()) {
        ('\n' | '\r', _) => c,
        (_, 1) => '*',
        (_, 2) => '·',
        (_, 3) => '•',
        _ => '🞄',
    }
}

/// The range at character boundaries: what was found in bytes may end inside of a character.
pub(super) fn whole_characters(text: &str, range: Range<usize>) -> Range<usize> {
    text.floor_char_boundary(range.start)..text.ceil_char_boundary(range.end)
}

/// A secret as its mark knows it.
pub(super) fn secret_of<'a>(hidden: &'a Hidden, text: &'a str) -> &'a str {
    hidden.plain.as_deref().unwrap_or(text).trim()
}

/// What a finder hides of a text, in order.
#[cfg(test)]
pub(super) fn found_by(find: impl FnOnce(&str, &mut Vec<Hidden>), text: &str) -> Vec<&str> {
    let mut hidden = Vec::new();
    find(text, &mut hidden);
    hidden.into_iter().map(|hidden| &text[hidden.range]).collect()
}
