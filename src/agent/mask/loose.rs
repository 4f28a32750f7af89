//! What says that it is a Secret and follows no grammar: hidden as a whole.

use std::{collections::HashSet, ops::Range, sync::LazyLock};

use regex::Regex;

use super::{manifest, span::Hidden};

/// How Go prints the data of a Secret, and what closes it.
const GO_MAPS: [(&str, char, char); 5] = [
    ("data:map[", '[', ']'),
    ("stringData:map[", '[', ']'),
    ("Data:map[string][]uint8{", '{', '}'),
    ("Data:map[string][]byte{", '{', '}'),
    ("StringData:map[string]string{", '{', '}'),
];

/// The piece of JSON that the API server quotes when it cannot read an object.
static CONTEXT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?s)\.\.\.\|(.*?)(?:\|\.\.\.|$)").ok());

/// Adds what no structure took. `judged` are the places of each `data` that was understood.
pub(super) fn find(text: &str, hidden: &mut Vec<Hidden>, judged: &[usize]) {
    if !text.contains("Secret") {
        return;
    }
    for (prefix, open, close) in GO_MAPS {
        let mut until = 0;
        for (at, _) in text.match_indices(prefix) {
            if at >= until {
                let start = at + prefix.len();
                until = start + closing(&text[start..], open, close);
                hidden.push(Hidden::new(start..until));
            }
        }
    }
    if text.contains("...|") {
        let found = CONTEXT.iter().flat_map(|context| context.captures_iter(text));
        hidden.extend(found.filter_map(|found| found.get(1)).map(|inner| Hidden::new(inner.range())));
    }
    if text.contains("ata") && manifest::says_secret(text) {
        let judged: HashSet<usize> = judged.iter().copied().collect();
        let mut until = 0;
        for key in data_keys(text) {
            if key.start >= until && !judged.contains(&key.start) {
                until = document_end(text, key.end);
                hidden.push(Hidden::new(key.end..until));
            }
        }
    }
}

/// Where a bracket closes that is open where the text begins; its end, when it does not.
fn closing(text: &str, open: char, close: char) -> usize {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        if c == open {
            depth += 1;
        } else if c == close {
            depth -= 1;
            if depth == 0 {
                return at;
            }
        }
    }
    text.len()
}

/// Each `data` or `stringData` that is a key, to behind its separator.
fn data_keys(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let starts = |at: usize| !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || "_-.".contains(c));
    let names = text.match_indices("data").chain(text.match_indices("stringData"));
    names.filter(move |(at, _)| starts(*at)).filter_map(|(at, name)| {
        let rest = &text[at + name.len()..];
        let separator = rest.trim_start_matches(['"', '\'', '\\', ' ']);
        let near = &text[text.floor_char_boundary(at.saturating_sub(1024))..at];
        let line = &near[near.rfind('\n').map_or(0, |end| end + 1)..];
        // "failed parsing --set data: x" is a sentence, unless it speaks of a Secret.
        let is_sentence = line.trim_end().ends_with(char::is_alphanumeric) && !line.contains("ecret");
        let is_sentence = is_sentence
            || [": Too long", ": Forbidden", ": Required"].iter().any(|why| rest.starts_with(why));
        let is_key = separator.starts_with([':', '=']) && !separator.starts_with(":map[") && !is_sentence;
        is_key.then(|| at..text.len() - separator.len() + 1)
    })
}

fn document_end(text: &str, from: usize) -> usize {
    text[from..].find("\n---").map_or(text.len(), |end| from + end)
}
