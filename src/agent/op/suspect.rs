//! What in the sources may be secret, as far as their texts tell.
//!
//! A render shows which values flow into Secrets. Until it has, and where it fails, every value is taken for one that a
//! template mentions where it makes a Secret. This errs on one side: of a run that failed too much may be hidden,
//! nothing is shown.

mod references;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use ktl_chart::yaml::{Kind, Node, Style, Tree, scalar};

use self::references::References;
use super::request::ApplyRequest;
use crate::helm::{SetKind, SetValue};

/// The most nodes of one file that are looked at; aliases can make a tree that never ends.
const MOST_NODES: usize = 200_000;

/// What may be secret.
#[derive(Debug, Default)]
pub struct Suspects {
    places: BTreeMap<String, Vec<Range<usize>>>,
    values: BTreeSet<String>,
}

impl Suspects {
    /// What may be secret in these sources, by path, and in what is set on top of them.
    pub fn find(sources: &BTreeMap<String, String>, apply: &ApplyRequest) -> Self {
        let templates = sources.iter().filter(|(path, _)| is_template(path));
        let mut references = References::into_secrets(templates.map(|(_, text)| text.as_str()));
        loop {
            let found = Self::meant_by(&references, sources, apply);
            // A value can be a template itself, which mentions others.
            if !references.mention(found.values()) {
                return found;
            }
        }
    }

    /// Where in this file: ranges of bytes.
    pub fn in_file(&self, path: &str) -> &[Range<usize>] {
        self.places.get(path).map_or(&[], Vec::as_slice)
    }

    /// The values themselves.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(String::as_str)
    }

    fn meant_by(references: &References, sources: &BTreeMap<String, String>, apply: &ApplyRequest) -> Self {
        let mut found = Self::default();
        let config = apply.config_path.as_ref().map(ToString::to_string);
        for (path, text) in sources.iter().filter(|(path, _)| !is_template(path)) {
            if Some(path) == config.as_ref() {
                found.look_into(path, text, references, Walk::Config);
            } else if is_tree(path) {
                found.look_into(path, text, references, Walk::Values);
            }
            if references.files && is_file_of_chart(path) {
                found.take_whole(path, text);
            }
        }
        for value in &apply.set {
            let is_odd = |keys: &[&str]| keys.is_empty() || value.expression.contains('\\');
            let is_meant = assignments(value).iter().any(|(keys, _)| references.mean(keys) || is_odd(keys));
            match (is_meant, value.kind) {
                (false, _) => {}
                (true, SetKind::File) => {
                    for (path, text) in
                        assignments(value).iter().filter_map(|(_, path)| sources.get_key_value(*path))
                    {
                        found.take_whole(path, text);
                    }
                }
                (true, _) => found.take_pieces(&value.expression),
            }
        }
        found
    }

    fn look_into(&mut self, path: &str, text: &str, references: &References, kind: Walk) {
        let tree = Tree::parse(text);
        let mut walker = Walker { references, left: MOST_NODES, found: Vec::new() };
        if let Some(root) = tree.root() {
            walker.walk(root, &mut Vec::new(), kind);
        }
        if walker.left == 0 {
            return self.take_whole(path, text);
        }
        let places = self.places.entry(path.to_owned()).or_default();
        for leaf in walker.found {
            places.push(inside(leaf));
            self.values.extend(leaf.text().map(str::to_owned));
        }
        if tree.is_repaired() && kind == Walk::Values {
            // What is missing from the tree is looked for by its name alone.
            places.extend(by_name(text, references));
        }
    }

    fn take_whole(&mut self, path: &str, text: &str) {
        self.places.entry(path.to_owned()).or_default().push(0..text.len());
        self.values.insert(text.to_owned());
    }

    /// A value as helm's own grammars may take it apart.
    fn take_pieces(&mut self, expression: &str) {
        let value = expression.split_once('=').map_or(expression, |(_, value)| value);
        self.values.insert(value.to_owned());
        let pieces = value.split([',', '{', '}', '[', ']', '"', ':', '=']);
        self.values.extend(pieces.map(|piece| piece.trim().to_owned()));
    }
}

/// Whose leaves count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Walk {
    Values,
    /// Values by names as `--set` has them.
    Settings,
    /// In `.ktl.yaml` only what it sets: the rest are names that everybody may know.
    Config,
}

struct Walker<'t> {
    references: &'t References,
    left: usize,
    found: Vec<Node<'t>>,
}

impl<'t> Walker<'t> {
    fn walk(&mut self, node: Node<'t>, keys: &mut Vec<&'t str>, kind: Walk) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        let node = node.resolved();
        match node.kind() {
            Kind::Mapping => {
                for entry in node.entries() {
                    let (key, above) = (entry.key.text().unwrap_or_default(), keys.len());
                    let mut below = kind;
                    match kind {
                        _ if entry.is_merge() => {}
                        Walk::Config if key.starts_with("set") => below = Walk::Settings,
                        Walk::Config => {}
                        Walk::Settings => keys.extend(path_of(key)),
                        Walk::Values => keys.push(key),
                    }
                    self.walk(entry.value, keys, below);
                    keys.truncate(above);
                }
            }
            Kind::Sequence => node.items().for_each(|item| self.walk(item, keys, kind)),
            _ if kind != Walk::Config && self.is_meant(node, keys) => self.found.push(node),
            _ => {}
        }
    }

    fn is_meant(&self, leaf: Node<'_>, keys: &[&str]) -> bool {
        let is_value =
            !matches!(scalar::resolve(leaf), None | Some(scalar::Scalar::Null | scalar::Scalar::Bool(_)));
        let sets = |text| plain_assignments(text).iter().any(|(keys, _)| self.references.mean(keys));
        is_value && (self.references.mean(keys) || leaf.text().is_some_and(sets))
    }
}

/// The value without its quotes.
fn inside(leaf: Node<'_>) -> Range<usize> {
    let range = leaf.span().range();
    match leaf.kind() {
        Kind::Scalar(_, Style::Quoted) if range.len() >= 2 => range.start + 1..range.end - 1,
        _ => range,
    }
}

/// What stands behind and below these names in a text that is no tree.
fn by_name(text: &str, references: &References) -> Vec<Range<usize>> {
    let names = references.names();
    let mut found = Vec::new();
    let (mut start, mut above) = (0, None);
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches([' ', '-']).len();
        let is_blank = line.trim().is_empty();
        let is_below = above.is_some_and(|above| indent > above);
        if !is_blank && !is_below {
            above = None;
        }
        let value = line.char_indices().filter(|(_, c)| *c == ':').find(|(at, _)| {
            let key =
                line[..*at].trim_end_matches([' ', '"', '\'']).rsplit([' ', '{', ',', '"', '\'']).next();
            names.as_ref().is_none_or(|names| key.is_some_and(|key| names.contains(key)))
        });
        let end = start + line.trim_end().len();
        match value {
            _ if is_blank => {}
            _ if is_below => found.push(start + indent..end),
            Some((at, _)) => {
                above = Some(indent);
                found.push(start + at + 1..end.max(start + at + 1));
            }
            None => {}
        }
        start += line.len();
    }
    found
}

/// The keys and the text of each value of an expression; where its grammar has none, no keys, which any reference to
/// all values means.
fn assignments(value: &SetValue) -> Vec<(Vec<&str>, &str)> {
    match value.kind {
        SetKind::Json | SetKind::Literal => {
            let whole = value.expression.split_once('=').unwrap_or(("", &value.expression));
            vec![(path_of(whole.0), whole.1)]
        }
        SetKind::Set | SetKind::String | SetKind::File => plain_assignments(&value.expression),
    }
}

/// `a.b=c,d=e`.
fn plain_assignments(expression: &str) -> Vec<(Vec<&str>, &str)> {
    let pairs = expression.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (path_of(name), value)).collect()
}

/// `a.b[0].c` without its indexes.
fn path_of(name: &str) -> Vec<&str> {
    let keys = name.trim().split('.').map(|key| key.split('[').next().unwrap_or_default());
    keys.filter(|key| !key.is_empty()).collect()
}

fn is_template(path: &str) -> bool {
    path.starts_with("templates/") || path.contains("/templates/")
}

fn is_tree(path: &str) -> bool {
    let is_other = ["Chart.yaml", ".schema.json"].iter().any(|end| path.ends_with(end));
    !is_other && [".yaml", ".yml", ".json"].iter().any(|end| path.ends_with(end))
}

/// What `.Files` may give.
fn is_file_of_chart(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    !name.starts_with("values") && !["Chart.yaml", "Chart.lock", ".helmignore", ".ktl.yaml"].contains(&name)
}

#[cfg(test)]
mod tests;
