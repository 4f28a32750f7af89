//! Everything that gives a secret away by how it is written, in every layer of a text.

use std::{ops::Range, sync::LazyLock};

use regex::{Captures, Regex};

use super::{argv, braces, hints, layers::Layer, loose, manifest, names, pairs, span::Hidden};

/// How many levels of escapes are undone: a manifest in an annotation in a log line in JSON has three.
const DEEPEST: usize = 5;

/// Every secret that the text itself shows.
pub(super) fn find(text: &str) -> Vec<Hidden> {
    let (mut hidden, mut judged) = (Vec::new(), Vec::new());
    let hints = hints::of(text);
    if hints != 0 {
        find_in(text, hints, &mut hidden, &mut judged);
        loose::find(text, &mut hidden, &judged);
    }
    hidden
}

fn find_in(text: &str, hints: u32, hidden: &mut Vec<Hidden>, judged: &mut Vec<usize>) {
    find_here(text, hints, hidden, judged);
    if !text.contains('\\') {
        return;
    }
    find_quoted(text, DEEPEST, hints, hidden, judged);
    // Once more over quotes: what was cut off has lost its own.
    let mut layers: Vec<Layer> = Vec::new();
    for depth in 0..DEEPEST {
        let Some(layer) = Layer::below(layers.last().map_or(text, |layer| &layer.text)) else { break };
        let (mut below, mut known) = (Vec::new(), Vec::new());
        find_here(&layer.text, hints, &mut below, &mut known);
        layers.push(layer);
        for layer in layers[..=depth].iter().rev() {
            below = below.into_iter().map(|found| layer.lift(found)).collect();
            known = known.into_iter().map(|at| layer.origin(at)).collect();
        }
        hidden.append(&mut below);
        judged.append(&mut known);
    }
}

/// In each string in quotes, with its escapes undone, and in the strings in those.
fn find_quoted(text: &str, deepest: usize, hints: u32, hidden: &mut Vec<Hidden>, judged: &mut Vec<usize>) {
    for range in quoted(text) {
        let Some(layer) = Layer::below(&text[range.clone()]) else { continue };
        let (mut below, mut known) = (Vec::new(), Vec::new());
        find_here(&layer.text, hints, &mut below, &mut known);
        if deepest > 1 {
            find_quoted(&layer.text, deepest - 1, hints, &mut below, &mut known);
        }
        hidden.extend(below.into_iter().map(|found| layer.lift(found).after(range.start)));
        judged.extend(known.into_iter().map(|at| layer.origin(at) + range.start));
    }
}

/// What stands between quotes and holds an escape.
fn quoted(text: &str) -> Vec<Range<usize>> {
    let (mut open, mut escapes, mut skip) = (None, false, false);
    let mut found = Vec::new();
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if skip => skip = false,
            b'\\' => (skip, escapes) = (true, true),
            b'"' => match open.take() {
                Some(start) if escapes => found.push(start..at),
                Some(_) => {}
                None => (open, escapes) = (Some(at + 1), false),
            },
            _ => {}
        }
    }
    found.extend(open.filter(|_| escapes).map(|start| start..text.len()));
    found
}

/// In the text as it is.
fn find_here(text: &str, hints: u32, hidden: &mut Vec<Hidden>, judged: &mut Vec<usize>) {
    if hints & (hints::NAME | hints::OBJECT) != 0 {
        manifest::find(text, hidden, judged);
        braces::find(text, hidden, judged);
    }
    if hints & (hints::NAME | hints::FLAG) != 0 {
        argv::find(text, hidden);
    }
    if hints & hints::NAME != 0 {
        pairs::find(text, hidden);
    }
    if hints & hints::PATTERNS != 0 {
        for (number, (pattern, of_match)) in PATTERNS.iter().enumerate() {
            if hints & hints::of_pattern(number) != 0 {
                hidden.extend(pattern.captures_iter(text).filter_map(|found| of_match(&found)));
            }
        }
    }
}

/// What of a match is a secret.
type OfMatch = fn(&Captures<'_>) -> Option<Hidden>;

/// Words that hint at a pattern, the pattern, and what of a match is a secret.
type Row = (&'static [&'static str], &'static str, OfMatch);

pub(super) const TABLE: [Row; 11] = [
    // "the literal password 'x' in the environment"
    (
        &["passw", "passphrase"],
        r#"(?i)\b(?:password|passwd|passphrase)[ \t]+(?:'(?P<value>[^'\s]{4,})'|"(?P<quoted>[^"\s\\]{4,})")"#,
        spoken,
    ),
    // A private key: all between its two lines, or to the end when the second is missing.
    (&["PRIVATE KEY"], r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?P<value>[^-]+)", value),
    // The same in base64.
    (&["LS0tLS1CRUdJTi"], r"(?P<value>LS0tLS1CRUdJTi[A-Za-z0-9+/=]+)", key),
    // user:password@ in a URL.
    (&["://"], r#"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/@:"'<>]*:(?P<value>[^\s/"'<>]+)@"#, value),
    // A long token alone before the @ of a URL.
    (&["://"], r#"[a-zA-Z][a-zA-Z0-9+.-]*://(?P<value>[^\s/@:"'<>?#]{16,})@"#, value),
    // What signs a URL, and what opens a session page.
    (
        &["sig=", "ature=", "ential=", "code=", "auth="],
        r#"(?i)[?&](?:x-amz-signature|x-amz-credential|x-amz-security-token|signature|sig|code|auth|sv_sig)=(?P<value>[^\s&#"'<>]{8,})"#,
        value,
    ),
    (&["#k="], r#"#k=(?P<value>[^\s&"'<>]{6,})"#, value),
    (&["bearer"], r"(?i)\bbearer[ \t]+(?P<value>[A-Za-z0-9._~+/-]{8,}=*)", token),
    (
        &["authorization"],
        r#"(?i)\b(?:proxy-)?authorization["'\]]?[ \t]*[:=][ \t]*\[?["']?(?:basic|bearer|token|digest)[ \t]+(?P<value>[^\s"',;\]]+)"#,
        value,
    ),
    // A token that says itself what it is: of a service account, or signed in.
    (&["eyJ"], r"\b(?P<value>eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*)", value),
    (
        &[
            "gh",
            "glpat-",
            "xox",
            "npm_",
            "sk_live_",
            "sk-",
            "AKIA",
            "AIza",
            "hvs.",
            "dckr_pat_",
            "pypi-",
            "SG.",
        ],
        concat!(
            r"\b(?P<value>gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}",
            r"|xox[abprs]-[A-Za-z0-9-]{10,}|npm_[A-Za-z0-9]{30,}|sk_live_[A-Za-z0-9]{16,}|sk-ant-[A-Za-z0-9_-]{20,}",
            r"|AIza[A-Za-z0-9_-]{35}|hvs\.[A-Za-z0-9_-]{20,}|dckr_pat_[A-Za-z0-9_-]{16,}|pypi-[A-Za-z0-9_-]{30,}",
            r"|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,})",
        ),
        value,
    ),
];

static PATTERNS: LazyLock<Vec<(Regex, OfMatch)>> = LazyLock::new(|| {
    // The patterns are constants, and a test compiles them all.
    TABLE.iter().filter_map(|(_, pattern, of_match)| Some((Regex::new(pattern).ok()?, *of_match))).collect()
});

fn value(found: &Captures<'_>) -> Option<Hidden> {
    let value = found.name("value").filter(|value| names::is_value(value.as_str()))?;
    Some(Hidden::new(value.range()))
}

/// A value in either kind of quotes.
fn spoken(found: &Captures<'_>) -> Option<Hidden> {
    let value =
        found.name("value").or(found.name("quoted")).filter(|value| names::is_value(value.as_str()))?;
    Some(Hidden::new(value.range()))
}

/// A word after "bearer" that is no English one.
fn token(found: &Captures<'_>) -> Option<Hidden> {
    let text = found.name("value")?.as_str();
    let looks_random = text.len() >= 20 || text.bytes().any(|b| b.is_ascii_digit());
    looks_random.then(|| value(found)).flatten()
}

/// A PEM in base64 that holds a private key. A certificate stays.
fn key(found: &Captures<'_>) -> Option<Hidden> {
    let text = found.name("value")?.as_str();
    let whole = &text[..text.len() / 4 * 4];
    let plain = super::encode::decode(whole.trim_end_matches('='))?;
    plain.contains("PRIVATE KEY").then(|| value(found)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(PATTERNS.len(), TABLE.len());
    }
}
