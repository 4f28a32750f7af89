//! Words, characters and ends of lines: what a mark is widened to.

use crate::text::Span;

/// One character.
pub(super) fn one(text: &str, start: usize) -> Span {
    chars(text, start, 1)
}

/// Some characters.
pub(super) fn chars(text: &str, start: usize, count: usize) -> Span {
    let length = text[start..].chars().take(count).map(char::len_utf8).sum::<usize>();
    Span::new(start, start + length)
}

/// The word that starts here, without the colon that makes it a key. A quoted word goes to its closing quote.
pub(super) fn at(text: &str, start: usize) -> Span {
    let rest = &text[start..];
    let Some(first) = rest.chars().next() else { return Span::new(start, start) };
    if matches!(first, '"' | '\'')
        && let Some(length) = rest[1..].find([first, '\n'])
        && rest.as_bytes()[1 + length] != b'\n'
    {
        return Span::new(start, start + length + 2);
    }
    let length = rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len());
    let word = rest[..length].trim_end_matches(':');
    Span::new(start, start + if word.is_empty() { first.len_utf8() } else { word.len() })
}

/// From here to the end of the line, without a comment and the blanks before it.
pub(super) fn rest_of_line(text: &str, start: usize) -> Span {
    let line = text[start..].split(['\n', '\r']).next().unwrap_or_default();
    let content = line.find(" #").map_or(line, |comment| &line[..comment]);
    Span::new(start, start + content.trim_end().len())
}

/// The span, or where nothing is in it, the last word before it: an end of file cannot be shown.
pub(crate) fn shown(text: &str, span: Span) -> Span {
    if !span.of(text).trim().is_empty() || span.of(text).contains('\t') {
        return span;
    }
    let before = text[..span.start].trim_end();
    if before.is_empty() {
        return Span::new(0, text.chars().next().map_or(0, char::len_utf8));
    }
    let start = before.rfind(char::is_whitespace).map_or(0, |blank| blank + 1);
    let start = (start..before.len()).find(|start| before.is_char_boundary(*start)).unwrap_or(0);
    Span::new(start, before.len())
}

/// Whether the bracket at the head of a line is closed on it; quotes hide what is in them.
pub(super) fn is_balanced(line: &str, open: char, close: char) -> bool {
    let mut depth = 0_usize;
    let mut quote = None;
    for character in line.chars() {
        match quote {
            Some(mark) if character == mark => quote = None,
            None if matches!(character, '"' | '\'') => quote = Some(character),
            None if character == open => depth += 1,
            None if character == close => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return true;
                }
            }
            Some(_) | None => {}
        }
    }
    false
}
