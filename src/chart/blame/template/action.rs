//! The actions of a template, `{{ … }}`, and the words in them.
//!
//! Just enough of Go's template language to find a word again that Helm named: strings and comments are told apart from
//! the rest, and an action that is not closed is seen.

use crate::text::Span;

/// `{{ … }}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Action {
    /// With its braces; of one that is not closed up to where the next begins or the text ends.
    pub(super) span: Span,
    /// Between the braces and trim markers.
    pub(super) inner: Span,
    pub(super) is_closed: bool,
    pub(super) is_comment: bool,
}

/// A word of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) span: Span,
    pub(super) kind: TokenKind,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// Letters, digits and `_`.
    Word,
    /// A literal in quotes.
    Text,
    /// A quote that is never closed, with the word behind it.
    OpenQuote,
    /// Any other character.
    Sign,
}

/// The actions of a text, in order.
pub(super) fn actions(text: &str) -> Vec<Action> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(open) = text[from..].find("{{").map(|offset| from + offset) {
        let action = action(text, open);
        from = action.span.end.max(open + 2);
        found.push(action);
    }
    found
}

fn action(text: &str, open: usize) -> Action {
    let rest = &text[open + 2..];
    let trims = rest.starts_with('-') && rest[1..].starts_with(char::is_whitespace);
    let inner = open + 2 + usize::from(trims);
    let body = text[inner..].trim_start();
    if body.starts_with("/*") {
        return comment(text, open, inner);
    }
    let mut at = inner;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("}}") {
            let end = if text[inner..at].ends_with('-') { at - 1 } else { at };
            let inner = Span::new(inner, end);
            return Action { span: Span::new(open, at + 2), inner, is_closed: true, is_comment: false };
        }
        if rest.starts_with("{{") {
            break;
        }
        at += length_of_token(rest);
    }
    Action { span: Span::new(open, at), inner: Span::new(inner, at), is_closed: false, is_comment: false }
}

fn comment(text: &str, open: usize, inner: usize) -> Action {
    let start = inner + text[inner..].find("/*").unwrap_or(0);
    let end = text[start + 2..].find("*/").map(|offset| start + 2 + offset + 2);
    let closed = end.and_then(|end| {
        let rest = &text[end..];
        let trimmed = rest.trim_start().strip_prefix('-').unwrap_or(rest);
        trimmed.starts_with("}}").then(|| text.len() - trimmed.len() + 2)
    });
    let stop = closed.or(end).unwrap_or(start + 2);
    Action {
        span: Span::new(open, stop),
        inner: Span::new(start, stop),
        is_closed: closed.is_some(),
        is_comment: true,
    }
}

/// The tokens of an action; a comment has none.
pub(super) fn tokens(text: &str, action: &Action) -> Vec<Token> {
    let mut found = Vec::new();
    let mut at = action.inner.start;
    while at < action.inner.end && !action.is_comment {
        let rest = &text[at..action.inner.end];
        let length = length_of_token(rest);
        let span = Span::new(at, (at + length).min(action.inner.end));
        let first = rest.chars().next().unwrap_or(' ');
        let kind = match first {
            c if c.is_whitespace() => None,
            c if is_word(c) => Some(TokenKind::Word),
            '"' | '`' | '\'' if length > 1 => Some(TokenKind::Text),
            '"' | '`' | '\'' => Some(TokenKind::OpenQuote),
            _ => Some(TokenKind::Sign),
        };
        let span = match kind {
            Some(TokenKind::OpenQuote) => {
                let word = rest.find(char::is_whitespace).unwrap_or(rest.len());
                Span::new(at, at + word)
            }
            _ => span,
        };
        found.extend(kind.map(|kind| Token { span, kind }));
        at += length;
    }
    found
}

/// The first word of an action: `if`, `end`, `include`, ….
pub(super) fn keyword(text: &str, action: &Action) -> Option<Token> {
    tokens(text, action).into_iter().next().filter(|token| token.kind == TokenKind::Word)
}

/// How many bytes the token at the head of `rest` takes; a quote that is not closed takes only itself.
fn length_of_token(rest: &str) -> usize {
    let Some(first) = rest.chars().next() else { return 0 };
    match first {
        '`' => rest[1..].find('`').map_or(1, |length| length + 2),
        '"' | '\'' => quoted_length(rest, first).unwrap_or(1),
        c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
        c => c.len_utf8(),
    }
}

fn quoted_length(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (offset, character) in rest.char_indices().skip(1) {
        match character {
            '\n' => return None,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(offset + 1),
            _ => {}
        }
    }
    None
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<(&str, bool)> {
        actions(text).into_iter().map(|action| (action.span.of(text), action.is_closed)).collect()
    }

    #[test]
    fn strings_and_comments_may_hold_braces() {
        assert_eq!(shown("a {{- \"}}\" -}} b {{`}}`}}"), [("{{- \"}}\" -}}", true), ("{{`}}`}}", true)]);
        assert_eq!(
            shown("{{/* }} {{ */}}x{{- /* a */ -}}"),
            [("{{/* }} {{ */}}", true), ("{{- /* a */ -}}", true)]
        );
    }

    #[test]
    fn an_action_ends_at_the_latest_where_the_next_begins() {
        assert_eq!(shown("{{ .a\n{{ .b }}"), [("{{ .a\n", false), ("{{ .b }}", true)]);
        assert_eq!(shown("{{ \"x }}"), [("{{ \"x }}", true)]);
        assert_eq!(shown("{{"), [("{{", false)]);
        assert!(!shown("{{/* x }}")[0].1);
    }

    #[test]
    fn tokens_are_words_texts_and_signs() {
        let text = "{{- $é := default `a b` .Values.x \"y }}";
        let words: Vec<_> = tokens(text, &actions(text)[0]).iter().map(|token| token.span.of(text)).collect();
        assert_eq!(words, ["$", "é", ":", "=", "default", "`a b`", ".", "Values", ".", "x", "\"y", "y"]);
    }
}
