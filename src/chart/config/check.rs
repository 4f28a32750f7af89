//! Holds a file against the table of keys.

mod guard;
mod scalar;

use std::collections::HashMap;

use super::keys::{Key, Shape, State};
use crate::finding::{Edit, Finding, Place, Severity};
use crate::suggest;
use crate::text::Span;
use crate::yaml::{self, Entry, Kind, Node};

/// Nodes that are looked at; aliases could make a small file name far more.
const MAX_NODES: usize = 200_000;

/// Findings in one file; the thousandth helps nobody.
const MAX_FINDINGS: usize = 500;

/// The code of the finding that says where reading ended; it is never left out.
pub(super) const TOO_LARGE: &str = "config-too-large";

/// A walk over one file.
pub(super) struct Check<'a> {
    pub(super) path: &'a str,
    pub(super) text: &'a str,
    pub(super) findings: Vec<Finding>,
    /// What stops operations, of the part that is being walked.
    pub(super) blocked: Vec<Finding>,
    nodes: usize,
}

impl<'a> Check<'a> {
    pub(super) fn new(path: &'a str, text: &'a str) -> Self {
        Self { path, text, findings: Vec::new(), blocked: Vec::new(), nodes: 0 }
    }

    pub(super) fn place(&self, span: Span) -> Place {
        Place::new(self.path, span)
    }

    pub(super) fn report(
        &mut self,
        span: Span,
        severity: Severity,
        code: &'static str,
        message: impl Into<String>,
    ) {
        self.push(Finding::at(self.place(span), severity, code, message));
    }

    /// Adds a finding unless an alias led here before. What takes no room (an empty key) is shown with the word before.
    pub(super) fn push(&mut self, mut finding: Finding) {
        if let Some(place) = finding.place.as_mut().filter(|place| place.span.is_empty()) {
            place.span = yaml::shown(self.text, place.span);
        }
        let has_room = self.findings.len() < MAX_FINDINGS || finding.code == TOO_LARGE;
        if has_room && !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    pub(super) fn error(&mut self, span: Span, code: &'static str, message: impl Into<String>) {
        self.report(span, Severity::Error, code, message);
    }

    /// A map with keys of ours: unknown ones, doubles, missing ones, and each value by its shape. `what` names the map
    /// where a key is missing: `a release`.
    pub(super) fn object(&mut self, node: Node<'_>, tables: &[&'static [Key]], what: &str, above: Span) {
        self.object_except(node, tables, what, above, "");
    }

    /// The same, and the value of one key is left to the caller.
    pub(super) fn object_except(
        &mut self,
        node: Node<'_>,
        tables: &[&'static [Key]],
        what: &str,
        above: Span,
        except: &str,
    ) {
        if !node.is_mapping() {
            return self.wrong_type(node, above, "a map");
        }
        let known = |name: &str| tables.iter().flat_map(|table| table.iter()).find(|key| key.name == name);
        self.doubles(node);
        for entry in node.merged_entries() {
            let Some(name) = entry.key.text() else { continue };
            match known(name) {
                Some(key) if key.name == except => {}
                Some(key) => self.value(key, entry),
                None if name.starts_with("x-") => {}
                None => self.unknown(entry, name, tables),
            }
        }
        for key in tables.iter().flat_map(|table| table.iter()).filter(|key| key.required) {
            if node.get(key.name).is_none_or(Node::is_null) {
                self.missing(node, key, what, above);
            }
        }
    }

    fn value(&mut self, key: &'static Key, entry: Entry<'_>) {
        match key.state {
            State::Unused if !entry.value.is_null() => {
                let message = format!("`{}` has no effect in this version of ktl", key.name);
                self.report(entry.key.span(), Severity::Warning, "config-unused-key", message);
            }
            State::Guard { harmless } => self.guard(key, harmless, entry),
            State::Forbidden { instead, why } => return self.forbidden(key, entry, instead, why),
            _ => {}
        }
        if !entry.value.is_null() {
            self.shape(key.shape, entry.value, entry.key.span());
        }
    }

    /// A value by its shape; `above` is the key or dash to point at when the value takes no room.
    pub(super) fn shape(&mut self, shape: Shape, node: Node<'_>, above: Span) {
        if !self.may_look(above) {
            return;
        }
        let node = node.resolved();
        match shape {
            Shape::List(inner) if node.is_sequence() => {
                for item in node.items() {
                    self.item(*inner, item, above);
                }
            }
            Shape::Map(inner) if node.is_mapping() => {
                self.doubles(node);
                for entry in node.entries().filter(|entry| !entry.is_merge()) {
                    self.shape(*inner, entry.value, entry.key.span());
                }
            }
            Shape::Object(keys) => self.object(node, &[keys], "this map", above),
            Shape::Settings if node.is_mapping() => self.settings(node),
            Shape::Settings if node.is_sequence() => {
                for item in node.items() {
                    self.item(Shape::Text, item, above);
                }
            }
            Shape::List(_) if matches!(node.kind(), Kind::Scalar(..)) => self.scalar_for_list(node),
            Shape::List(_) | Shape::Map(_) | Shape::Settings => {
                self.wrong_type(node, above, &shape.expected());
            }
            _ => self.scalar(shape, node, above),
        }
    }

    /// Whether the file means more than is read.
    pub(super) fn is_exhausted(&self) -> bool {
        self.nodes >= MAX_NODES
    }

    /// Counts a node. Above the limit nothing is known to be harmless any more, so operations are stopped too.
    fn may_look(&mut self, span: Span) -> bool {
        self.nodes += 1;
        if self.nodes == MAX_NODES {
            let message =
                format!("aliases make this file mean more than {MAX_NODES} values; ktl reads no further");
            let finding = Finding::at(self.place(span), Severity::Error, TOO_LARGE, message);
            self.push(finding.clone());
            self.blocked.push(finding);
        }
        self.nodes < MAX_NODES
    }

    /// An item of a list: it must not be empty.
    pub(super) fn item(&mut self, shape: Shape, item: Node<'_>, above: Span) {
        if item.is_null() {
            let span = if item.span().is_empty() {
                dash_before(self.text, item.span().start, above)
            } else {
                item.span()
            };
            return self.error(
                span,
                "config-empty-item",
                format!("this item is empty: expected {}", shape.expected()),
            );
        }
        self.shape(shape, item, item.span());
    }

    fn settings(&mut self, node: Node<'_>) {
        self.doubles(node);
        for entry in node.entries().filter(|entry| !entry.is_merge()) {
            let value = entry.value.resolved();
            let plain_list = value.is_sequence() && value.items().all(|item| item.text().is_some());
            if !plain_list && value.text().is_none() {
                let message =
                    "expected a value or a list of values: name nested keys with dots, as in `image.tag`";
                self.error(entry.shown().first_line(self.text), "config-wrong-type", message);
            }
        }
    }

    fn scalar_for_list(&mut self, node: Node<'_>) {
        let span = node.span();
        let found = scalar::found(node);
        let mut finding = Finding::at(
            self.place(span),
            Severity::Error,
            "config-wrong-type",
            format!("expected a list, found {found}"),
        );
        let written = span.of(self.text);
        if !written.contains(['\n', ',', '[', ']', '{', '}']) {
            let edit = Edit { place: self.place(span), new_text: format!("[{written}]") };
            finding = finding.with_fix("make it a list", vec![edit]);
        }
        self.push(finding);
    }

    pub(super) fn wrong_type(&mut self, node: Node<'_>, above: Span, expected: &str) {
        let span = if node.span().is_empty() { above } else { node.span().first_line(self.text) };
        let message = format!("expected {expected}, found {}", scalar::found(node));
        self.error(span, "config-wrong-type", message);
    }

    fn doubles(&mut self, node: Node<'_>) {
        let mut seen: HashMap<&str, Span> = HashMap::new();
        for entry in node.entries().filter(|entry| !entry.is_merge()) {
            let Some(name) = entry.key.text() else {
                let span = entry.key.span().first_line(self.text);
                self.error(span, "config-key-type", "a key must be text, not a map or list");
                continue;
            };
            if let Some(first) = seen.insert(name, entry.key.span()) {
                let message = format!("`{name}` is given twice in this map; the last one counts");
                let finding = Finding::at(
                    self.place(entry.key.span()),
                    Severity::Error,
                    "config-duplicate-key",
                    message,
                );
                let first = self.place(first);
                self.push(finding.with_related(first, "first given here"));
            }
        }
    }

    fn unknown(&mut self, entry: Entry<'_>, name: &str, tables: &[&'static [Key]]) {
        let keys = tables.iter().flat_map(|table| table.iter());
        let allowed = keys.filter(|key| !matches!(key.state, State::Forbidden { .. })).map(|key| key.name);
        let nearest = suggest::nearest(name, allowed);
        let hint = nearest.map(|nearest| format!("; did you mean `{nearest}`?")).unwrap_or_default();
        let span = entry.key.span();
        let message = format!("unknown key `{}`{hint}", shortened(name));
        let mut finding = Finding::at(self.place(span), Severity::Warning, "config-unknown-key", message);
        if let Some(nearest) = nearest {
            let edit = Edit { place: self.place(span), new_text: nearest.to_owned() };
            finding = finding.with_fix(format!("change to `{nearest}`"), vec![edit]);
        }
        self.push(finding);
    }

    fn missing(&mut self, node: Node<'_>, key: &Key, what: &str, above: Span) {
        let own = node.entry(key.name).map(|entry| entry.key.span());
        let first = node.entries().next().map(|entry| entry.key.span());
        let message = format!("{what} needs `{}`: {}", key.name, key.doc);
        self.error(own.or(first).unwrap_or(above), "config-missing-key", message);
    }
}

/// The `-` of an item that is empty.
fn dash_before(text: &str, offset: usize, otherwise: Span) -> Span {
    match text.get(..offset).and_then(|before| before.rfind('-')) {
        Some(dash) => Span::new(dash, dash + 1),
        None => otherwise,
    }
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= 60 { name.to_owned() } else { name.chars().take(60).chain(['…']).collect() }
}
