//! Which values templates mention where it makes them secret: read from the texts, so that a chart that does not
//! render is read as well.

use std::collections::BTreeSet;

use crate::mask::names_a_secret;

const VALUES: &str = ".Values";

/// Values that flow, or may flow, into Secrets.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct References {
    /// Paths below `.Values`; an empty one means all of it.
    paths: BTreeSet<Vec<String>>,
    /// Files of the chart are read, too.
    pub(super) files: bool,
}

/// A template, or one `define` of it with everything up to the next.
struct Unit<'t> {
    name: Option<&'t str>,
    text: &'t str,
    makes_secret: bool,
    includes: Vec<Include<'t>>,
}

/// A template that another one uses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Include<'t> {
    Named(&'t str),
    /// The name is computed: it may be any.
    Any,
}

impl References {
    /// What the templates of Secrets mention, they and those that they use or are used by.
    pub(super) fn into_secrets<'t>(templates: impl IntoIterator<Item = &'t str>) -> Self {
        let units: Vec<Unit<'_>> = templates.into_iter().flat_map(units).collect();
        let secret = grown(units.iter().map(|unit| unit.makes_secret).collect(), |found| {
            let is_used = |unit: &Unit<'_>| {
                units.iter().zip(found).any(|(other, is_found)| *is_found && unit.may_use(other))
            };
            units.iter().map(is_used).collect()
        });
        let reached = grown(secret, |found| {
            let is_using = |unit: &Unit<'_>| {
                units.iter().zip(found).any(|(other, is_found)| *is_found && other.may_use(unit))
            };
            units.iter().map(is_using).collect()
        });
        let mut references = Self::default();
        for (unit, _) in units.iter().zip(reached).filter(|(_, is_reached)| *is_reached) {
            references.mention([unit.text]);
            references.files |= unit.text.contains(".Files");
        }
        references
    }

    /// Takes up what these texts mention; true when something of it is new.
    pub(super) fn mention<'t>(&mut self, texts: impl IntoIterator<Item = &'t str>) -> bool {
        let before = self.paths.len();
        self.paths.extend(texts.into_iter().flat_map(mentioned));
        self.paths.len() > before
    }

    /// Whether a value below these keys may be meant. Where in the values a chart's own begin is not asked: a subchart
    /// has many names.
    pub(super) fn mean(&self, keys: &[&str]) -> bool {
        self.paths.iter().any(|path| {
            let inside = path.is_empty() || keys.windows(path.len()).any(|part| part == path.as_slice());
            // A value that stands where a map is expected.
            inside || (1..path.len()).any(|length| ends_with(keys, &path[..length]))
        })
    }

    /// The last keys of all paths, for texts that are no tree; none means all keys.
    pub(super) fn names(&self) -> Option<BTreeSet<&str>> {
        self.paths.iter().map(|path| path.last().map(String::as_str)).collect()
    }
}

fn ends_with(keys: &[&str], path: &[String]) -> bool {
    keys.len() >= path.len() && &keys[keys.len() - path.len()..] == path
}

impl Unit<'_> {
    fn may_use(&self, other: &Unit<'_>) -> bool {
        let Some(name) = other.name else { return false };
        self.includes
            .iter()
            .any(|include| matches!(include, Include::Any) || *include == Include::Named(name))
    }
}

/// What was found, and what `more` finds from it, until that is nothing new.
fn grown(mut found: Vec<bool>, more: impl Fn(&[bool]) -> Vec<bool>) -> Vec<bool> {
    loop {
        let next: Vec<bool> = more(&found).into_iter().zip(&found).map(|(new, old)| new || *old).collect();
        if next == found {
            return found;
        }
        found = next;
    }
}

fn units(text: &str) -> Vec<Unit<'_>> {
    let starts = named(text, "define").chain(named(text, "block"));
    let mut starts: Vec<(usize, Option<&str>)> = starts.map(|(at, name)| (at, Some(name))).collect();
    starts.push((0, None));
    starts.sort_unstable();
    let ends = starts.iter().skip(1).map(|(at, _)| *at).chain([text.len()]);
    let of_text = starts.iter().zip(ends).map(|((start, name), end)| unit(*name, &text[*start..end], false));
    // What is secret by its name is so in any object.
    let lines = text.lines().filter(|line| line.contains("{{") && names_a_secret(key_of(line)));
    of_text.chain(lines.map(|line| unit(None, line, true))).collect()
}

fn unit<'t>(name: Option<&'t str>, text: &'t str, makes_secret: bool) -> Unit<'t> {
    let includes = ["include", "template", "block"].into_iter().flat_map(|word| {
        words(text, word).filter_map(|rest| match quoted(rest) {
            Some(name) => Some(Include::Named(name)),
            // The file of a template, for its checksum: such a file is looked at by itself.
            None if rest.trim_start().starts_with("(print $.Template.BasePath") => None,
            None => rest.trim_start().starts_with(['(', '$', '.']).then_some(Include::Any),
        })
    });
    Unit { name, text, makes_secret: makes_secret || is_secret(text), includes: includes.collect() }
}

/// What stands before the first separator of a line.
fn key_of(line: &str) -> &str {
    let key = line.split([':', '=']).next().unwrap_or_default();
    key.trim_matches([' ', '\t', '-', '"', '\''])
}

/// Whether a Secret is written here, or a kind that only the render knows.
fn is_secret(text: &str) -> bool {
    words(text, "kind").any(|rest| {
        let value = rest.trim_start_matches(['"', '\'', ' ', '\t', ':']);
        let secret = value.strip_prefix("Secret").is_some_and(|rest| !rest.starts_with(is_of_word));
        secret || value.starts_with("{{")
    })
}

/// The names that follow this word, and where the word stands.
fn named<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = (usize, &'t str)> {
    words(text, word).filter_map(move |rest| Some((text.len() - rest.len() - word.len(), quoted(rest)?)))
}

/// What follows each occurrence of a whole word.
fn words<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = &'t str> {
    text.match_indices(word).filter_map(move |(at, _)| {
        let rest = &text[at + word.len()..];
        let is_whole = !text[..at].ends_with(is_of_word) && !rest.starts_with(is_of_word);
        is_whole.then_some(rest)
    })
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The text in the quotes that come next.
fn quoted(rest: &str) -> Option<&str> {
    let rest = rest.trim_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '`'))?;
    rest[1..].split(quote).next()
}

/// The paths below `.Values` in a text, however it is reached: `$.Values`, `.root.Values`.
fn mentioned(text: &str) -> impl Iterator<Item = Vec<String>> {
    text.match_indices(VALUES).filter_map(|(at, _)| {
        let rest = &text[at + VALUES.len()..];
        (!rest.starts_with(is_of_word)).then(|| path(&text[..at], rest))
    })
}

fn path(before: &str, rest: &str) -> Vec<String> {
    let dotted = rest.split(|c: char| !is_of_word(c) && c != '.').next().unwrap_or_default();
    let path: Vec<String> = dotted.split('.').filter(|key| !key.is_empty()).map(str::to_owned).collect();
    let before = before.trim_end_matches('$').trim_end();
    let is_index = ["index", "get"].iter().any(|word| before.ends_with(word));
    if path.is_empty() && is_index { indexes(rest) } else { path }
}

/// The keys of `index .Values "a" "b"`.
fn indexes(mut rest: &str) -> Vec<String> {
    let mut keys = Vec::new();
    while let Some(key) = quoted(rest) {
        keys.push(key.to_owned());
        rest = rest.trim_start().get(key.len() + 2..).unwrap_or_default();
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(templates: &[&str], expected: &[&str]) {
        let found = References::into_secrets(templates.iter().copied());
        let paths: Vec<String> = found.paths.iter().map(|path| path.join(".")).collect();
        assert_eq!(paths, expected, "in {templates:?}");
    }

    #[test]
    fn a_template_of_a_secret_tells_by_all_that_it_mentions() {
        check(
            &["kind: Secret\ndata: { a: {{ .Values.db.note | b64enc }} }", "kind: Pod\nx: {{ .Values.tag }}"],
            &["db.note"],
        );
        check(&["kind: \"Secret\"\na: {{ $.Values.a }}{{ .root.Values.b }}"], &["a", "b"]);
        check(&["kind: {{ .Values.kind }}"], &["kind"]);
        check(&["kind: SecretStore\na: {{ .Values.a }}", "mankind: Secret {{ .Values.b }}"], &[]);
        check(&["kind: Secret\na: {{ index .Values \"a\" \"b-c\" }}"], &["a.b-c"]);
        check(&["kind: Secret\na: {{ include \"x\" (dict \"values\" .Values \"b\" 1) }}"], &[""]);
        check(&["kind: ConfigMap\n  db_password: {{ .Values.note }}\n  b: {{ .Values.b }}"], &["note"]);
    }

    #[test]
    fn what_a_secret_uses_and_what_uses_a_secret_counts_and_nothing_else() {
        let helpers = "{{- define \"name\" }}{{ .Values.name }}{{ end }}\n{{ define \"key\" -}}{{ .Values.key }}{{ end }}";
        check(&[helpers, "kind: Secret\na: {{ include \"key\" . }}"], &["key"]);
        check(&[helpers, "kind: Secret\na: {{ include (print \"k\" \"ey\") . }}"], &["key", "name"]);
        let library = "{{ define \"lib.secret\" }}kind: Secret\ndata: {{ .data }}{{ end }}";
        check(
            &[library, "{{ include \"lib.secret\" (dict \"data\" .Values.creds) }}", "x: {{ .Values.x }}"],
            &["creds"],
        );
        let checksum = "kind: Deployment\nsum: {{ include (print $.Template.BasePath \"/s.yaml\") . }}\nx: {{ .Values.x }}";
        check(&[library, checksum], &[]);
    }

    #[test]
    fn values_are_meant_from_above_and_from_below() {
        let mut references = References::default();
        assert!(
            references.mention(["{{ .Values.db.auth }}"]) && !references.mention(["{{ .Values.db.auth }}"])
        );
        for keys in [&["db", "auth"][..], &["db", "auth", "pin"], &["sub", "db", "auth"], &["db"]] {
            assert!(references.mean(keys), "{keys:?}");
        }
        for keys in [&["auth"][..], &["db", "host"], &["dbs", "auth"], &[]] {
            assert!(!references.mean(keys), "{keys:?}");
        }
        assert_eq!(references.names(), Some(BTreeSet::from(["auth"])));
        references.mention(["{{ .Values | toYaml }}"]);
        assert!(references.mean(&["anything"]) && references.names().is_none());
    }
}
