//! What gives a secret away by how it is written.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::{Hidden, names, pairs, secret};

/// Every secret that the text itself shows.
pub(super) fn find(text: &str) -> Vec<Hidden> {
    let mut hidden = secret::find(text);
    hidden.extend(pairs::find(text));
    for (rule, of_match) in RULES.iter() {
        hidden.extend(rule.captures_iter(text).filter_map(|found| of_match(&found)));
    }
    hidden
}

type OfMatch = fn(&Captures<'_>) -> Option<Hidden>;

/// A pattern, and what of its match is a secret.
static RULES: LazyLock<Vec<(Regex, OfMatch)>> = LazyLock::new(|| {
    let table: [(&str, OfMatch); 5] = [
        // A private key: all between its two lines, or to the end when the second is missing.
        (r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?P<value>[^-]+)", value),
        // user:password@ in a URL.
        (r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/@:]*:(?P<value>[^\s/@]+)@", value),
        // A long token alone before the @ of a URL.
        (r"[a-zA-Z][a-zA-Z0-9+.-]*://(?P<value>[^\s/@:]{16,})@", value),
        (r"(?i)\bbearer\s+(?P<value>[A-Za-z0-9._~+/-]{8,}=*)", token),
        (r#"(?i)\bauthorization["']?\s*[:=]\s*["']?(?:basic|bearer|token)\s+(?P<value>[^\s"',;]+)"#, value),
    ];
    let flag = r#"(?:^|\s)(?P<name>--?[A-Za-z][A-Za-z0-9-]*)\s+["']?(?P<value>[^\s"'-][^\s"']*)"#;
    let all = table.into_iter().chain([(flag, named as OfMatch)]);
    // The patterns are constants, and a test compiles them all.
    all.filter_map(|(pattern, of_match)| Some((Regex::new(pattern).ok()?, of_match))).collect()
});

fn value(found: &Captures<'_>) -> Option<Hidden> {
    found.name("value").map(|value| Hidden::new(value.range()))
}

/// A word after "bearer" that is no English one.
fn token(found: &Captures<'_>) -> Option<Hidden> {
    let text = found.name("value")?.as_str();
    let looks_random = text.len() >= 20 || text.bytes().any(|b| b.is_ascii_digit());
    looks_random.then(|| value(found)).flatten()
}

fn named(found: &Captures<'_>) -> Option<Hidden> {
    let value = found.name("value")?;
    let hides = names::is_sensitive(found.name("name")?.as_str()) && names::is_value(value.as_str());
    hides.then(|| Hidden::new(value.range()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(RULES.len(), 6);
    }
}
