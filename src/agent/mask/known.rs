//! Secret values that a session is known to hold, searched for in every text.
//!
//! All forms of all values are found by their first [`HEAD`] bytes, and then compared as a whole. A text
//! that ends inside of a value is hidden from where the value begins, once its first [`HEAD`] bytes are there: the next
//! text of the same stream may bring the rest, and this one does not wait for it.

use std::{collections::BTreeSet, ops::Range};

use super::{
    encode,
    heads::{HEAD, Heads},
    names,
    span::{Hidden, whole_characters},
    view::{Escape, View},
};

/// A value shorter than this, in characters, is not searched for: it would hide ordinary text.
const SHORTEST: usize = 6;
/// The longest form that is compared at once; of a longer one each part of this length is searched for.
const LONGEST: usize = 1024;
/// The longest value, in bytes, that is learned out of ordinary text: a key is shorter, and a file is no password.
const LONGEST_LEARNED: usize = 8 << 10;
/// The most values of one session. Later ones are hidden where their place tells, and nowhere else.
const MOST: usize = 4096;

/// Whether a value is worth searching for: long enough, no ordinary word, nothing that is public anyway.
pub(super) fn is_worth_hiding(value: &str) -> bool {
    value.chars().count() >= SHORTEST
        && names::is_value(value)
        && !names::is_ordinary(value)
        && value.bytes().collect::<BTreeSet<u8>>().len() > 2
        && !is_public(value)
}

/// The secrets behind a range that was found by its place, worth to be known: decoded where that gives a text.
pub(super) fn values_of(text: &str, hidden: &Hidden) -> Vec<String> {
    let written = text[hidden.range.clone()].trim();
    let plain = hidden.plain.as_deref().map(str::trim).filter(|plain| is_worth_hiding(plain));
    let value = plain.unwrap_or(written);
    if is_worth_hiding(value) { vec![value.to_owned()] } else { Vec::new() }
}

/// Whether a value that ordinary text names as a secret is no plain word.
pub(super) fn is_distinctive(value: &str) -> bool {
    let is_long = value.len() >= 16 && value.len() <= LONGEST_LEARNED;
    is_long || value.len() < 16 && (!value.bytes().all(|b| b.is_ascii_lowercase()) && !value.contains(' '))
}

/// A certificate, plain or in base64. One without its key opens nothing, and a `caBundle` stays readable.
pub(super) fn is_public(value: &str) -> bool {
    let is_certificate =
        |text: &str| text.trim().starts_with("-----BEGIN CERTIFICATE-----") && !text.contains("PRIVATE KEY");
    is_certificate(value)
        || (value.starts_with("LS0tLS1") && encode::decode(value).is_some_and(|text| is_certificate(&text)))
}

/// Known values and the machine that finds them.
#[derive(Default)]
pub(super) struct Known {
    values: Vec<String>,
    /// Every form with the number of its value, sorted.
    needles: Vec<(Box<[u8]>, usize)>,
    heads: Heads,
    /// The needles that begin with each head.
    of_head: Vec<Range<usize>>,
}

/// A known value in a view, or the beginning of one at its end.
struct Hit {
    range: Range<usize>,
    value: usize,
}

impl Known {
    pub(super) fn new(values: impl IntoIterator<Item = String>) -> Self {
        let values = values.into_iter().map(|value| value.trim().to_owned());
        let values: BTreeSet<String> = values.filter(|value| is_worth_hiding(value)).collect();
        let values: Vec<String> = values.into_iter().take(MOST).collect();
        let mut needles: Vec<(Box<[u8]>, usize)> = Vec::new();
        for (number, value) in values.iter().enumerate() {
            for form in encode::forms(value) {
                needles.extend(parts(&form).map(|part| (part.into(), number)));
            }
        }
        needles.sort_unstable();
        needles.dedup_by(|one, other| one.0 == other.0);
        let of_head = chunks_by_head(&needles);
        let heads = of_head.iter().filter_map(|chunk| needles[chunk.start].0[..HEAD].try_into().ok());
        Self { heads: Heads::new(heads.collect()), values, needles, of_head }
    }

    /// All of them, sorted.
    pub(super) fn values(&self) -> &[String] {
        &self.values
    }

    /// Whether there is no room for more.
    pub(super) fn is_full(&self) -> bool {
        self.values.len() >= MOST
    }

    pub(super) fn contains(&self, value: &str) -> bool {
        self.values.binary_search_by(|known| known.as_str().cmp(value)).is_ok()
    }

    /// Every known value in a text that stands alone.
    pub(super) fn find(&self, text: &str) -> Vec<Hidden> {
        self.find_after(&mut Tail::default(), text, true)
    }

    /// Every known value in a text, with those that began in the texts before it.
    pub(super) fn find_after(&self, tail: &mut Tail, text: &str, is_line: bool) -> Vec<Hidden> {
        if self.heads.is_empty() {
            return Vec::new();
        }
        let view = View::new(text.as_bytes(), &mut tail.escape, is_line);
        let before = tail.begun.len();
        if before == 0 {
            let hits = self.hits(view.bytes());
            tail.begun = view.bytes()[self.begun(view.bytes(), &hits)..].to_vec();
            return hits.into_iter().map(|hit| self.hidden(hit, &view, text)).collect();
        }
        let mut seen = std::mem::take(&mut tail.begun);
        seen.extend_from_slice(view.bytes());
        let hits = self.hits(&seen);
        tail.begun = seen[self.begun(&seen, &hits)..].to_vec();
        let here = hits
            .into_iter()
            .filter(|hit| hit.range.end > before)
            .map(|hit| Hit { range: hit.range.start.saturating_sub(before)..hit.range.end - before, ..hit });
        here.map(|hit| self.hidden(hit, &view, text)).collect()
    }

    /// Blanks every known value in bytes that are no text.
    pub(super) fn blank(&self, bytes: &mut [u8]) {
        for hit in self.hits(bytes) {
            bytes[hit.range].fill(b'*');
        }
    }

    fn hidden(&self, hit: Hit, view: &View<'_>, text: &str) -> Hidden {
        let range = whole_characters(text, view.range(hit.range));
        Hidden { plain: Some(self.values[hit.value].clone()), ..Hidden::new(range) }
    }

    fn hits(&self, seen: &[u8]) -> Vec<Hit> {
        let mut hits = Vec::new();
        for (start, head) in self.heads.find(seen) {
            let needles = self.of_head[head].clone();
            let rest = &seen[start..];
            let whole = |(needle, _): &&(Box<[u8]>, usize)| rest.starts_with(needle);
            let begun = |(needle, _): &&(Box<[u8]>, usize)| needle.starts_with(rest);
            // The longest comes last.
            let needles = &self.needles[needles];
            let whole = needles.iter().rev().find(whole).map(|(needle, value)| (needle.len(), *value));
            let begun = || needles.iter().find(begun).map(|(_, value)| (rest.len(), *value));
            if let Some((length, value)) = begun().or(whole) {
                hits.push(Hit { range: start..start + length, value });
            }
        }
        hits
    }

    /// Where the longest end of `seen` starts that a known value begins with.
    fn begun(&self, seen: &[u8], hits: &[Hit]) -> usize {
        let is_begin = |at: &usize| {
            let end = &seen[*at..];
            let next = self.needles.partition_point(|(needle, _)| &**needle <= end);
            self.needles.get(next).is_some_and(|(needle, _)| needle.starts_with(end))
        };
        let long = hits.iter().map(|hit| hit.range.start).find(is_begin);
        let short = || {
            (seen.len().saturating_sub(HEAD - 1)..seen.len()).find(|at| self.heads.begin_with(&seen[*at..]))
        };
        long.or_else(short).unwrap_or(seen.len())
    }
}

/// Where a stream of texts ended.
#[derive(Default)]
pub(super) struct Tail {
    /// The end of what was said, when a known value begins like it.
    begun: Vec<u8>,
    escape: Escape,
}

/// A long form in parts, the last one whole.
fn parts(form: &[u8]) -> impl Iterator<Item = &[u8]> {
    let cuts = (form.len() / LONGEST).max(1);
    (0..cuts).map(move |cut| {
        let start = cut * LONGEST;
        if cut + 1 == cuts { &form[start..] } else { &form[start..start + LONGEST] }
    })
}

fn chunks_by_head(needles: &[(Box<[u8]>, usize)]) -> Vec<Range<usize>> {
    let mut start = 0;
    let chunks = needles.chunk_by(|one, next| one.0[..HEAD] == next.0[..HEAD]);
    chunks
        .map(|chunk| {
            start += chunk.len();
            start - chunk.len()..start
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;

    fn shown(known: &Known, tail: &mut Tail, text: &str, is_line: bool) -> String {
        let mut shown = text.as_bytes().to_vec();
        for hidden in known.find_after(tail, text, is_line) {
            shown[hidden.range].fill(b'*');
        }
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn a_value_is_found_at_every_place_inside_base64() {
        let known = Known::new(["correct-horse".to_owned()]);
        for before in ["", "a", "ab", "abc"] {
            let text = STANDARD.encode(format!("{before}correct-horse and more"));
            assert_eq!(known.find(&text).len(), 1, "after {} bytes", before.len());
        }
    }

    #[test]
    fn short_values_ordinary_words_and_certificates_are_left_alone() {
        let certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        let values = ["short", "Production", "true", "------", certificate, &STANDARD.encode(certificate)];
        assert!(Known::new(values.map(str::to_owned)).values().is_empty());
    }

    #[test]
    fn a_value_split_at_any_byte_shows_at_most_five_of_its_first() {
        let known = Known::new(["correct-horse-battery".to_owned()]);
        let text = "x correct-horse-battery y";
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let mut tail = Tail::default();
                let parts = [&text[..first], &text[first..second], &text[second..]];
                let said: String = parts.iter().map(|part| shown(&known, &mut tail, part, false)).collect();
                let seen = said.trim_start_matches("x ").split('*').next().unwrap();
                assert!(seen.len() < HEAD && said.ends_with("* y"), "{first}, {second}: {said}");
                assert!(said.bytes().filter(|byte| *byte == b'*').count() > 15, "{said}");
            }
        }
    }

    #[test]
    fn a_value_said_byte_by_byte_in_color_is_hidden() {
        let known = Known::new(["correct-horse-battery".to_owned()]);
        let mut tail = Tail::default();
        let text = "\x1b[1mcorrect-ho\x1b[31mrse-battery\x1b[0m!";
        let parts = text.bytes().map(|byte| char::from(byte).to_string());
        let said: String = parts.map(|part| shown(&known, &mut tail, &part, false)).collect();
        assert_eq!(said.replace("\x1b[1m", "").replace("\x1b[0m", ""), "corre*****\x1b[31m***********!");
    }

    #[test]
    fn a_wrapped_and_indented_value_is_one() {
        let known = Known::new(["first line\nsecond line\nthird".to_owned()]);
        let text = "key: |\n    first line\n    second line\n    third\nnext: 1\n";
        let found = known.find(text).into_iter().map(|hidden| &text[hidden.range]);
        let whole = "first line\n    second line\n    third";
        assert!(found.clone().any(|found| found == whole), "{:?}", found.collect::<Vec<_>>());
    }

    #[test]
    fn a_line_that_ends_like_a_value_begins_is_hidden_from_there() {
        let known = Known::new(["correct-horse".to_owned()]);
        assert_eq!(known.find("that is correct")[0].range, 8..15);
        assert!(known.find("is that corr").is_empty());
    }

    #[test]
    fn a_value_longer_than_what_is_compared_at_once_is_hidden_whole() {
        let long = (0..900).fold(String::new(), |long, number| long + &format!("{number:x}"));
        let known = Known::new([long.clone()]);
        let text = format!("a {long} b");
        let mut covered = vec![false; text.len()];
        known.find(&text).into_iter().for_each(|hidden| covered[hidden.range].fill(true));
        assert_eq!(covered.iter().filter(|byte| **byte).count(), long.len());
    }
}
