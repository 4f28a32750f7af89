//! From the parser's events to a tree.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle};

use super::{MAX_DEPTH, NodeData, NodeId, NodeKind, Style, Tree};
use crate::text::Span;

/// What parsing gave: the tree as far as it got, and where the parser stopped.
pub(super) struct Built {
    pub(super) tree: Tree,
    /// The byte at which the text stopped being YAML.
    pub(super) stopped: Option<usize>,
}

/// Reads the first document. Where the parser stops, open collections are closed and a key without value is given none.
pub(super) fn build(text: &str) -> Built {
    let mut options = granit_parser::Options::default();
    options.emit_unresolved_aliases = true;
    options.set_emit_comments(false);
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut builder = Builder { text, ..Builder::default() };
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((Event::DocumentEnd, _)) => break,
            Ok((event, span)) => builder.take(event, span),
            Err(error) => {
                let stopped = error.marker().byte_offset().unwrap_or(text.len());
                return Built { tree: builder.finish(), stopped: Some(stopped) };
            }
        }
    }
    Built { tree: builder.finish(), stopped: None }
}

#[derive(Default)]
struct Builder<'a> {
    text: &'a str,
    tree: Tree,
    open: Vec<Open>,
    anchors: HashMap<usize, NodeId>,
}

/// A collection whose end has not come.
struct Open {
    node: NodeId,
    /// Of a map: the key that waits for its value.
    key: Option<NodeId>,
    flow: bool,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, at: granit_parser::Span) {
        let span = at.byte_range().map_or(Span::new(0, 0), |range| Span::new(range.start, range.end));
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let (text, style) = scalar(&text, style, span);
                let span = if style == Style::Block { without_blank_end(span, self.text) } else { span };
                let node = self.add(span, tag.as_deref(), NodeKind::Scalar { text, style });
                self.anchors.insert(anchor, node);
                self.attach(node);
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.start(span, style, anchor, tag.as_deref(), NodeKind::Sequence(Vec::new()));
            }
            Event::MappingStart(style, anchor, tag) => {
                self.start(span, style, anchor, tag.as_deref(), NodeKind::Mapping(Vec::new()));
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(Some(span.end)),
            Event::Alias(anchor) => {
                let target = self.anchors.get(&anchor).copied();
                let node = self.add(span, None, NodeKind::Alias(target));
                self.attach(node);
            }
            Event::UnresolvedAlias(_) => {
                self.tree.unknown_aliases.push(span);
                let node = self.add(span, None, NodeKind::Alias(None));
                self.attach(node);
            }
            _ => {}
        }
    }

    fn add(&mut self, span: Span, tag: Option<&granit_parser::Tag>, kind: NodeKind) -> NodeId {
        let id = NodeId(self.tree.nodes.len());
        let tag = tag.map(|tag| tag.suffix().into());
        self.tree.nodes.push(NodeData { span, tag, kind });
        id
    }

    fn start(
        &mut self,
        span: Span,
        style: StructureStyle,
        anchor: usize,
        tag: Option<&granit_parser::Tag>,
        kind: NodeKind,
    ) {
        let node = self.add(span, tag, kind);
        self.anchors.insert(anchor, node);
        self.attach(node);
        self.open.push(Open { node, key: None, flow: style == StructureStyle::Flow });
    }

    /// Hangs a node below the innermost open collection.
    fn attach(&mut self, node: NodeId) {
        let Some(open) = self.open.last_mut() else {
            self.tree.root.get_or_insert(node);
            return;
        };
        let parent = open.node;
        match &mut self.tree.nodes[parent.0].kind {
            NodeKind::Sequence(items) => items.push(node),
            NodeKind::Mapping(pairs) => match open.key.take() {
                None => open.key = Some(node),
                Some(key) => pairs.push((key, node)),
            },
            NodeKind::Scalar { .. } | NodeKind::Alias(_) => {}
        }
    }

    /// Ends the innermost collection. The parser puts the end of a block at the next token, so a block ends with its
    /// last child; a flow collection with its bracket.
    fn close(&mut self, end: Option<usize>) {
        let Some(open) = self.open.last() else { return };
        if let Some(key) = open.key {
            let end = self.tree.nodes[key.0].span.end;
            let kind = NodeKind::Scalar { text: "".into(), style: Style::Plain };
            let value = self.add(Span::new(end, end), None, kind);
            self.attach(value);
        }
        let Some(open) = self.open.pop() else { return };
        let children = match &self.tree.nodes[open.node.0].kind {
            NodeKind::Sequence(items) => items.last().map(|item| (items[0], *item, *item)),
            NodeKind::Mapping(pairs) => pairs.last().map(|(key, value)| (pairs[0].0, *key, *value)),
            NodeKind::Scalar { .. } | NodeKind::Alias(_) => None,
        };
        let span_of = |id: NodeId| self.tree.nodes[id.0].span;
        let mut span = span_of(open.node);
        match (end, children) {
            (Some(end), _) if open.flow => span.end = end.max(span.end),
            (_, Some((_, key, value))) => span.end = span.end.max(span_of(key).end).max(span_of(value).end),
            _ => {}
        }
        if let (false, Some((first, ..))) = (open.flow, children)
            && self.text.as_bytes().get(span.start) != Some(&b'-')
        {
            span.start = span.start.max(span_of(first).start);
        }
        self.tree.nodes[open.node.0].span = span;
    }

    fn finish(mut self) -> Tree {
        while !self.open.is_empty() {
            self.close(None);
        }
        self.tree
    }
}

/// A block scalar reaches over the empty lines after it.
fn without_blank_end(span: Span, text: &str) -> Span {
    Span::new(span.start, span.start + span.of(text).trim_end().len())
}

/// The parser reports a missing value as a `~` that takes no room.
fn scalar(text: &str, style: ScalarStyle, span: Span) -> (Box<str>, Style) {
    let style = match style {
        ScalarStyle::Plain if span.is_empty() => return ("".into(), Style::Plain),
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
    };
    (text.into(), style)
}
