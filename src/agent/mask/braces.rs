//! Kubernetes objects and other structures in braces: JSON, what Go and Python print of it, and halves of it in an
//! error message. Read from the first brace as far as it goes; nothing here fails.

use std::ops::Range;

use super::{encode, manifest, names, span::Hidden};

/// What Go prints between a key and its brace.
const GO_TYPES: [&str; 6] = [
    "map[string]interface {}",
    "map[string]interface{}",
    "map[string]string",
    "map[string]any",
    "[]interface {}",
    "[]interface{}",
];

/// Adds every secret that stands in braces, and to `judged` where each `data` stands that was understood.
pub(super) fn find(text: &str, hidden: &mut Vec<Hidden>, judged: &mut Vec<usize>) {
    if !is_worth_reading(text) {
        return;
    }
    let mut walk = Walk { text, at: 0, stack: Vec::new(), hidden, judged, says_secret: None };
    while let Some(open) = walk.next_open() {
        walk.at = open;
        walk.region();
    }
}

fn is_worth_reading(text: &str) -> bool {
    text.contains('{') && ["ata", "value", "auth", "s\""].iter().any(|word| text.contains(word))
}

/// One pair of braces or brackets that is open.
#[derive(Default)]
struct Frame<'a> {
    key: Option<&'a str>,
    /// Whether the object said its kind, and whether that is a Secret.
    is_secret: Option<bool>,
    name: Option<&'a str>,
    value: Option<Hidden>,
    /// The leaves of `data` below this object.
    leaves: Vec<Hidden>,
    /// A `data` that is no object.
    direct: Vec<Hidden>,
    /// It stands below a `data`: true when that is base64.
    collects: Option<bool>,
    /// It stands below the name of secrets.
    is_sensitive: bool,
}

struct Walk<'a, 'o> {
    text: &'a str,
    at: usize,
    stack: Vec<Frame<'a>>,
    hidden: &'o mut Vec<Hidden>,
    judged: &'o mut Vec<usize>,
    says_secret: Option<bool>,
}

impl Walk<'_, '_> {
    /// The next brace that a quote or its end follows.
    fn next_open(&self) -> Option<usize> {
        let mut from = self.at;
        loop {
            let open = from + self.text.get(from..)?.find('{')?;
            if self.text[open + 1..].trim_start().starts_with(['"', '\'', '}']) {
                return Some(open);
            }
            from = open + 1;
        }
    }

    /// Reads from a brace to its end, to the end of the text, or to where it is no such text any more.
    fn region(&mut self) {
        let mut last_string = self.at;
        loop {
            self.blank(b",");
            let Some(byte) = self.byte() else { break };
            match byte {
                b'{' | b'[' => self.push(),
                b'}' | b']' => {
                    self.at += 1;
                    self.pop();
                    if self.stack.is_empty() {
                        return;
                    }
                }
                b'"' | b'\'' => {
                    last_string = self.at;
                    self.string(byte);
                }
                _ => {
                    if !self.bare() {
                        // It was no string what we took for one: an object may begin inside of it.
                        self.at = last_string + 1;
                        break;
                    }
                }
            }
        }
        while !self.stack.is_empty() {
            self.pop();
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blank(&mut self, and: &[u8]) {
        while self.byte().is_some_and(|byte| byte.is_ascii_whitespace() || and.contains(&byte)) {
            self.at += 1;
        }
    }

    fn push(&mut self) {
        self.at += 1;
        let mut frame = Frame::default();
        if let Some(top) = self.stack.last_mut() {
            let key = top.key.take();
            frame.collects = match key {
                Some("data") => Some(true),
                Some("stringData") => Some(false),
                _ => top.collects,
            };
            frame.is_sensitive = top.is_sensitive || key.is_some_and(names::is_list);
        }
        self.stack.push(frame);
    }

    /// Ends an object and decides about the `data` in it.
    fn pop(&mut self) {
        let Some(frame) = self.stack.pop() else { return };
        if frame.collects.is_some()
            && let Some(top) = self.stack.last_mut()
        {
            let (mut more, fewer) = (std::mem::take(&mut top.leaves), frame.leaves);
            // The larger one stays where it is: objects can be nested a hundred thousand times.
            let fewer = if more.len() < fewer.len() { std::mem::replace(&mut more, fewer) } else { fewer };
            more.extend(fewer);
            top.leaves = more;
            return;
        }
        if let (Some(name), Some(value)) = (frame.name, frame.value)
            && names::is_sensitive(name)
        {
            self.hidden.push(value);
        }
        if frame.leaves.is_empty() && frame.direct.is_empty() {
            return;
        }
        let text = self.text;
        let near = *self.says_secret.get_or_insert_with(|| manifest::says_secret(text));
        match frame.is_secret {
            Some(true) => self.hidden.extend(frame.leaves.into_iter().chain(frame.direct)),
            Some(false) => {}
            None if near => self.hidden.extend(frame.leaves.into_iter().chain(frame.direct)),
            None => {
                let looks = |leaf: &Hidden| manifest::looks_encoded(&text[leaf.range.clone()]);
                self.hidden.extend(frame.leaves.into_iter().filter(looks));
            }
        }
    }

    fn string(&mut self, quote: u8) {
        let start = self.at + 1;
        let rest = &self.text.as_bytes()[start..];
        let mut escaped = false;
        let end = rest.iter().position(|byte| {
            let ends = *byte == quote && !escaped;
            escaped = *byte == b'\\' && !escaped;
            ends
        });
        let inner = start..end.map_or(self.text.len(), |end| start + end);
        self.at = (inner.end + 1).min(self.text.len());
        self.blank(&[]);
        if self.byte() == Some(b':') {
            self.at += 1;
            let key = &self.text[inner.clone()];
            if matches!(key, "data" | "stringData") {
                self.judged.push(inner.start);
            }
            if let Some(top) = self.stack.last_mut() {
                top.key = Some(key);
            }
        } else {
            self.leaf(inner, None);
        }
    }

    /// A number, a word, or what Go prints before a brace.
    fn bare(&mut self) -> bool {
        let rest = &self.text[self.at..];
        if let Some(go) = GO_TYPES.iter().find(|go| rest.starts_with(**go)) {
            self.at += go.len();
            return true;
        }
        let is_bare = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
        let length = rest.find(|c| !is_bare(c)).unwrap_or(rest.len());
        let is_value = matches!(&rest[..length], "true" | "false" | "null" | "True" | "False" | "None")
            || rest[..length].starts_with(|c: char| c.is_ascii_digit() || c == '-');
        if is_value {
            self.leaf(self.at..self.at + length, Some(0));
            self.at += length;
        }
        is_value
    }

    fn leaf(&mut self, range: Range<usize>, quote: Option<usize>) {
        let text = &self.text[range.clone()];
        let Some(top) = self.stack.last_mut() else { return };
        let key = top.key.take();
        let hidden = Hidden { quote, ..Hidden::new(range) };
        match key {
            Some("kind") if top.collects.is_none() => top.is_secret = Some(text == "Secret"),
            Some("name") => top.name = Some(text),
            Some("auth") if encode::decode(text).is_some_and(|text| text.contains(':')) => {
                self.hidden.push(hidden);
            }
            _ if !names::is_value(text) => {}
            Some("value") => top.value = Some(hidden),
            Some("data" | "stringData") if top.collects.is_none() => {
                let plain = encode::decode(text);
                top.direct.push(Hidden { plain, ..hidden });
            }
            _ if top.is_sensitive => self.hidden.push(hidden),
            _ => {
                if let Some(encoded) = top.collects {
                    let plain = if encoded { encode::decode(text) } else { None };
                    top.leaves.push(Hidden { plain, ..hidden });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let (mut hidden, mut judged) = (Vec::new(), Vec::new());
        find(text, &mut hidden, &mut judged);
        let found: Vec<&str> = hidden.into_iter().map(|hidden| &text[hidden.range]).collect();
        assert_eq!(found, expected, "in {text:?}");
    }

    #[test]
    fn the_data_of_a_secret_is_found_wherever_its_kind_stands() {
        check(r#"{"kind":"Secret","data":{"a":"eA==","b":"eQ=="}}"#, &["eA==", "eQ=="]);
        check(r#"x {"data":{"a":"eA=="},"kind":"Secret"} y"#, &["eA=="]);
        check(
            r#"{"items":[{"kind":"ConfigMap","data":{"a":"b"}},{"data":{"a":"c"},"kind":"Secret"}]}"#,
            &["c"],
        );
        check(r"{'kind': 'Secret', 'stringData': {'a': 'it'}}", &["it"]);
        check(r#"{"kind":"Secret","stringData":{"pin":1234}}"#, &["1234"]);
    }

    #[test]
    fn what_is_cut_off_is_hidden_where_it_says_secret() {
        check(r#"{"kind":"Secret","data":{"a":"one","b":"tw"#, &["one", "tw"]);
        check(r#"{"data":{"a":"aHVudGVyMg==","b":"plain"}"#, &["aHVudGVyMg=="]);
        check(r#"kind: Secret {"data":{"b":"plain"}"#, &["plain"]);
    }

    #[test]
    fn what_go_prints_is_read() {
        let text = r#"Invalid value: map[string]interface {}{"data":map[string]interface {}{"a":"eA=="}, "kind":"Secret"}"#;
        check(text, &["eA=="]);
    }

    #[test]
    fn an_object_inside_of_a_string_that_lost_its_escapes_is_read() {
        check(r#"{"a":"{"kind":"Secret","data":{"x":"eA=="}}"}"#, &["eA=="]);
    }

    #[test]
    fn values_beside_their_names_and_registry_credentials_are_found() {
        check(r#"{"env":[{"name":"DB_PASSWORD","value":"x1"},{"name":"PORT","value":"80"}]}"#, &["x1"]);
        check(r#"{"auths":{"ghcr.io":{"auth":"bWU6cGFzcw=="}}}"#, &["bWU6cGFzcw=="]);
        check(r#"{"tokens":["one","two"],"auth":true}"#, &["one", "two"]);
    }

    #[test]
    fn ten_thousand_braces_are_no_work() {
        let text = format!("data {}", r#"{"a":"{"#.repeat(100_000));
        check(&text, &[]);
    }
}
