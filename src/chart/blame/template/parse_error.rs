//! `parse error at (demo/templates/cm.yaml:6): function "upperr" not defined`.
//!
//! There is no column, and of the words only what stands after the last `: `. The named thing is looked for in the
//! actions of that line.

use super::action::{Action, Token, TokenKind, actions, keyword, tokens};
use super::{line_span, trimmed_line};
use crate::blame::scene::Scene;
use crate::finding::{Finding, Place, Severity};
use crate::text::Span;

pub(super) fn read(scene: &Scene<'_>, message: &str) -> Option<Finding> {
    let (_, rest) = message.split_once("parse error at (")?;
    let (position, words) = split_position(rest)?;
    let (path, line) = position.rsplit_once(':')?;
    let line: usize = line.parse().ok()?;
    let Some((source, text)) = scene.template(path).and_then(|source| Some((source, scene.text(source)?)))
    else {
        let message = format!("{path}:{line}: {words}");
        return Some(crate::blame::release::unknown(scene, "template-parse", &message));
    };
    let culprit = Search::new(text, line).culprit(words);
    let place = Place::new(source, culprit.span);
    let mut finding = Finding::at(place, Severity::Error, "template-parse", message_of(words, &culprit));
    if !culprit.is_certain {
        finding = finding.likely();
    }
    if let Some((span, why)) = culprit.related {
        finding = finding.with_related(Place::new(source, span), why);
    }
    Some(finding)
}

/// `path:line` and the words after `): `. The path may hold anything but a line break.
fn split_position(rest: &str) -> Option<(&str, &str)> {
    rest.match_indices("): ").find_map(|(offset, separator)| {
        let position = &rest[..offset];
        let digits = position.rsplit(':').next()?;
        let is_line = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_line.then(|| (position, rest[offset + separator.len()..].trim()))
    })
}

fn message_of(words: &str, culprit: &Culprit) -> String {
    match culprit.hint {
        Some(hint) => format!("{words}: {hint}"),
        None => words.to_owned(),
    }
}

/// What is to be pointed at.
struct Culprit {
    span: Span,
    is_certain: bool,
    hint: Option<&'static str>,
    related: Option<(Span, &'static str)>,
}

impl Culprit {
    fn certain(span: Span) -> Self {
        Self { span, is_certain: true, hint: None, related: None }
    }

    fn hinted(span: Span, hint: &'static str) -> Self {
        Self { hint: Some(hint), ..Self::certain(span) }
    }
}

/// A line of a template, with the actions that reach into it.
struct Search<'a> {
    text: &'a str,
    line: usize,
    all: Vec<Action>,
    span: Span,
}

impl<'a> Search<'a> {
    fn new(text: &'a str, line: usize) -> Self {
        let span = line_span(text, line).unwrap_or(Span::new(text.len(), text.len()));
        Self { text, line, all: actions(text), span }
    }

    fn culprit(&self, words: &str) -> Culprit {
        self.open_action(words).or_else(|| self.named(words)).unwrap_or_else(|| self.whole(words))
    }

    /// The line lies in an action that was never closed: whatever Helm says, it read plain text as template.
    fn open_action(&self, words: &str) -> Option<Culprit> {
        let (before, at) = (self.span.start, self.span.end);
        let mut open = self.all.iter().filter(|action| !action.is_closed && action.span.start <= at);
        let action = open.rfind(|action| action.span.end >= before)?;
        if action.is_comment {
            if words.starts_with("comment ends before") {
                return self.comment(words).map(Culprit::certain);
            }
            let opening = Span::new(action.span.start, (action.inner.start + 2).min(self.text.len()));
            return Some(Culprit::certain(opening));
        }
        let starts_above = action.span.start < before;
        if !starts_above && !words.starts_with("unclosed action") && self.named(words).is_some() {
            return None;
        }
        let braces = Span::new(action.span.start, action.span.start + 2);
        Some(Culprit::hinted(braces, "the action that opens here is not closed"))
    }

    /// The thing that the words name, on the line.
    fn named(&self, words: &str) -> Option<Culprit> {
        let certain = |span: Option<Span>| span.map(Culprit::certain);
        let quoted = words.split('"').nth(1);
        if words.starts_with("function ") {
            return certain(self.function(quoted?));
        }
        if words.starts_with("undefined variable ") {
            return certain(self.variable(quoted?));
        }
        if words.starts_with("multiple definition of template ") {
            return self.second_definition(quoted?);
        }
        if words.starts_with("unexpected EOF") {
            return self.open_block();
        }
        if words.contains(" quoted string") || words.contains("unterminated character constant") {
            return certain(self.token(|token| token.kind == TokenKind::OpenQuote));
        }
        if words.contains("right paren") || words.contains("left paren") {
            return certain(self.parenthesis(words.contains("right")));
        }
        if words.starts_with("unclosed comment") || words.starts_with("comment ends before") {
            return certain(self.comment(words));
        }
        if let Some(clause) = words.strip_suffix(" clause").and_then(|words| words.rsplit(' ').next()) {
            return certain(self.token(|token| token.span.of(self.text) == clause));
        }
        if let Some(named) = words.split('<').nth(1).and_then(|rest| rest.split('>').next()) {
            return certain(self.token(|token| token.span.of(self.text) == named));
        }
        if let Some(word) = words.strip_prefix("missing value for ") {
            return self.action_of(word);
        }
        if let Some((_, named)) = words.split_once("{{") {
            return self.action_of(named.split('}').next()?);
        }
        if let Some(rest) = words.strip_prefix("bad character U+") {
            return certain(self.sign(rest.split('\'').nth(1)?));
        }
        certain(self.sign(quoted?))
    }

    /// The first token on the line that fits.
    fn token(&self, fits: impl Fn(&Token) -> bool) -> Option<Span> {
        self.tokens().into_iter().find(|token| fits(token)).map(|token| token.span)
    }

    fn tokens(&self) -> Vec<Token> {
        let touching = self
            .all
            .iter()
            .filter(|action| action.span.start <= self.span.end && action.span.end >= self.span.start);
        let tokens = touching.flat_map(|action| tokens(self.text, action));
        tokens
            .filter(|token| self.span.start <= token.span.start && token.span.start < self.span.end)
            .collect()
    }

    fn function(&self, name: &str) -> Option<Span> {
        let is_call = |token: &Token| {
            let before = self.text[..token.span.start].chars().next_back();
            token.kind == TokenKind::Word
                && !matches!(before, Some('.' | '$'))
                && token.span.of(self.text) == name
        };
        self.token(is_call)
    }

    fn variable(&self, name: &str) -> Option<Span> {
        let tokens = self.tokens();
        let pairs = tokens.windows(2).filter(|pair| pair[0].span.end == pair[1].span.start);
        let mut spans = pairs.map(|pair| Span::new(pair[0].span.start, pair[1].span.end));
        spans.find(|span| span.of(self.text) == name)
    }

    /// A character or literal, as it stands in the words.
    fn sign(&self, sign: &str) -> Option<Span> {
        // `{{-/*` lacks its blank, which makes the dash a minus; what follows it is what is misread.
        if sign == "-"
            && let Some(dash) = self.span.of(self.text).find("{{-/*")
        {
            let start = self.span.start + dash + 3;
            return Some(Span::new(start, start + 2));
        }
        let is_it = |token: &Token| {
            let found = token.span.of(self.text);
            found == sign
                || (sign.len() > 1
                    && sign.starts_with(found)
                    && self.text[token.span.start..].starts_with(sign))
        };
        let span = self.token(is_it)?;
        Some(Span::new(span.start, span.start + sign.len().max(span.end - span.start)))
    }

    /// The parenthesis without its partner.
    fn parenthesis(&self, right: bool) -> Option<Span> {
        let mut open: Vec<Span> = Vec::new();
        for token in self.tokens() {
            match token.span.of(self.text) {
                "(" if token.kind == TokenKind::Sign => open.push(token.span),
                ")" if token.kind == TokenKind::Sign => match open.pop() {
                    None if right => return Some(token.span),
                    _ => {}
                },
                _ => {}
            }
        }
        open.pop().filter(|_| !right)
    }

    fn comment(&self, words: &str) -> Option<Span> {
        let line = self.span.of(self.text);
        if words.starts_with("comment ends") {
            let offset = line.find("*/")?;
            return Some(Span::new(self.span.start + offset, self.span.start + offset + 2));
        }
        let start = line.find("{{").map(|offset| self.span.start + offset)?;
        let end = self.text[start..].find("/*").map(|offset| start + offset + 2)?;
        Some(Span::new(start, end))
    }

    /// A whole action on the line by its first word, the last of several.
    fn action_of(&self, word: &str) -> Option<Culprit> {
        let mut on_line = self.all.iter().filter(|action| self.span.contains(action.span.start));
        let named = |action: &&Action| {
            keyword(self.text, action).is_some_and(|token| token.span.of(self.text) == word)
        };
        on_line.rfind(named).map(|action| Culprit::certain(action.span))
    }

    fn second_definition(&self, name: &str) -> Option<Culprit> {
        let is_name = |token: &Token| {
            token.kind == TokenKind::Text && token.span.of(self.text).trim_matches(['"', '`']) == name
        };
        let definitions: Vec<Span> = self
            .all
            .iter()
            .filter(|action| {
                keyword(self.text, action)
                    .is_some_and(|word| matches!(word.span.of(self.text), "define" | "block"))
            })
            .filter_map(|action| tokens(self.text, action).into_iter().find(is_name).map(|token| token.span))
            .collect();
        let second = definitions.iter().rfind(|span| self.span.contains(span.start))?;
        let first = definitions.iter().find(|span| span.start < second.start);
        let related = first.map(|first| (*first, "first defined here"));
        Some(Culprit { related, ..Culprit::certain(*second) })
    }

    /// The block without an `end`. The last `end` closes the wrong block where an outer one was left open; indentation
    /// tells which was meant, and where it cannot, the inner one is likely.
    fn open_block(&self) -> Option<Culprit> {
        let mut open: Vec<&Action> = Vec::new();
        let mut doubtful: Option<(&Action, &Action)> = None;
        for action in &self.all {
            match keyword(self.text, action).map(|token| token.span.of(self.text)) {
                Some("if" | "range" | "with" | "define" | "block") => open.push(action),
                Some("end") => {
                    let Some(closed) = open.pop() else { continue };
                    let column = self.column(action);
                    let outer = open.iter().rfind(|outer| self.column(outer) == column);
                    if let Some(outer) = outer {
                        doubtful = Some((closed, outer));
                    }
                }
                _ => {}
            }
        }
        let left = *open.last()?;
        let hint = "this block has no `{{ end }}`";
        match doubtful.filter(|(_, outer)| outer.span == left.span) {
            None => Some(Culprit::hinted(left.span, hint)),
            Some((inner, outer)) => Some(Culprit {
                is_certain: self.column(inner) != self.column(outer),
                related: Some((outer.span, "or this one has none")),
                ..Culprit::hinted(inner.span, hint)
            }),
        }
    }

    fn column(&self, action: &Action) -> usize {
        let start = self.text[..action.span.start].rfind('\n').map_or(0, |newline| newline + 1);
        action.span.start - start
    }

    /// When nothing on the line fits: the only action there, else the line.
    fn whole(&self, words: &str) -> Culprit {
        let mut on_line = self
            .all
            .iter()
            .filter(|action| action.span.start <= self.span.end && action.span.end > self.span.start);
        let (first, second) = (on_line.next(), on_line.next());
        let about_one =
            ["missing value for", "non executable command", "unexpected", "empty command", "invalid syntax"];
        match (first, second) {
            (Some(action), None) if action.is_closed => Culprit {
                is_certain: about_one.iter().any(|about| words.starts_with(about)),
                ..Culprit::certain(action.span)
            },
            _ => Culprit { is_certain: false, ..Culprit::certain(trimmed_line(self.text, self.line)) },
        }
    }
}
