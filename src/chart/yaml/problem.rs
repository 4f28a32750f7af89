//! Why a text is not YAML, in libyaml's words, which are also Helm's, and what to point at.
//!
//! libyaml knows two marks: where it gave up and where the construct began that it was reading. Which of them is the
//! culprit depends on the words, and often it is neither, but the line above. The number that Helm prints is a third
//! thing (off by one, and without a column), so nothing here ever looks at it.

mod indent;
mod token;

use std::io::Read as _;

use libyaml_safer::{Event, EventData, ScalarStyle};

use crate::text::Span;
pub(crate) use token::shown;

/// The first fault of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// libyaml's words, as Helm prints them after `line N: `.
    pub words: &'static str,
    /// What that means here, where more can be said: lower case, no full stop.
    pub hint: Option<&'static str>,
    /// What to point at.
    pub span: Span,
    /// Another place that helps, and why.
    pub related: Option<(Span, &'static str)>,
    /// A replacement that mends it, and its title.
    pub fix: Option<(&'static str, Span, String)>,
}

/// What a scan of the first document found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// The first fault; `None` when it is YAML.
    pub problem: Option<Problem>,
    /// The `---` of a second document, which Helm never reads.
    pub second_document: Option<Span>,
    /// Where collections are nested deeper than [`MAX_DEPTH`](super::MAX_DEPTH): nothing was read from here on.
    pub too_deep: Option<Span>,
}

/// The first fault in the first document of a text; `None` when it is YAML.
pub fn problem(text: &str) -> Option<Problem> {
    scan(text).problem
}

/// Reads the first document as libyaml does.
pub fn scan(text: &str) -> Scan {
    // The port of libyaml panics on a few texts (`!%FF`). A panic in it leaves nothing half-changed behind.
    std::panic::catch_unwind(|| read(text))
        .unwrap_or_else(|_| Scan { problem: second_opinion(text), ..Scan::default() })
}

/// What the other parser says, where libyaml has no words.
fn second_opinion(text: &str) -> Option<Problem> {
    let stopped = super::build::build(text).stopped?;
    let span = token::shown(text, token::at(text, stopped));
    Some(Problem { words: "this is not YAML", hint: None, span, related: None, fix: None })
}

fn read(text: &str) -> Scan {
    // A line break at the end, because the port panics on a backslash as the last character.
    let mut bytes = text.as_bytes().chain(&b"\n"[..]);
    let mut parser = libyaml_safer::Parser::new();
    parser.set_input(&mut bytes);
    let mut last_quoted = None;
    let mut depth = 0_usize;
    loop {
        let event = match parser.parse() {
            Ok(event) => event,
            Err(error) => {
                let problem = Some(Fault::new(text, &error, last_quoted).problem());
                return Scan { problem, ..Scan::default() };
            }
        };
        match &event.data {
            EventData::StreamEnd => return Scan::default(),
            EventData::DocumentEnd { .. } => break,
            EventData::MappingStart { .. } | EventData::SequenceStart { .. } => depth += 1,
            EventData::MappingEnd | EventData::SequenceEnd => depth -= 1,
            EventData::Scalar { style, .. } => {
                last_quoted = quoted_over_lines(&event, *style).or(last_quoted);
            }
            _ => {}
        }
        if depth > super::MAX_DEPTH {
            let too_deep = Some(token::shown(text, token::one(text, byte_of(text, event.start_mark))));
            return Scan { too_deep, ..Scan::default() };
        }
    }
    let second_document = match parser.parse() {
        Ok(Event { data: EventData::DocumentStart { implicit: false, .. }, start_mark, .. }) => {
            let start = byte_of(text, start_mark);
            Some(Span::new(start, text.len().min(start + 3)))
        }
        _ => None,
    };
    Scan { second_document, ..Scan::default() }
}

/// The marks of a quoted scalar that goes over several lines: perhaps it was meant to end on its first.
fn quoted_over_lines(
    event: &Event,
    style: ScalarStyle,
) -> Option<(libyaml_safer::Mark, libyaml_safer::Mark)> {
    let quoted = matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
    (quoted && event.start_mark.line < event.end_mark.line).then_some((event.start_mark, event.end_mark))
}

/// The byte of a mark. Its index counts bytes, without the byte order mark at the head.
fn byte_of(text: &str, mark: libyaml_safer::Mark) -> usize {
    let head = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let index = usize::try_from(mark.index).unwrap_or(usize::MAX).saturating_add(head);
    (0..=index.min(text.len())).rev().find(|byte| text.is_char_boundary(*byte)).unwrap_or(0)
}

/// An error of libyaml with its marks as bytes.
struct Fault<'a> {
    text: &'a str,
    words: &'static str,
    /// Where libyaml gave up; `None` for characters that YAML forbids altogether.
    at: Option<usize>,
    /// Where the construct began that it was reading.
    context: Option<usize>,
    /// The last quoted scalar over several lines before the fault.
    quoted: Option<Span>,
}

impl<'a> Fault<'a> {
    fn new(
        text: &'a str,
        error: &libyaml_safer::Error,
        quoted: Option<(libyaml_safer::Mark, libyaml_safer::Mark)>,
    ) -> Self {
        Self {
            text,
            words: error.problem(),
            at: error.problem_mark().map(|mark| byte_of(text, mark)),
            context: error.context_mark().map(|mark| byte_of(text, mark)),
            quoted: quoted.map(|(start, end)| Span::new(byte_of(text, start), byte_of(text, end))),
        }
    }

    fn problem(&self) -> Problem {
        let Some(at) = self.at else { return self.forbidden_character() };
        match self.words {
            "could not find expected ':'" => {
                let line = token::rest_of_line(self.text, self.context.unwrap_or(at));
                match line.of(self.text).find(':') {
                    Some(offset) if offset > 0 => self.missing_space(line, line.start + offset),
                    _ => self.found(line, Some("a key needs a colon after it")),
                }
            }
            "found unexpected end of stream" | "found unexpected document indicator" => {
                let start = self.context.unwrap_or(at);
                self.found(token::one(self.text, start), Some("the quote that opens here is never closed"))
            }
            "did not find expected ',' or ']'" | "did not find expected ',' or '}'" => {
                self.unclosed_bracket(at)
            }
            "mapping values are not allowed in this context" => self.unexpected_colon(at),
            "did not find expected key" | "did not find expected '-' indicator" => self.unexpected_token(at),
            "found character that cannot start any token"
            | "found a tab character that violates indentation" => self.forbidden_start(at),
            "did not find expected alphabetic or numeric character" => {
                let span = token::at(self.text, self.context.unwrap_or(at));
                self.found(span, Some("`*` and `&` begin an alias or anchor; put the text in quotes"))
            }
            "found unknown escape character" => {
                let hint = "in double quotes a backslash starts an escape; use single quotes or double it";
                self.found(token::chars(self.text, at, 2), Some(hint))
            }
            "block sequence entries are not allowed in this context" => {
                self.found(token::one(self.text, at), Some("a list begins on a line of its own"))
            }
            _ => self.found(token::at(self.text, at), None),
        }
    }

    fn found(&self, span: Span, hint: Option<&'static str>) -> Problem {
        Problem { words: self.words, hint, span: token::shown(self.text, span), related: None, fix: None }
    }

    /// libyaml keeps the place of a forbidden character to itself.
    fn forbidden_character(&self) -> Problem {
        let found =
            self.text.char_indices().find(|(offset, c)| !is_allowed(*c) && (*c != '\u{feff}' || *offset > 0));
        let start = found.map_or(0, |(offset, _)| offset);
        self.found(token::one(self.text, start), Some("remove the invisible character here"))
    }

    fn unclosed_bracket(&self, at: usize) -> Problem {
        let open = token::one(self.text, self.context.unwrap_or(at));
        let stopped = token::shown(self.text, token::at(self.text, at));
        let (bracket, close) = if open.of(self.text) == "{" { ('{', '}') } else { ('[', ']') };
        let line = token::rest_of_line(self.text, open.start);
        if line.contains(at) && token::is_balanced(line.of(self.text), bracket, close) {
            let mut problem = self.found(stopped, Some("a comma is missing before this"));
            let why = if bracket == '{' { "in this map" } else { "in this list" };
            problem.related = Some((open, why));
            return problem;
        }
        let hint = if bracket == '{' { "this `{` is not closed" } else { "this `[` is not closed" };
        let mut problem = self.found(open, Some(hint));
        problem.related = Some((stopped, "a comma or the closing bracket was expected here"));
        problem
    }

    fn unexpected_colon(&self, at: usize) -> Problem {
        use indent::ColonCause::{MissingColon, MissingSpace, OverIndented, SecondColon};
        match indent::cause_of_colon(self.text, at) {
            MissingSpace { line, sign } => self.missing_space(line, sign),
            MissingColon { line } => self.found(line, Some("a key needs a colon after it")),
            OverIndented { key, value } => {
                let hint = "this line is indented further than the keys beside it";
                let mut problem = self.found(key, Some(hint));
                problem.related = Some((value, "so it continues this value"));
                problem
            }
            SecondColon => {
                let hint = "a value that contains `: ` must be in quotes";
                self.found(token::one(self.text, at), Some(hint))
            }
        }
    }

    /// `key:value`, or `-value`: the sign at `sign` needs a space behind it.
    fn missing_space(&self, line: Span, sign: usize) -> Problem {
        let is_dash = self.text.as_bytes().get(sign) == Some(&b'-');
        let hint = if is_dash { "a dash needs a space after it" } else { "a colon needs a space after it" };
        let mut problem = self.found(line, Some(hint));
        problem.fix = Some(("add the space", Span::new(sign + 1, sign + 1), " ".to_owned()));
        problem
    }

    fn unexpected_token(&self, at: usize) -> Problem {
        if let Some(quoted) = self.quoted
            && quoted.end <= at
            && self.text[quoted.end..at].chars().all(|c| c == ' ')
        {
            let open = token::one(self.text, quoted.start);
            let mut problem = self.found(open, Some("the quote that opens here is closed on another line"));
            problem.related = Some((token::at(self.text, at), "here the text goes on"));
            return problem;
        }
        let before = self.text[..at].rsplit('\n').next().unwrap_or_default();
        let hint = if before.trim().is_empty() {
            "the indentation fits none of the lines above"
        } else {
            "nothing may follow the value on this line"
        };
        self.found(token::at(self.text, at), Some(hint))
    }

    fn forbidden_start(&self, at: usize) -> Problem {
        if self.text[at..].starts_with('\t') {
            let tabs = self.text[at..].bytes().take_while(|byte| *byte == b'\t').count();
            return self
                .found(Span::new(at, at + tabs), Some("YAML is indented with spaces, never with tabs"));
        }
        let hint = "no value may begin with this character; put the value in quotes";
        let mut problem = self.found(token::one(self.text, at), Some(hint));
        let value = token::rest_of_line(self.text, at);
        if !value.of(self.text).contains('\'') {
            problem.fix = Some(("put the value in quotes", value, format!("'{}'", value.of(self.text))));
        }
        problem
    }
}

/// The characters that libyaml lets through.
fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        && character != '\u{feff}'
        || character >= '\u{10000}'
}

#[cfg(test)]
mod tests;
