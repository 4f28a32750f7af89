//! Secret values that a session is known to hold, searched for in every text.

use aho_corasick::{AhoCorasick, MatchKind};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::Hidden;

/// A value shorter than this, in characters, is not searched for: it would hide ordinary text.
const SHORTEST: usize = 6;

/// Words that are passwords in somebody's values file and ordinary text in everybody's log.
const ORDINARY: [&str; 36] = [
    "admin123",
    "cluster",
    "config",
    "configmap",
    "container",
    "database",
    "default",
    "deploy",
    "deployment",
    "develop",
    "development",
    "docker",
    "enabled",
    "disabled",
    "example",
    "grafana",
    "ingress",
    "kubernetes",
    "localhost",
    "manager",
    "master",
    "namespace",
    "nginx",
    "passwd",
    "password",
    "postgres",
    "postgresql",
    "production",
    "public",
    "release",
    "secret",
    "server",
    "service",
    "staging",
    "upgrade",
    "version",
];

/// Whether a value is worth searching for.
pub(super) fn is_worth_hiding(value: &str) -> bool {
    value.chars().count() >= SHORTEST
        && super::names::is_value(value)
        && !ORDINARY.contains(&value.to_ascii_lowercase().as_str())
}

/// The text behind a base64 value, if there is one.
pub(super) fn decode(value: &str) -> Option<String> {
    let compact: String = value.split_whitespace().collect();
    String::from_utf8(STANDARD.decode(compact).ok()?).ok()
}

/// Known values and the machine that finds them.
pub(super) struct Known {
    values: Vec<String>,
    finder: Option<AhoCorasick>,
}

impl Known {
    pub(super) fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut values: Vec<String> =
            values.into_iter().map(|value| value.trim().to_owned()).filter(|v| is_worth_hiding(v)).collect();
        values.sort_unstable();
        values.dedup();
        let needles: Vec<String> = values.iter().flat_map(|value| encodings(value)).collect();
        let finder = (!needles.is_empty())
            .then(|| AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(needles).ok())
            .flatten();
        Self { values, finder }
    }

    pub(super) fn values(&self) -> &[String] {
        &self.values
    }

    /// Every known value in `text`.
    pub(super) fn find<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Hidden> + 'a {
        let found = self.finder.iter().flat_map(move |finder| finder.find_iter(text));
        found.map(|hit| Hidden::new(hit.range()))
    }

    /// Blanks every known value in bytes that are no text.
    pub(super) fn blank(&self, bytes: &mut [u8]) {
        let Some(finder) = &self.finder else { return };
        let hits: Vec<_> = finder.find_iter(&*bytes).map(|hit| hit.range()).collect();
        for hit in hits {
            bytes[hit].fill(b'*');
        }
    }
}

/// A value as it can occur: plain, its lines (a long value is often printed line by line), and inside base64 at
/// each of the three places where a byte can fall.
fn encodings(value: &str) -> Vec<String> {
    let mut all = vec![value.to_owned()];
    if value.contains('\n') {
        all.extend(value.lines().map(str::trim).filter(|line| is_worth_hiding(line)).map(str::to_owned));
    }
    for shift in 0..3 {
        let mut shifted = vec![0; shift];
        shifted.extend_from_slice(value.as_bytes());
        let encoded = STANDARD.encode(&shifted);
        // Characters that also hold bits of the neighbors differ from text to text: they cannot be matched.
        let start = [0, 2, 3][shift];
        let whole = shifted.len() * 8 / 6;
        if whole > start + SHORTEST {
            all.push(encoded[start..whole].to_owned());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_at_every_place_inside_base64() {
        let known = Known::new(["correct-horse".to_owned()]);
        for before in ["", "a", "ab", "abc"] {
            let text = STANDARD.encode(format!("{before}correct-horse and more"));
            assert_eq!(known.find(&text).count(), 1, "after {} bytes", before.len());
        }
    }

    #[test]
    fn short_values_and_ordinary_words_are_left_alone() {
        let known = Known::new(["short".into(), "Production".into(), "true".into()]);
        assert_eq!(known.find("short production is true").count(), 0);
    }
}
