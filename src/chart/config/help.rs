//! What a key of `.ktl.yaml` is for, asked by a place in the text.

use super::keys::{KTL, Key, RELEASE_FILE, STACK, Shape, State};
use super::read::{File, MAX_BYTES, is_ours};
use crate::text::Span;
use crate::yaml::{Kind, Node, Tree};

/// A key that stands in a file, and what the table of keys says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Help {
    /// The key.
    pub span: Span,
    /// Its name.
    pub name: &'static str,
    /// What it is for, a sentence without a full stop.
    pub doc: &'static str,
    /// What may stand there: `true or false`, `a duration such as 90s, 5m or 1h30m`.
    pub expected: String,
    /// What else the user should know; `None` for a key that simply works.
    pub note: Option<String>,
}

/// The key at a byte of a file; `None` where no key of ours stands. `path` says which file it is, as for
/// [`parse`](super::parse).
pub fn help(path: &str, text: &str, byte: usize) -> Option<Help> {
    let file = File::of(path);
    let table = match file {
        File::Ktl => KTL,
        File::Stack => STACK,
        File::Release => RELEASE_FILE,
    };
    if text.len() > MAX_BYTES {
        return None;
    }
    let tree = Tree::parse(text);
    if !is_ours(file, &tree) {
        return None;
    }
    find(tree.root()?, Shape::Object(table), byte)
}

/// Goes down to where the byte is. An alias is no way down: what it names is written elsewhere.
fn find(mut node: Node<'_>, mut shape: Shape, byte: usize) -> Option<Help> {
    while !matches!(node.kind(), Kind::Alias | Kind::Scalar(..)) {
        (node, shape) = match shape {
            Shape::List(item) => (node.items().find(|item| item.span().contains(byte))?, *item),
            Shape::Map(value) => {
                (node.entries().map(|entry| entry.value).find(|node| node.span().contains(byte))?, *value)
            }
            Shape::Object(keys) => {
                let is_here = |node: Node<'_>| node.span().contains(byte);
                let entry = node.entries().find(|entry| is_here(entry.key) || is_here(entry.value))?;
                let key = keys.iter().find(|key| entry.key.text() == Some(key.name))?;
                if is_here(entry.key) {
                    return Some(describe(key, entry.key.span()));
                }
                (entry.value, key.shape)
            }
            _ => return None,
        };
    }
    None
}

fn describe(key: &'static Key, span: Span) -> Help {
    let note = match key.state {
        State::Works => key.required.then(|| "required".to_owned()),
        State::Unused => Some("this version does not use it yet".to_owned()),
        State::Guard { .. } => Some(
            "this version does not do it yet; unless it asks for nothing, it stops operations".to_owned(),
        ),
        State::Foreign => Some("used by the public ktl, not by this one".to_owned()),
        State::Forbidden { instead, why } => Some(format!("must not stand here: {why}; use {instead}")),
    };
    Help { span, name: key.name, doc: key.doc, expected: key.shape.expected(), note }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "releases:\n  - name: web\n    chart: ./web\n    apply:\n      wait: true\n      timeout: 5m\n";

    fn at(word: &str) -> Option<Help> {
        help(".ktl.yaml", TEXT, TEXT.find(word).unwrap())
    }

    #[test]
    fn a_key_at_any_depth_is_explained_where_it_stands() {
        for (word, key) in
            [("releases", "releases"), ("name", "name"), ("apply", "apply"), ("timeout", "timeout")]
        {
            let help = at(word).unwrap();
            assert_eq!((help.name, help.span.of(TEXT)), (key, key));
            assert!(!help.doc.is_empty() && !help.expected.is_empty());
        }
        assert!(at("timeout").unwrap().expected.contains("5m"));
    }

    #[test]
    fn values_unknown_keys_and_nothing_at_all_are_not_explained() {
        assert_eq!(at("web"), None);
        assert_eq!(at("true"), None);
        assert_eq!(help(".ktl.yaml", "", 0), None);
        assert_eq!(help(".ktl.yaml", TEXT, usize::MAX), None);
        assert_eq!(help(".ktl.yaml", "nope: 1\n", 0), None);
    }

    #[test]
    fn an_alias_of_itself_is_no_endless_way() {
        let text = "agent: &a\n  tls: *a\n";
        assert_eq!(help(".ktl.yaml", text, text.find("*a").unwrap()), None);
    }
}
