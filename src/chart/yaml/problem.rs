//! Why a text is not YAML, in libyaml's words, which are also Helm's.

use libyaml_safer::EventData;

use crate::text::Span;

/// The first fault of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// libyaml's words, as Helm prints them after `line N: `.
    pub message: String,
    /// What to point at.
    pub span: Span,
    /// Another place that helps, and why.
    pub related: Option<(Span, &'static str)>,
}

/// The first fault in the first document of a text; `None` when it is YAML.
pub fn problem(text: &str) -> Option<Problem> {
    let mut bytes = text.as_bytes();
    let mut parser = libyaml_safer::Parser::new();
    parser.set_input_string(&mut bytes);
    loop {
        match parser.parse() {
            Ok(event) if matches!(event.data, EventData::DocumentEnd { .. } | EventData::StreamEnd) => {
                return None;
            }
            Ok(_) => {}
            Err(error) => {
                let mark = error.problem_mark().or(error.context_mark());
                let index = mark.and_then(|mark| usize::try_from(mark.index).ok()).unwrap_or(0);
                let start = text.char_indices().nth(index).map_or(text.len(), |(offset, _)| offset);
                let end = text[start..].chars().next().map_or(start, |c| start + c.len_utf8());
                return Some(Problem {
                    message: error.problem().to_owned(),
                    span: Span::new(start, end),
                    related: None,
                });
            }
        }
    }
}
