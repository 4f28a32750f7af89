//! YAML as a tree in which every key and value knows its bytes.
//!
//! [`Tree::parse`] never fails: where the text is broken it keeps what it can (see `repair`). What is wrong with a text
//! is another question, answered by [`problem()`]. Only the first document is read, as Helm does. Scalars are text here;
//! what Helm makes of them says [`scalar::resolve`].

mod build;
mod problem;
mod repair;
pub mod scalar;

use std::collections::HashSet;

use crate::text::Span;

pub(crate) use problem::shown;
pub use problem::{Problem, Scan, problem, scan};

/// How deep collections may be nested; deeper text is kept down to this depth.
pub const MAX_DEPTH: usize = 200;

/// The first document of a text.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    nodes: Vec<NodeData>,
    root: Option<NodeId>,
    unknown_aliases: Vec<Span>,
    repaired: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct NodeId(usize);

#[derive(Debug, Clone)]
struct NodeData {
    span: Span,
    tag: Option<Box<str>>,
    kind: NodeKind,
}

#[derive(Debug, Clone)]
enum NodeKind {
    Scalar { text: Box<str>, style: Style },
    Sequence(Vec<NodeId>),
    Mapping(Vec<(NodeId, NodeId)>),
    Alias(Option<NodeId>),
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes: the only style in which `yes` or `1` is not text.
    Plain,
    /// In single or double quotes.
    Quoted,
    /// With `|` or `>`.
    Block,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'t> {
    /// A scalar: its text after unescaping, and its style.
    Scalar(&'t str, Style),
    /// A list.
    Sequence,
    /// A map.
    Mapping,
    /// `*name`.
    Alias,
}

/// A node of a tree.
#[derive(Debug, Clone, Copy)]
pub struct Node<'t> {
    tree: &'t Tree,
    id: NodeId,
}

/// A key and its value.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'t> {
    /// The key.
    pub key: Node<'t>,
    /// The value; of `key:` alone an empty plain scalar with an empty span.
    pub value: Node<'t>,
}

impl Tree {
    /// Reads the first document of `text`, mending what is broken as far as that is possible.
    pub fn parse(text: &str) -> Self {
        repair::parse(text)
    }

    /// The top of the document; `None` for a text without content.
    pub fn root(&self) -> Option<Node<'_>> {
        self.root.map(|id| Node { tree: self, id })
    }

    /// Aliases that name no anchor.
    pub fn unknown_aliases(&self) -> &[Span] {
        &self.unknown_aliases
    }

    /// Whether the text was broken, so that something may be missing from the tree.
    pub fn is_repaired(&self) -> bool {
        self.repaired
    }
}

impl<'t> Node<'t> {
    fn data(self) -> &'t NodeData {
        &self.tree.nodes[self.id.0]
    }

    fn at(self, id: NodeId) -> Self {
        Self { tree: self.tree, id }
    }

    /// Its bytes: from the first to the last byte of its content, quotes and brackets included.
    pub fn span(self) -> Span {
        self.data().span
    }

    /// What it is, an alias not followed.
    pub fn kind(self) -> Kind<'t> {
        match &self.data().kind {
            NodeKind::Scalar { text, style } => Kind::Scalar(text, *style),
            NodeKind::Sequence(_) => Kind::Sequence,
            NodeKind::Mapping(_) => Kind::Mapping,
            NodeKind::Alias(_) => Kind::Alias,
        }
    }

    /// The node that an alias stands for; any other node is itself.
    #[must_use]
    pub fn resolved(self) -> Self {
        match self.data().kind {
            NodeKind::Alias(Some(target)) => self.at(target),
            _ => self,
        }
    }

    /// The tag as written, without its `!` handle: `str` for `!!str`.
    pub fn tag(self) -> Option<&'t str> {
        self.data().tag.as_deref()
    }

    /// The text of a scalar; `None` for collections and unknown aliases.
    pub fn text(self) -> Option<&'t str> {
        match &self.resolved().data().kind {
            NodeKind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether it is `null` as Helm reads it: nothing at all, `~`, `null`.
    pub fn is_null(self) -> bool {
        matches!(scalar::resolve(self.resolved()), Some(scalar::Scalar::Null))
    }

    /// The entries of a map in order, duplicates included; empty for anything else. `<<` is an entry like any other.
    pub fn entries(self) -> impl DoubleEndedIterator<Item = Entry<'t>> + ExactSizeIterator {
        let pairs: &'t [(NodeId, NodeId)] = match &self.resolved().data().kind {
            NodeKind::Mapping(pairs) => pairs,
            _ => &[],
        };
        pairs.iter().map(move |(key, value)| Entry { key: self.at(*key), value: self.at(*value) })
    }

    /// The items of a list in order; empty for anything else.
    pub fn items(self) -> impl DoubleEndedIterator<Item = Node<'t>> + ExactSizeIterator {
        let ids: &'t [NodeId] = match &self.resolved().data().kind {
            NodeKind::Sequence(ids) => ids,
            _ => &[],
        };
        ids.iter().map(move |id| self.at(*id))
    }

    /// Whether it is a map, aliases followed.
    pub fn is_mapping(self) -> bool {
        self.resolved().kind() == Kind::Mapping
    }

    /// Whether it is a list, aliases followed.
    pub fn is_sequence(self) -> bool {
        self.resolved().kind() == Kind::Sequence
    }

    /// The entry that counts for a key: the last one written, else one that `<<` merges in.
    pub fn entry(self, key: &str) -> Option<Entry<'t>> {
        self.maps()
            .into_iter()
            .find_map(|map| map.entries().rev().find(|entry| entry.key.text() == Some(key)))
    }

    /// The value that counts for a key.
    pub fn get(self, key: &str) -> Option<Node<'t>> {
        self.entry(key).map(|entry| entry.value)
    }

    /// The entries of a map and of the maps that `<<` merges into it, in the order in which they count: an entry hides
    /// those of the same key in later maps. Without `<<` itself.
    pub fn merged_entries(self) -> Vec<Entry<'t>> {
        let mut hidden: HashSet<&str> = HashSet::new();
        let mut entries = Vec::new();
        for map in self.maps() {
            let own = map.entries().filter(|entry| !entry.is_merge());
            let own: Vec<_> =
                own.filter(|entry| entry.key.text().is_none_or(|key| !hidden.contains(key))).collect();
            hidden.extend(own.iter().filter_map(|entry| entry.key.text()));
            entries.extend(own);
        }
        entries
    }

    /// Two nodes of a tree with one identity are one node.
    pub(crate) fn identity(self) -> usize {
        self.resolved().id.0
    }

    /// The map itself and those merged into it, nearest first, each once: a map may merge itself.
    fn maps(self) -> Vec<Self> {
        let mut seen = HashSet::new();
        let mut maps = Vec::new();
        let mut waiting = vec![self.resolved()];
        while let Some(map) = waiting.pop() {
            if !map.is_mapping() || !seen.insert(map.id.0) {
                continue;
            }
            maps.push(map);
            let merges = map.entries().filter(|entry| entry.is_merge()).rev();
            for merge in merges {
                if merge.value.is_sequence() {
                    waiting.extend(merge.value.items().rev().map(Self::resolved));
                } else {
                    waiting.push(merge.value.resolved());
                }
            }
        }
        maps
    }
}

impl Entry<'_> {
    /// Whether this is `<<`, which merges the map or maps that follow.
    pub fn is_merge(self) -> bool {
        self.key.kind() == Kind::Scalar("<<", Style::Plain)
    }

    /// Key and value together.
    pub fn span(self) -> Span {
        let key = self.key.span();
        Span::new(key.start, self.value.span().end.max(key.end))
    }

    /// The value, or the key where nothing is written as value: a place that can be shown.
    pub fn shown(self) -> Span {
        let value = self.value.span();
        if value.is_empty() { self.key.span() } else { value }
    }
}

#[cfg(test)]
mod second_opinion;
#[cfg(test)]
mod tests;
