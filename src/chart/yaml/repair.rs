//! Keeps what a half-typed text says.
//!
//! The parser stops at the first fault, and everything below would be lost while a user types above it. So the line at
//! fault (or one shortly before it) is blanked, its key kept where it has one, and the text is parsed again. Blanks
//! take the same bytes, so every span stays true. The work is bounded by bytes parsed, so a large text is mended less
//! and never slowly.

use std::borrow::Cow;

use super::build::{Built, build};
use super::{Tree, problem};
use crate::text::Span;

/// Bytes that may be parsed for mending, all trials together.
const BUDGET: usize = 4 << 20;
/// Faults mended in one text.
const ROUNDS: usize = 12;
/// How many lines up from the fault its cause is looked for.
const LINES_BACK: usize = 3;

/// The tree of the first document, mended.
pub(super) fn parse(text: &str) -> Tree {
    let mut best = build(text);
    let broken = best.stopped.is_some();
    let mut text = Cow::Borrowed(text);
    let mut budget = BUDGET;
    for _ in 0..ROUNDS {
        let Some(stopped) = best.stopped else { break };
        let Some((mended, built)) = mend(&text, stopped, &mut budget) else { break };
        text = Cow::Owned(mended);
        best = built;
    }
    Tree { repaired: broken, ..best.tree }
}

/// The blanking near the fault that lets the parser get furthest beyond it; `None` when none helps.
fn mend(text: &str, stopped: usize, budget: &mut usize) -> Option<(String, Built)> {
    let mut best: Option<(String, Built)> = None;
    for span in candidates(text, stopped) {
        *budget = budget.checked_sub(text.len())?;
        let trial = blanked(text, span);
        let built = build(&trial);
        let reached = built.stopped.unwrap_or(usize::MAX);
        let record = best.as_ref().map_or(stopped, |(_, built)| built.stopped.unwrap_or(usize::MAX));
        if reached > record {
            best = Some((trial, built));
        }
        if reached == usize::MAX {
            break;
        }
    }
    best
}

/// What may be blanked, the least loss first: the values of the lines in question, then the lines. In question are the
/// line that libyaml's words blame, which for an open quote may be far above, and the last ones.
fn candidates(text: &str, stopped: usize) -> Vec<Span> {
    let mut lines: Vec<Span> =
        problem(text).map(|problem| line_of(text, problem.span.start)).into_iter().collect();
    let mut end = text[stopped..].find('\n').map_or(text.len(), |length| stopped + length);
    let wanted = lines.len() + LINES_BACK;
    while lines.len() < wanted {
        let start = text[..end].rfind('\n').map_or(0, |newline| newline + 1);
        if !text[start..end].trim().is_empty() {
            lines.push(Span::new(start, end));
        }
        let Some(before) = start.checked_sub(1) else { break };
        end = before;
    }
    let values = lines.iter().filter_map(|line| value_of(text, *line));
    values.chain(lines.iter().copied()).collect()
}

fn line_of(text: &str, offset: usize) -> Span {
    let start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
    Span::new(start, text[start..].find('\n').map_or(text.len(), |length| start + length))
}

/// What stands after `key: ` on a line.
fn value_of(text: &str, line: Span) -> Option<Span> {
    let content = line.of(text);
    let colon = content.find(": ")?;
    let value = Span::new(line.start + colon + 2, line.end);
    (!value.of(text).trim().is_empty()).then_some(value)
}

/// The text with a span turned into a comment of the same length.
fn blanked(text: &str, span: Span) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for (offset, byte) in bytes[span.range()].iter_mut().enumerate() {
        if *byte != b'\r' {
            *byte = if offset == 0 { b'#' } else { b' ' };
        }
    }
    String::from_utf8(bytes).unwrap_or_default()
}
