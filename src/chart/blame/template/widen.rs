//! From the column that Helm prints to the words that a person would underline.

use super::action::{Action, Token, TokenKind, actions, tokens};
use super::{line_span, trimmed_line};
use crate::text::Span;

/// A node of a template as Helm points at it.
pub(super) struct Node<'m> {
    /// From 1.
    pub(super) line: usize,
    /// Bytes from the start of the line; within a chain of fields at its second one.
    pub(super) column: usize,
    /// Go's rendering, with blanks and quotes of its own.
    pub(super) shown: &'m str,
}

/// The chain, call or literal at a node, or the part of it that the reason names. The action, else the line, where the
/// text is not the one that ran.
pub(super) fn widen(text: &str, node: &Node<'_>, reason: &str) -> Span {
    let Some(line) = line_span(text, node.line) else { return trimmed_line(text, node.line) };
    let at = line.start + node.column.min(line.end - line.start);
    let all = actions(text);
    let Some(action) = all.iter().find(|action| action.span.contains(at)) else {
        return trimmed_line(text, node.line);
    };
    let tokens = tokens(text, action);
    let Some(index) = tokens.iter().position(|token| token.span.contains(at)) else { return action.span };
    let view = View { text, action, tokens: &tokens };
    if let Some(name) = reason.strip_prefix("undefined variable: ")
        && let Some(span) = view.variable(name.trim())
    {
        return span;
    }
    let chain = view.chain(index);
    if let Some(span) = view.field(chain, reason) {
        return span;
    }
    let calls = node.shown.contains(' ') || node.shown.is_empty();
    let is_call = tokens[index].kind == TokenKind::Word && !text[..at].ends_with(['.', '$']);
    if is_call && calls { view.call(index) } else { view.span_of(chain) }
}

struct View<'a> {
    text: &'a str,
    action: &'a Action,
    tokens: &'a [Token],
}

/// The first and last token of something.
type Range = (usize, usize);

impl View<'_> {
    fn word(&self, index: usize) -> &str {
        self.tokens[index].span.of(self.text)
    }

    fn span_of(&self, (first, last): Range) -> Span {
        Span::new(self.tokens[first].span.start, self.tokens[last].span.end)
    }

    /// `.Values.image.tag` around a token: what is joined without a blank by dots and `$`.
    fn chain(&self, index: usize) -> Range {
        let joins = |left: usize, right: usize| {
            let touching = self.tokens[left].span.end == self.tokens[right].span.start;
            let part = |index: usize| {
                self.tokens[index].kind == TokenKind::Word || matches!(self.word(index), "." | "$")
            };
            touching && part(left) && part(right)
        };
        let mut first = index;
        while first > 0 && joins(first - 1, first) {
            first -= 1;
        }
        let mut last = index;
        while last + 1 < self.tokens.len() && joins(last, last + 1) {
            last += 1;
        }
        (first, last)
    }

    /// The field that a reason names: of a nil pointer the one that is nil, else the one that cannot be. The first of a
    /// chain is shown with its dot.
    fn field(&self, (first, last): Range, reason: &str) -> Option<Span> {
        let words: Vec<usize> =
            (first..=last).filter(|index| self.tokens[*index].kind == TokenKind::Word).collect();
        let position = if reason.starts_with("nil pointer evaluating") {
            let name = reason.rsplit('.').next()?.trim();
            // A chain may hold a name twice; the nil stands before one that has something before it.
            words.iter().rposition(|index| self.word(*index) == name)?.checked_sub(1)?
        } else {
            let name = reason.strip_prefix("can't evaluate field ")?.split(' ').next()?;
            words.iter().position(|index| self.word(*index) == name)?
        };
        let index = words[position];
        Some(if position == 0 { self.span_of((first, index)) } else { self.tokens[index].span })
    }

    fn variable(&self, name: &str) -> Option<Span> {
        let mut pairs = (1..self.tokens.len()).map(|index| self.span_of((index - 1, index)));
        pairs.find(|span| span.of(self.text) == name)
    }

    /// A call with its arguments: up to a pipe, the parenthesis that ends it, or the end of the action.
    fn call(&self, first: usize) -> Span {
        let mut depth = 0_usize;
        let mut last = first;
        for index in first..self.tokens.len() {
            match (self.tokens[index].kind, self.word(index)) {
                (TokenKind::Sign, "(") => depth += 1,
                (TokenKind::Sign, ")" | "|") if depth == 0 => break,
                (TokenKind::Sign, ")") => depth -= 1,
                _ => {}
            }
            last = index;
        }
        let span = self.span_of((first, last));
        Span::new(span.start, span.end.min(self.action.inner.end))
    }
}
