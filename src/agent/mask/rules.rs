//! What gives a secret away by how it is written.

use std::{ops::Range, sync::LazyLock};

use regex::{Captures, Regex};

use super::{Hidden, names, secret};

/// Every secret that the text itself shows.
pub(super) fn find(text: &str) -> Vec<Hidden> {
    let mut hidden = secret::find(text);
    hidden.extend(json(text));
    for (rule, of_match) in RULES.iter() {
        hidden.extend(rule.captures_iter(text).filter_map(|found| of_match(&found)));
    }
    hidden
}

type OfMatch = fn(&Captures<'_>) -> Option<Hidden>;

/// A pattern, and what of its match is a secret.
static RULES: LazyLock<Vec<(Regex, OfMatch)>> = LazyLock::new(|| {
    let table: [(&str, OfMatch); 7] = [
        // A private key: all between its two lines, or to the end when the second is missing.
        (r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?P<value>[^-]+)", value),
        // user:password@ in a URL.
        (r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/@:]*:(?P<value>[^\s/@]+)@", value),
        // A long token alone before the @ of a URL.
        (r"[a-zA-Z][a-zA-Z0-9+.-]*://(?P<value>[^\s/@:]{16,})@", value),
        (r"(?i)\bbearer\s+(?P<value>[A-Za-z0-9._~+/-]{8,}=*)", token),
        (r#"(?i)\bauthorization["']?\s*[:=]\s*["']?(?:basic|bearer|token)\s+(?P<value>[^\s"',;]+)"#, value),
        // name: value at the start of a YAML line. Elsewhere "unexpected token: x" would be hidden too.
        (
            r#"(?m)^[ \t+-]*["']?(?P<name>[A-Za-z0-9_./-]{1,128})["']?[ \t]*:[ \t]+(?:"(?P<value>[^"\n]*)"|'(?P<single>[^'\n]*)'|(?P<bare>[^\s"'\[{&*!|>#][^\n]*?))[ \t]*(?:[ \t]#[^\n]*)?\r?$"#,
            named,
        ),
        // name=value: --set, --build-arg, the environment, a query.
        (
            r#"(?P<name>[A-Za-z0-9_./\[\]-]{1,128})=(?:\\*"(?P<value>[^"\\\n]*)\\*"|'(?P<single>[^'\n]*)'|(?P<bare>(?:\\[^\n]|[^\s,&;"'\\}\]])+))"#,
            named,
        ),
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
    let value = found.name("value").or(found.name("single")).or_else(|| found.name("bare"))?;
    let hides = names::is_sensitive(found.name("name")?.as_str()) && names::is_value(value.as_str());
    hides.then(|| Hidden::new(value.range()))
}

/// A key of JSON, its quotes escaped or not, up to where its value starts.
static KEY: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"\\*"(?P<name>[^"\\\s]{1,128})\\*"\s*:\s*"#).ok());

/// Values under sensitive names in JSON, also in JSON that is a string of other JSON. Only keys are matched by
/// pattern: a pattern that took values too would step over the keys inside of them.
fn json(text: &str) -> impl Iterator<Item = Hidden> + '_ {
    let keys = KEY.iter().flat_map(move |key| key.captures_iter(text));
    keys.filter(|key| names::is_sensitive(&key["name"])).filter_map(move |key| {
        let start = key.get(0)?.end();
        let (value, quote) = json_value(&text[start..])?;
        let range = start + value.start..start + value.end;
        names::is_value(&text[range.clone()]).then(|| Hidden { quote, ..Hidden::new(range) })
    })
}

/// Where a JSON scalar stands in the text that begins with it, without its quotes, and whether it had none.
fn json_value(text: &str) -> Option<(Range<usize>, bool)> {
    let level = text.len() - text.trim_start_matches('\\').len();
    let Some(rest) = text[level..].strip_prefix('"') else {
        let end =
            text.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).unwrap_or(text.len());
        return (end > 0).then_some((0..end, true));
    };
    let start = level + 1;
    let escapes = |quote: usize| rest[..quote].len() - rest[..quote].trim_end_matches('\\').len();
    let closing = rest.match_indices('"').map(|(at, _)| at).find(|at| escapes(*at) <= level);
    let end = closing.map_or(rest.len(), |at| at - escapes(at));
    Some((start..start + end, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(RULES.len(), 8);
        assert!(KEY.is_some());
    }
}
