//! Why a colon stands where no key may be: the line itself, or the one above it.

use crate::text::Span;

/// What made the parser stumble over a colon.
pub(super) enum ColonCause {
    /// `tag:v1` or `-v1` above: the line, and its colon or dash.
    MissingSpace { line: Span, sign: usize },
    /// `tag` above: the line.
    MissingColon { line: Span },
    /// The key with the colon stands deeper than its siblings and so continues the value above.
    OverIndented { key: Span, value: Span },
    /// `a: b: c`.
    SecondColon,
}

/// The cause, from the line of the colon and the last line above that says something.
pub(super) fn cause_of_colon(text: &str, colon: usize) -> ColonCause {
    let start = text[..colon].rfind('\n').map_or(0, |newline| newline + 1);
    let own = content(text, Span::new(start, colon));
    if own.of(text).contains(": ") {
        return ColonCause::SecondColon;
    }
    let Some(above) = line_above(text, start) else { return ColonCause::SecondColon };
    let words = above.of(text);
    let separator = words.find(": ").or_else(|| words.ends_with(':').then(|| words.len() - 1));
    let same_column = column(text, above) == column(text, own);
    match separator {
        None if same_column => match words.find(':') {
            Some(offset) if offset > 0 => {
                ColonCause::MissingSpace { line: above, sign: above.start + offset }
            }
            None if words.starts_with('-') && words.len() > 1 => {
                ColonCause::MissingSpace { line: above, sign: above.start }
            }
            _ => ColonCause::MissingColon { line: above },
        },
        Some(offset) if column(text, own) > column(text, above) => {
            let value = Span::new(above.start + offset + 1, above.end);
            let value = Span::new(value.end - value.of(text).trim_start().len(), value.end);
            let value = if value.is_empty() { above } else { value };
            ColonCause::OverIndented { key: own, value }
        }
        _ => ColonCause::SecondColon,
    }
}

/// The last line before `start` with more than blanks and a comment on it.
fn line_above(text: &str, start: usize) -> Option<Span> {
    let mut end = start.checked_sub(1)?;
    loop {
        let start = text[..end].rfind('\n').map_or(0, |newline| newline + 1);
        let line = content(text, Span::new(start, end));
        if !line.is_empty() {
            return Some(line);
        }
        end = start.checked_sub(1)?;
    }
}

/// A line without its indentation, list dashes, trailing blanks and comment.
fn content(text: &str, line: Span) -> Span {
    let mut words = line.of(text);
    words = words.find(" #").map_or(words, |comment| &words[..comment]).trim_end();
    let end = line.start + words.len();
    words = words.trim_start_matches('\u{feff}').trim_start();
    while let Some(rest) = words.strip_prefix("- ") {
        words = rest.trim_start();
    }
    if words.starts_with('#') {
        return Span::new(end, end);
    }
    Span::new(end - words.len(), end)
}

fn column(text: &str, span: Span) -> usize {
    let start = text[..span.start].rfind('\n').map_or(0, |newline| newline + 1);
    text[start..span.start].chars().count()
}
