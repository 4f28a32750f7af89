//! Values under sensitive names: `name: value`, `name=value` and `"name": value`.
//!
//! Found from the separator, by hand: a pattern that takes a whole pair steps over the pairs inside its value, and
//! `--set=db.password=x` or JSON in JSON are nothing else.

use std::ops::Range;

use memchr::memchr2_iter;

use super::{names, span::Hidden};

/// The longest name that is looked at.
const LONGEST: usize = 128;

/// Adds every value under a sensitive name.
pub(super) fn find(text: &str, hidden: &mut Vec<Hidden>) {
    let mut until = 0;
    for at in memchr2_iter(b':', b'=', text.as_bytes()) {
        if at + 1 < until {
            continue; // It is hidden, and reading on from each of its pairs would take for ever.
        }
        let is_assigned = text[at..].starts_with('=');
        let found = if is_assigned { assigned(text, at) } else { json(text, at).or_else(|| yaml(text, at)) };
        if let Some(found) = found.filter(|found| names::is_value(&text[found.range.clone()])) {
            until = found.range.end;
            hidden.push(found);
        }
    }
}

/// `name=value`, as in `--set`, the environment and a query.
fn assigned(text: &str, at: usize) -> Option<Hidden> {
    let name = name_before(&text[..at])?;
    names::is_sensitive(&text[name.clone()]).then_some(())?;
    let start = at + 1;
    let value = quoted(&text[start..]).unwrap_or_else(|| 0..bare_end(&text[start..]));
    Some(Hidden::new(start + value.start..start + value.end))
}

/// Where a bare value of an assignment ends. Helm escapes a comma that belongs to the value.
fn bare_end(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if !rest[at + 1..].starts_with('"') => escaped = true,
            _ if c.is_whitespace() || ",&;\"'\\}])".contains(c) => return at,
            _ => {}
        }
    }
    rest.len()
}

/// `"name": value` in JSON, its quotes escaped or not.
fn json(text: &str, at: usize) -> Option<Hidden> {
    let before = text[..at].trim_end().strip_suffix('"')?.trim_end_matches('\\');
    let name = before.rsplit('"').next().filter(|name| name.len() <= LONGEST)?;
    names::is_sensitive(name.trim_end_matches('\\')).then_some(())?;
    let rest = &text[at + 1..];
    let start = at + 1 + rest.len() - rest.trim_start().len();
    if let Some(value) = quoted(&text[start..]) {
        return Some(Hidden::new(start + value.start..start + value.end));
    }
    let bare = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let rest = &text[start..];
    let end = rest.find(|c| !bare(c)).unwrap_or(rest.len());
    let quote = Some(text[..at].trim_end().len() - 1 - before.len());
    Some(Hidden { quote, ..Hidden::new(start..start + end) })
}

/// `name: value` in YAML or in a sentence. Where the name does not start a line or a clause, as in "unexpected token:
/// found", its value is one word that is no ordinary one.
fn yaml(text: &str, at: usize) -> Option<Hidden> {
    // Most colons end here. Asked before the line is read to its end: JSON can be one line of megabytes.
    if !text[at + 1..].starts_with([' ', '\t']) {
        return None;
    }
    let name = name_before(text[..at].trim_end_matches([' ', '\t', '"', '\'']))?;
    names::is_sensitive(&text[name.clone()]).then_some(())?;
    let before = text[..name.start].trim_end_matches(['"', '\'', ' ', '\t', '+', '-']);
    let starts = before.is_empty() || before.ends_with(['\n', '\r', ':', ';', ',', '(', '{', '[']);
    let rest = text[at + 1..].split('\n').next()?;
    let blank = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    let start = at + 1 + blank;
    let value = &rest[blank..];
    if !starts {
        // In the middle of a sentence ("the literal password: x"): one word, unless it is an ordinary one.
        let word = quoted(value).unwrap_or_else(|| 0..bare_end(value));
        let is_ordinary =
            word.len() < 6 || value[word.clone()].bytes().all(|b| b.is_ascii_alphabetic() || b == b' ');
        return (!is_ordinary).then(|| Hidden::new(start + word.start..start + word.end));
    }
    if let Some(within) = quoted(value) {
        return Some(Hidden::new(start + within.start..start + within.end));
    }
    let comment = value.find(" #").unwrap_or(value.len());
    // Inside of a string the value ends with it: `"msg":"password: x","user":"me"`.
    let ends =
        if is_in_quotes(&text[..name.start]) { value.find('"').unwrap_or(value.len()) } else { value.len() };
    let value = value[..comment.min(ends)].trim_end_matches([' ', '\t', '\r', '\\']);
    (!value.starts_with(['{', '[', '&', '*', '!', '|', '>', '#']))
        .then(|| Hidden::new(start..start + value.len()))
}

/// Whether a quote is open at the end of a text, as far as its last line and 4 KiB tell.
fn is_in_quotes(text: &str) -> bool {
    let near = &text[text.ceil_char_boundary(text.len().saturating_sub(4096))..];
    let line = &near[near.rfind('\n').map_or(0, |end| end + 1)..];
    let mut escaped = false;
    line.bytes().fold(false, |open, byte| {
        let turns = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        open != turns
    })
}

/// The name that a text ends with.
fn name_before(text: &str) -> Option<Range<usize>> {
    let part_of_name =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'/' | b'[' | b']' | b'-');
    let length = text.bytes().rev().take(LONGEST + 1).take_while(part_of_name).count();
    (1..=LONGEST).contains(&length).then(|| text.len() - length..text.len())
}

/// What stands between the quotes that a text begins with. Quotes that are escaped at the same level, as in JSON
/// inside JSON, are the end; deeper ones belong to the value.
fn quoted(text: &str) -> Option<Range<usize>> {
    let level = text.len() - text.trim_start_matches('\\').len();
    let quote = text[level..].chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let start = level + 1;
    let rest = &text[start..];
    let escapes = |at: usize| rest[..at].len() - rest[..at].trim_end_matches('\\').len();
    let closing = rest.match_indices(quote).map(|(at, _)| at).find(|at| escapes(*at) <= level);
    let end = closing.map_or(rest.len(), |at| at - escapes(at));
    Some(start..start + end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::span::found_by;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(found_by(find, text), expected, "in {text:?}");
    }

    #[test]
    fn a_pair_inside_a_value_is_found() {
        check("--set=db.password=hunter2,replicas=2", &["hunter2"]);
        check("url=https://x/?token=hunter2&a=b", &["hunter2"]);
        check("error: cannot patch: password: hunter2", &["hunter2"]);
        check(r#"{"a":"{\"password\":\"hunter2\",\"b\":1}"}"#, &["hunter2"]);
        check(r#"{"a":"{\"b\":\"{\\\"token\\\":\\\"hunter2\\\"}\"}"}"#, &["hunter2"]);
    }

    #[test]
    fn a_value_ends_where_its_grammar_says() {
        check(r"--set a.password=one\,two,b=3", &[r"one\,two"]);
        check(r#"{"msg":"password: hunter two","user":"me"}"#, &["hunter two"]);
        check(r#"{"msg":"the password: hunter-2 is","user":"me"}"#, &["hunter-2"]);
        check("A_TOKEN=\"two words\" npm ci", &["two words"]);
        check("password: it's # a comment", &["it's"]);
        check("password: 'two words' # a comment", &["two words"]);
        check(r#"{"password": "a\"b", "n": 1}"#, &[r#"a\"b"#]);
        check(r#"{"pin_password": 12345}"#, &["12345"]);
        check("password: |\n  x", &[]);
        check("password:\n  x", &[]);
        check("token=", &[]);
    }

    /// Reading the rest of the line for each of its pairs took minutes.
    #[test]
    fn one_long_line_is_read_once() {
        let text = format!("{{{}\"password\":\"hunter2\"}}", r#""a":1,"#.repeat(500_000));
        let began = std::time::Instant::now();
        check(&text, &["hunter2"]);
        let took = began.elapsed();
        assert!(took < std::time::Duration::from_secs(15), "{took:?} for {} bytes", text.len());
    }
}
