//! Sources of texts that come in pieces: lines of one command, bytes of one terminal.
//!
//! A piece waits for nothing. What it may hold is judged with what came before it: the end of the last one, when a
//! known value begins like it; the line that was cut in two; the manifest and the private key whose lines come one by
//! one. Of a known value that is split at most its first five bytes are seen, in the piece before it is recognized.

use std::{collections::HashMap, sync::Arc};

use super::{
    known::Tail,
    manifest::Reader,
    memory::Held,
    rules,
    span::{Hidden, merge},
};

/// A line of this length was cut: helm's lines are, at 16 KiB or up to three bytes before it.
const CUT: usize = (16 << 10) - 3;
/// How much of an unfinished line is remembered.
const REMEMBERED: usize = 4 << 10;
/// The most producers, and sources of each, at a time. When there are more, they begin anew.
const MOST: usize = 1024;

/// What lies between two texts of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Border {
    /// A line break, unless the line is so long that it was cut.
    Line,
    /// Nothing: the bytes go on.
    Cut,
}

/// All sources that one masker listens to, by their producers.
#[derive(Default)]
pub(super) struct Voices(HashMap<Arc<str>, HashMap<String, Voice>>);

impl Voices {
    pub(super) fn of(&mut self, producer: &Arc<str>, source: &str) -> &mut Voice {
        if self.0.len() >= MOST {
            self.0.clear();
        }
        let sources = self.0.entry(Arc::clone(producer)).or_default();
        if sources.len() >= MOST {
            sources.clear();
        }
        sources.entry(source.to_owned()).or_default()
    }
}

/// One source.
#[derive(Default)]
pub(super) struct Voice {
    tail: Tail,
    reader: Reader,
    /// The line that is not finished.
    line: String,
}

impl Voice {
    /// Where secrets are in the next text: sorted, not empty, not overlapping.
    pub(super) fn next(&mut self, known: &Held, text: &str, border: Border) -> Vec<Hidden> {
        let goes_on = border == Border::Cut || text.len() >= CUT;
        let is_line = !goes_on && self.line.is_empty();
        let mut found = if self.line.is_empty() {
            let found = self.judge(known, text);
            self.remember(text, goes_on);
            found
        } else {
            let before = self.line.len();
            let joined = std::mem::take(&mut self.line) + text;
            let found = self.judge(known, &joined);
            self.remember(&joined, goes_on);
            found.into_iter().filter_map(|hidden| here(hidden, &joined, before)).collect()
        };
        found.extend(known.get().find_after(&mut self.tail, text, is_line));
        merge(text, found)
    }

    fn judge(&mut self, known: &Held, text: &str) -> Vec<Hidden> {
        let mut found = rules::find(text);
        known.learn_from(text, &found);
        found.extend(self.reader.next(text));
        found
    }

    fn remember(&mut self, text: &str, goes_on: bool) {
        self.line.clear();
        if goes_on {
            let line = &text[text.rfind('\n').map_or(0, |end| end + 1)..];
            self.line.push_str(&line[line.ceil_char_boundary(line.len().saturating_sub(REMEMBERED))..]);
        }
    }
}

/// What of a secret in two texts lies in the second one.
fn here(hidden: Hidden, joined: &str, before: usize) -> Option<Hidden> {
    let Hidden { range, quote, plain } = hidden;
    if range.end <= before {
        return None;
    }
    let plain = plain.or_else(|| (range.start < before).then(|| joined[range.clone()].to_owned()));
    let quote = quote.filter(|_| range.start >= before);
    Some(Hidden { range: range.start.saturating_sub(before)..range.end - before, quote, plain })
}
