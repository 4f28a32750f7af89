//! Kubernetes objects written line by line: YAML, a diff of it, or JSON over several lines.
//!
//! Read by indentation alone, so that a text that does not parse (a template, half a manifest in an error) is masked as
//! well. A whole text is looked at twice, because `kind` may stand below `data`; a stream of lines cannot wait for its
//! `kind`, and until it comes a `data` is taken for that of a Secret where its values look like one.

mod line;

use std::ops::Range;

use self::line::{Line, lines};
use super::{encode, names, span::Hidden};

/// How many lines of a private key are hidden when its end does not come.
const LONGEST_KEY: usize = 200;

/// Whose `data` it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Secret,
    Other,
    Unknown,
}

/// Adds every secret that a text shows by its lines, and to `judged` where each `data` stands that was understood.
pub(super) fn find(text: &str, hidden: &mut Vec<Hidden>, judged: &mut Vec<usize>) {
    if !is_worth_reading(text) {
        return;
    }
    let is_diff = is_diff(text);
    let lines = lines(text, is_diff);
    let mut owners = vec![Owner::Unknown; lines.len()];
    // The mapping whose kind was read last: one that says it a hundred thousand times is looked through once or twice.
    let mut read = (usize::MAX, 0..0, Owner::Unknown);
    for (at, line) in lines.iter().enumerate() {
        if line.is_key("kind") && line.value().is_some_and(|value| !value.is_empty()) {
            let owner = owner(line);
            let (column, mapping, before) = &read;
            if *column == line.column
                && mapping.contains(&at)
                && (owner == *before || *before == Owner::Secret)
            {
                continue;
            }
            let mapping = mapping_of(&lines, at);
            let is_data = |line: &Line<'_>| line.is_key("data") || line.is_key("stringData");
            let siblings = mapping.clone().filter(|sibling| lines[*sibling].column == line.column);
            siblings.filter(|sibling| is_data(&lines[*sibling])).for_each(|sibling| owners[sibling] = owner);
            read = (line.column, mapping, owner);
        }
    }
    let mut reader = Reader { is_diff, says_secret: says_secret(text), ..Reader::default() };
    for (line, owner) in lines.iter().zip(owners) {
        reader.read(line, owner, hidden);
        if line.is_key("data") || line.is_key("stringData") {
            judged.push(line.start + line.column);
        }
    }
}

/// Nothing below can be in a text without these words.
fn is_worth_reading(text: &str) -> bool {
    text.contains('\n')
        && (text.contains("ata") || text.contains("value") || text.contains('|') || text.contains('>') || {
            text.contains("PRIVATE KEY") || text.contains("s:") || text.contains("@@ -")
        })
}

/// Whether a text speaks of a Secret as an object, in any notation.
pub(super) fn says_secret(text: &str) -> bool {
    let is_kind = |at: usize| {
        let before = text[..at].trim_end_matches(|c: char| c.is_ascii_whitespace() || "\"'\\:=!".contains(c));
        let between = &text[before.len()..at];
        before.ends_with("kind") && between.contains([':', '='])
            || text[at..].starts_with("Secret (v1)")
            || text[..at].ends_with("v1.")
    };
    let ends = |at: usize| !text[at + 6..].starts_with(|c: char| c.is_ascii_alphanumeric());
    text.match_indices("Secret").any(|(at, _)| ends(at) && is_kind(at))
}

fn is_diff(text: &str) -> bool {
    text.starts_with("@@ -")
        || text.contains("\n@@ -")
        || (text.starts_with("--- ") && text.contains("\n+++ "))
}

fn owner(line: &Line<'_>) -> Owner {
    // There may be a tag or an anchor in front of it.
    let kind = line.value().and_then(|value| value.split(" #").next()?.split_whitespace().next_back());
    if kind.is_some_and(|kind| line::unquoted(kind) == "Secret") { Owner::Secret } else { Owner::Other }
}

/// The lines of the mapping that the line `at` stands in.
fn mapping_of(lines: &[Line<'_>], at: usize) -> Range<usize> {
    let column = lines[at].column;
    let belongs = |line: &Line<'_>| line.is_blank() || (line.column >= column && !line.is_border());
    // A list item starts its mapping with the dash: what stands above it is another one.
    let starts = |line: &Line<'_>| !line.is_blank() && line.is_item && line.indent < column;
    let mut first = at;
    while first > 0 && !starts(&lines[first]) && belongs(&lines[first - 1]) {
        first -= 1;
    }
    let after = &lines[at + 1..];
    first..at + 1 + after.iter().position(|line| !belongs(line) || starts(line)).unwrap_or(after.len())
}

/// What stands below a line and belongs to it.
#[derive(Clone, Copy, Debug)]
struct Block {
    /// The column of the line above.
    column: usize,
    holds: Holds,
    /// The column of the keys, once one was seen.
    keys: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// The `data` of a Secret.
    Data,
    /// Its `stringData`.
    Strings,
    /// A `data` of which nobody said whose it is.
    Perhaps,
    /// A text under the name of a secret.
    Text,
    /// A list under the name of secrets.
    List,
}

/// Where a stream of lines is.
#[derive(Default)]
pub(super) struct Reader {
    block: Option<Block>,
    /// The kinds of the mappings that are open, by their columns.
    kinds: Vec<(usize, Owner)>,
    /// The column of `name: DB_PASSWORD`, whose value comes next.
    named: Option<usize>,
    /// How many lines of a private key were read.
    key: Option<usize>,
    is_diff: bool,
    says_secret: bool,
}

impl Reader {
    /// The secrets in the next line of a stream.
    pub(super) fn next(&mut self, text: &str) -> Vec<Hidden> {
        let mut hidden = Vec::new();
        if !self.is_idle() || may_matter(text) {
            for line in lines(text, self.is_diff || text.starts_with("@@ -")) {
                let owner = self.kinds.iter().rev().find(|(column, _)| *column == line.column);
                let owner = owner.map_or(Owner::Unknown, |(_, owner)| *owner);
                self.read(&line, owner, &mut hidden);
            }
        }
        hidden
    }

    fn is_idle(&self) -> bool {
        self.block.is_none()
            && self.named.is_none()
            && self.key.is_none()
            && self.kinds.is_empty()
            && !self.is_diff
    }

    fn read(&mut self, line: &Line<'_>, owner: Owner, hidden: &mut Vec<Hidden>) {
        if self.in_private_key(line, hidden) || line.is_blank() {
            return;
        }
        if let Some(block) = self.block {
            if block.contains(line) {
                self.block = Some(block.read(line, hidden));
                return;
            }
            self.block = None;
        }
        if line.is_border() {
            let is_secret = says_secret(line.content());
            (self.kinds, self.named) = (Vec::new(), None);
            (self.is_diff, self.says_secret) =
                (self.is_diff || is_diff(line.content()), is_secret || self.says_secret);
            return;
        }
        let closed = |column: usize| column > line.column || (line.is_item && column == line.column);
        self.kinds.retain(|(column, _)| !closed(*column));
        self.open(line, owner, hidden);
    }

    /// A line that is in no block: it may open one.
    fn open(&mut self, line: &Line<'_>, owner: Owner, hidden: &mut Vec<Hidden>) {
        let named = self.named.take().filter(|column| *column == line.column);
        let (Some(key), Some(value)) = (line.key(), line.value()) else { return };
        let opens = line::opens(value);
        let holds = match key {
            "kind" if !value.is_empty() => {
                self.kinds.push((line.column, self::owner(line)));
                self.says_secret |= self::owner(line) == Owner::Secret;
                return;
            }
            "name" => {
                self.named = names::is_sensitive(line::unquoted(value)).then_some(line.column);
                return;
            }
            "value" if named.is_some() && !opens => return hidden.extend(line.hidden(false)),
            "value" if named.is_some() => Holds::Text,
            "stringData" => Holds::Strings,
            "data" => match owner {
                Owner::Secret => Holds::Data,
                Owner::Other => return,
                // It cannot be told whose it is: closed, where a Secret is near.
                Owner::Unknown if self.says_secret => Holds::Data,
                Owner::Unknown => Holds::Perhaps,
            },
            _ if opens && value.starts_with(['|', '>']) && names::is_sensitive(key) => Holds::Text,
            _ if opens && names::is_list(key) => Holds::List,
            _ => {
                if self.is_diff && line.looks_encoded() {
                    hidden.extend(line.hidden(true));
                }
                return;
            }
        };
        if opens {
            self.block = Some(Block { column: line.column, holds, keys: None });
        } else if holds != Holds::Perhaps && names::is_value(value) {
            hidden.extend(line.hidden(false)); // A flow mapping on the same line.
        }
    }

    /// The lines between the two of a private key.
    fn in_private_key(&mut self, line: &Line<'_>, hidden: &mut Vec<Hidden>) -> bool {
        let is_border = |word: &str| line.text.contains(word) && line.text.contains("PRIVATE KEY-----");
        match self.key {
            Some(read) if read < LONGEST_KEY && !line.text.contains("-----END") => {
                self.key = Some(read + 1);
                hidden.extend(line.whole());
                true
            }
            Some(_) => {
                self.key = None;
                false
            }
            None => {
                self.key = (is_border("-----BEGIN") && !line.text.contains("-----END")).then_some(0);
                false
            }
        }
    }
}

/// Whether a line can change what a reader that waits for nothing thinks of the next ones.
fn may_matter(text: &str) -> bool {
    let content = text.trim_start_matches([' ', '\t', '+', '-', '"', '\'']);
    let text = text.trim_end();
    content.starts_with(["k", "d", "n", "s"].map(|c| c.chars().next().unwrap_or_default()))
        || text.ends_with([':', '|', '>', '{', '['])
        || text.ends_with("-----")
        || text.starts_with("@@ -")
        || text.contains('\n')
        || (text.ends_with(['-', '+']) && text.contains([':', '|']))
        || text.contains("Secret (v1)")
}

impl Block {
    fn contains(&self, line: &Line<'_>) -> bool {
        let is_list = self.holds == Holds::List && line.is_item && line.indent >= self.column;
        (line.column > self.column || is_list) && !line.is_border()
    }

    /// Hides what is secret in a line of the block; the same block, with what it learned.
    fn read(mut self, line: &Line<'_>, hidden: &mut Vec<Hidden>) -> Self {
        let keys = *self.keys.get_or_insert(line.column);
        let is_pair = line.column <= keys && line.key().is_some();
        match self.holds {
            Holds::Text => hidden.extend(line.whole()),
            Holds::List if is_pair => {}
            Holds::List => hidden.extend(line.item().filter(|item| {
                names::is_value(&line.text[item.range.start - line.start..item.range.end - line.start])
            })),
            Holds::Data | Holds::Strings if !is_pair => hidden.extend(line.whole()),
            Holds::Data | Holds::Strings => {
                if line.value().is_some_and(|value| names::is_value(value) && !line::opens(value)) {
                    hidden.extend(line.hidden(self.holds == Holds::Data));
                }
            }
            Holds::Perhaps => {
                if is_pair && line.looks_encoded() {
                    hidden.extend(line.hidden(true));
                } else if !is_pair && looks_encoded(line.content().trim()) {
                    hidden.extend(line.whole());
                }
            }
        }
        self
    }
}

/// Whether a value is text in base64, or bytes in it, and no word, hash or number.
pub(super) fn looks_encoded(value: &str) -> bool {
    let is_base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    if value.len() < 8 || !value.len().is_multiple_of(4) || !value.bytes().all(is_base64) {
        return false;
    }
    let Some(bytes) = encode::decode_bytes(value) else { return false };
    let is_text = std::str::from_utf8(&bytes)
        .is_ok_and(|text| text.chars().all(|c| !c.is_control() || c.is_ascii_whitespace()));
    let has = |kind: fn(&u8) -> bool| value.as_bytes().iter().any(kind);
    is_text
        || (value.len() >= 24
            && has(u8::is_ascii_uppercase)
            && has(u8::is_ascii_lowercase)
            && has(u8::is_ascii_digit))
}
