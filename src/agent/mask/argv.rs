//! Command lines of ktl, helm, kubectl and docker: the key of an argument stays, its value is hidden.

use std::ops::Range;

use memchr::memchr_iter;

use super::{encode, names, span::Hidden};

/// Flags whose value is one or more `key=value`, and how those are written.
const ASSIGNING: [(&str, Grammar); 14] = [
    ("--set", Grammar::Helm),
    ("--set-string", Grammar::Helm),
    ("--set-file", Grammar::Helm),
    ("--set-json", Grammar::Json),
    ("--set-literal", Grammar::One),
    ("--build-arg", Grammar::One),
    ("--env", Grammar::One),
    ("-e", Grammar::One),
    ("--from-literal", Grammar::One),
    ("--label", Grammar::One),
    ("--header", Grammar::Header),
    ("-H", Grammar::Header),
    ("--user", Grammar::User),
    ("-u", Grammar::User),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Grammar {
    /// `a.b=c,d=e`, with `\,` inside of a value.
    Helm,
    /// `a=JSON,b=JSON`
    Json,
    /// One `key=value`: a comma belongs to the value.
    One,
    /// `Authorization: Bearer x`
    Header,
    /// `user:password`
    User,
}

/// One argument, without the quotes around it.
#[derive(Clone, Copy)]
pub(super) struct Word<'a> {
    pub(super) text: &'a str,
    /// Where it stands.
    pub(super) start: usize,
}

/// Adds the secrets of every line of a text that has flags.
pub(super) fn find(text: &str, hidden: &mut Vec<Hidden>) {
    if !has_flag(text) {
        return;
    }
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if has_flag(line) {
            hidden.extend(secrets(&words(line)).map(|found| found.after(start)));
            // A command line in quotes, as in a JSON log.
            let mut within = start;
            for piece in line.split('"') {
                if piece.len() < line.len() && piece.contains(' ') && has_flag(piece) {
                    hidden.extend(secrets(&words(piece)).map(|found| found.after(within)));
                }
                within += piece.len() + 1;
            }
        }
        start += line.len();
    }
}

/// A flag begins with a dash and a letter, or two dashes and a letter; most lines that have a dash have none.
fn has_flag(line: &str) -> bool {
    let bytes = line.as_bytes();
    memchr_iter(b'-', bytes).any(|at| {
        let is_begin = at == 0 || matches!(bytes[at - 1], b' ' | b'\t' | b'\n' | b'"' | b'\'' | b'[' | b'`');
        let second = if bytes.get(at + 1) == Some(&b'-') { at + 2 } else { at + 1 };
        is_begin && bytes.get(second).is_some_and(u8::is_ascii_alphabetic)
    })
}

/// The words of a line as a shell sees them. Quotes inside of a word belong to it.
fn words(line: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(start) =
        line[at..].find(|c: char| !c.is_whitespace() && !"[]`,".contains(c)).map(|start| at + start)
    {
        let quote = line[start..].chars().next().filter(|c| matches!(c, '"' | '\''));
        let begin = start + usize::from(quote.is_some());
        let end = begin + word_end(&line[begin..], quote);
        words.push(Word { text: &line[begin..end], start: begin });
        at = end + usize::from(quote.is_some() && end < line.len());
    }
    words
}

/// Where a word ends that may hold quoted pieces: `--set=a='x y'`.
fn word_end(text: &str, quote: Option<char>) -> usize {
    let (mut escaped, mut inner) = (false, None);
    for (at, c) in text.char_indices() {
        match (quote, inner) {
            _ if escaped => escaped = false,
            _ if c == '\\' => escaped = true,
            (Some(quote), _) if c == quote => return at,
            (None, Some(open)) if c == open => inner = None,
            (None, None) if c.is_whitespace() || c == '`' => return at,
            (None, None) if matches!(c, '"' | '\'') => inner = Some(c),
            _ => {}
        }
    }
    text.len()
}

/// The secrets of a command line in words. A range counts in the text that the words are from.
pub(super) fn secrets<'a>(words: &'a [Word<'a>]) -> impl Iterator<Item = Hidden> + 'a {
    let says = |word: &str| words.iter().any(|one| one.text == word);
    let (is_login, is_secret) = (says("login"), says("create") && says("secret"));
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let (flag, inline) = match word.text.split_once('=') {
            Some((flag, value)) => (flag, Some(Word { text: value, start: word.start + flag.len() + 1 })),
            None => (word.text, None),
        };
        if !flag.starts_with('-') {
            continue;
        }
        let next = || words.get(at + 1).copied().filter(|next| !next.text.starts_with("--"));
        if let Some((_, grammar)) = ASSIGNING.iter().find(|(name, _)| *name == flag) {
            if let Some(value) = inline.or_else(next) {
                let every = is_secret && flag == "--from-literal";
                assigned(value, *grammar, every, &mut found);
            }
        } else if names::is_sensitive(flag) || (is_login && flag == "-p") {
            let value = inline.or_else(|| next().filter(|next| is_argument(next.text)));
            found.extend(value.and_then(hide));
        }
    }
    found.into_iter()
}

/// `--password -` and `--token -v` have no value, and in "with --token or in a file" it goes on with a sentence.
fn is_argument(word: &str) -> bool {
    const SENTENCE: [&str; 17] = [
        "or", "and", "is", "was", "to", "in", "for", "with", "must", "may", "can", "not", "flag", "option",
        "from", "as", "the",
    ];
    !SENTENCE.contains(&word) && (!word.starts_with('-') || word.len() > 8)
}

fn hide(value: Word<'_>) -> Option<Hidden> {
    let text = value.text.trim_matches(['"', '\'']);
    let start = value.start + value.text.find(text)?;
    names::is_value(text).then(|| Hidden::new(start..start + text.len()))
}

/// The secrets of `a.b=c,d=e`; `every`: all of its values.
fn assigned(word: Word<'_>, grammar: Grammar, every: bool, found: &mut Vec<Hidden>) {
    let part =
        |range: Range<usize>| Word { text: &word.text[range.clone()], start: word.start + range.start };
    match grammar {
        Grammar::Header => {
            if let Some((name, value)) = word.text.split_once(':')
                && (names::is_sensitive(name)
                    || name.eq_ignore_ascii_case("authorization")
                    || name.eq_ignore_ascii_case("cookie"))
            {
                let start = word.text.len() - value.trim_start().len();
                found.extend(hide(part(start..word.text.len())));
            }
        }
        Grammar::User => {
            let colon =
                word.text.find(':').filter(|colon| !word.text[..*colon].bytes().all(|b| b.is_ascii_digit()));
            found.extend(colon.and_then(|colon| hide(part(colon + 1..word.text.len()))));
        }
        Grammar::Json | Grammar::One => found.extend(pair(part(0..word.text.len()), every)),
        Grammar::Helm => {
            let text = word.text.trim_matches(['"', '\'']);
            let mut start = word.text.len() - word.text.trim_start_matches(['"', '\'']).len();
            for piece in pieces(text) {
                found.extend(pair(part(start..start + piece.len()), every));
                start += piece.len() + 1;
            }
        }
    }
}

/// The pairs of Helm's grammar: a comma in braces, or behind a backslash, belongs to the value.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let (mut escaped, mut depth) = (false, 0_usize);
    text.split(move |c: char| {
        let splits = c == ',' && !escaped && depth == 0;
        depth = if escaped {
            depth
        } else {
            match c {
                '{' => depth + 1,
                '}' => depth.saturating_sub(1),
                _ => depth,
            }
        };
        escaped = c == '\\' && !escaped;
        splits
    })
}

fn pair(word: Word<'_>, every: bool) -> Option<Hidden> {
    let at = word.text.find('=')?;
    let key = word.text[..at].trim_matches(['"', '\'']);
    let value = Word { text: &word.text[at + 1..], start: word.start + at + 1 };
    let is_encoded =
        value.text.len() >= 16 && encode::decode(value.text).is_some_and(|text| text.contains("PRIVATE KEY"));
    (every || names::is_sensitive(key) || is_encoded).then(|| hide(value)).flatten()
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
    fn keys_stay_and_values_go() {
        check("helm upgrade web . --set a.b=c,db.password=d,e=f", &["d"]);
        check("helm upgrade web . --set-string 'db.password=two words,e=f'", &["two words"]);
        check("--set=auth.passwords[0]=x,auth.passwords[1]=y", &["x", "y"]);
        check("helm upgrade web . --set tokens={a,b},n=1", &["{a,b}"]);
        check(r"helm upgrade web . --set db.password=one\,two,n=1", &[r"one\,two"]);
        check("helm upgrade web . --set-literal password=a,b=c", &["a,b=c"]);
        check(
            r#"helm upgrade web . --set-json 'auth.password={"a":1,"b":"x y"}'"#,
            &[r#"{"a":1,"b":"x y"}"#],
        );
        check("ktl apply --token x1 --kube-token=x2 --password x3 --namespace shop", &["x1", "x2", "x3"]);
        check("docker build --build-arg NPM_TOKEN=x1 -e DB_PASSWORD='x 2' -e PORT=80 .", &["x1", "x 2"]);
        check("docker login -u me -p x1 ghcr.io", &["x1"]);
        check("docker run -p 8080:80 -u 1000:1000 web", &[]);
        check("curl -u me:x1 -H 'Authorization: Bearer x2' http://x", &["x1", "Bearer x2"]);
        check("kubectl create secret generic web --from-literal=any=x1", &["x1"]);
        check(r#"args: ["--token", "x1", "--v=2"]"#, &["x1"]);
    }

    #[test]
    fn what_is_no_command_line_is_left_alone() {
        check("2026-01-02 - the token - was read", &[]);
        check("a --token\n", &[]);
        check("--password --stdin", &[]);
        check("--token $TOKEN --password ${X}", &[]);
    }
}
