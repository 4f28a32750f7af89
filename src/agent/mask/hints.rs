//! What a text may hold, from one look at it: most texts have no word of the kind and are done.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::rules::TABLE;

/// There may be a name of a secret.
pub(super) const NAME: u32 = 1;
/// There may be an object that holds secrets under any name.
pub(super) const OBJECT: u32 = 2;
/// There may be a flag that takes a secret and is not named like one.
pub(super) const FLAG: u32 = 4;
/// There may be a match of some pattern.
pub(super) const PATTERNS: u32 = u32::MAX << FIRST;
/// The bit of the first pattern.
const FIRST: u32 = 8;

/// In every name of a secret is one of these.
const NAMES: [&str; 10] =
    ["pass", "pwd", "token", "secret", "key", "cred", "auth", "cookie", "docker", "string"];
const OBJECTS: [&str; 3] = ["data", "value", "@@ -"];
const FLAGS: [&str; 3] = ["login", "--user", "-u"];
/// A letter that is written as a number hides every hint.
const ANYTHING: &str = "\\u";

/// There may be a match of this pattern.
pub(super) fn of_pattern(number: usize) -> u32 {
    1 << (FIRST as usize + number)
}

/// All hints in a text, in whatever case they are written.
pub(super) fn of(text: &str) -> u32 {
    let Some((finder, bits)) = &*FINDER else { return u32::MAX };
    finder.find_overlapping_iter(text).fold(0, |all, found| all | bits[found.pattern().as_usize()])
}

static FINDER: LazyLock<Option<(AhoCorasick, Vec<u32>)>> = LazyLock::new(|| {
    let of = |bit: u32| move |word: &&'static str| (*word, bit);
    let patterns = TABLE.iter().enumerate();
    let (words, bits): (Vec<_>, Vec<_>) = NAMES
        .iter()
        .map(of(NAME))
        .chain(OBJECTS.iter().map(of(OBJECT)))
        .chain(FLAGS.iter().map(of(FLAG)))
        .chain([(ANYTHING, u32::MAX)])
        .chain(patterns.flat_map(|(number, (words, ..))| words.iter().map(of(of_pattern(number)))))
        .unzip();
    let kind = Some(AhoCorasickKind::DFA);
    Some((AhoCorasick::builder().ascii_case_insensitive(true).kind(kind).build(words).ok()?, bits))
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::names;

    #[test]
    fn every_name_of_a_secret_is_hinted_at() {
        for name in names::all() {
            assert_eq!(of(&format!("x {}=1", name.to_uppercase())) & NAME, NAME, "{name}");
        }
        assert_eq!(of("the request was served"), 0);
        assert_eq!(of("see https://x") & PATTERNS, of_pattern(3) | of_pattern(4));
        assert_eq!(of(r"\u0070assword"), u32::MAX);
    }
}
