//! What is good YAML and still not what Helm can read, or not what it looks like.

use std::collections::HashMap;

use crate::finding::{Finding, Place, Severity};
use crate::text::Span;
use crate::yaml::scalar::{self, Scalar};
use crate::yaml::{self, Entry, Kind, Node, Tree};

/// Findings in one file; the thousandth helps nobody.
const MAX_FINDINGS: usize = 500;

pub(super) fn check(path: &str, text: &str, tree: &Tree) -> Vec<Finding> {
    let mut check = Check { path, text, open: Vec::new(), findings: Vec::new() };
    for alias in tree.unknown_aliases() {
        let name = alias.of(text).trim_start_matches('*');
        let message = format!(
            "unknown anchor '{name}' referenced: no `&{name}` stands above; put the text in quotes if it is no alias"
        );
        check.error(*alias, "values-unknown-anchor", message);
    }
    let Some(root) = tree.root() else { return check.findings };
    if !root.is_mapping() && !root.is_null() {
        let found = if root.is_sequence() { "a list" } else { "a single value" };
        let message = format!("helm reads this file as a map, and it is {found}: begin with `key: value`");
        check.error(root.span().first_line(text), "values-no-map", message);
    }
    check.node(root);
    check.findings
}

/// The values that refer to a secret; text that only speaks of one is none.
pub(super) fn secret_references(path: &str, text: &str, tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut waiting: Vec<Node<'_>> = tree.root().into_iter().collect();
    while let Some(node) = waiting.pop() {
        if let Kind::Scalar(value, _) = node.kind()
            && value.starts_with("secret://")
            && findings.len() < MAX_FINDINGS
        {
            let message = "`secret://` values are not supported yet, so ktl does not apply this file: helm would deploy the \
                           reference itself; remove it";
            let place = Place::new(path, node.span().first_line(text));
            findings.push(Finding::at(place, Severity::Error, "values-not-yet", message));
        }
        // In reverse, because the last one is taken first. What an alias names is seen at its own place.
        let is_alias = node.kind() == Kind::Alias;
        let children = node.entries().map(|entry| entry.value).chain(node.items()).filter(|_| !is_alias);
        let start = waiting.len();
        waiting.extend(children);
        waiting[start..].reverse();
    }
    findings
}

struct Check<'a> {
    path: &'a str,
    text: &'a str,
    /// The nodes around the one that is looked at.
    open: Vec<usize>,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn error(&mut self, span: Span, code: &'static str, message: impl Into<String>) {
        // A tag without a value takes no room.
        let place = Place::new(self.path, yaml::shown(self.text, span));
        self.push(Finding::at(place, Severity::Error, code, message));
    }

    fn push(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        }
    }

    // Depth is limited by the tree. An alias is not followed, so each node is seen once, at its own place.
    fn node(&mut self, node: Node<'_>) {
        self.open.push(node.identity());
        match node.kind() {
            Kind::Mapping => self.mapping(node),
            Kind::Sequence => node.items().for_each(|item| self.node(item)),
            Kind::Scalar(..) => self.scalar(node),
            Kind::Alias => self.alias(node),
        }
        self.open.pop();
    }

    fn alias(&mut self, node: Node<'_>) {
        let above = self.open.split_last().map_or(&[][..], |(_, above)| above);
        if above.contains(&node.identity()) {
            let name = node.span().of(self.text).trim_start_matches('*');
            let message =
                format!("anchor '{name}' value contains itself: this alias stands inside of what it names");
            self.error(node.span(), "values-anchor-in-itself", message);
        }
    }

    fn mapping(&mut self, node: Node<'_>) {
        let mut seen: HashMap<&str, Span> = HashMap::new();
        for entry in node.entries() {
            if matches!(entry.key.resolved().kind(), Kind::Mapping | Kind::Sequence) {
                self.key_that_is_no_text(node, entry);
                return;
            }
            if entry.is_merge() {
                self.merge(entry);
            } else if let Some(key) = entry.key.text()
                && let Some(first) = seen.insert(key, entry.key.span())
            {
                let message = format!("`{key}` is given twice in this map; the last one counts");
                let place = Place::new(self.path, yaml::shown(self.text, entry.key.span()));
                let finding = Finding::at(place, Severity::Warning, "values-duplicate-key", message);
                self.push(
                    finding.with_related(Place::new(self.path, first), "first given here, without effect"),
                );
            }
            self.node(entry.value);
        }
    }

    /// `{{ .Values.x }}` is a map in a map to YAML; what the writer meant is a template.
    fn key_that_is_no_text(&mut self, map: Node<'_>, entry: Entry<'_>) {
        let outer = map.span();
        if outer.of(self.text).starts_with("{{") {
            let message = "invalid map key: helm does not evaluate templates in values files; write the value itself, \
                           or put it in quotes and use `tpl` in the template";
            return self.error(outer.first_line(self.text), "values-template", message);
        }
        let span = entry.key.span().first_line(self.text);
        self.error(span, "values-key-type", "invalid map key: a key must be text, not a map or list");
    }

    fn merge(&mut self, entry: Entry<'_>) {
        let maps = if entry.value.is_sequence() {
            entry.value.items().all(Node::is_mapping)
        } else {
            entry.value.is_mapping()
        };
        let is_unknown = entry.value.resolved().kind() == Kind::Alias;
        if !maps && !is_unknown {
            let message = "map merge requires map or sequence of maps as the value";
            self.error(entry.shown(), "values-merge", message);
        }
    }

    fn scalar(&mut self, node: Node<'_>) {
        if let (Some(tag), Kind::Scalar(text, _)) = (node.tag(), node.kind())
            && !scalar::fits(tag, text)
        {
            let message =
                format!("cannot decode !!str `{text}` as a !!{tag}: remove the tag or change the value");
            self.error(node.span(), "values-tag", message);
        }
        if let Some(Scalar::Float(value)) = scalar::resolve(node)
            && !value.is_finite()
        {
            let message =
                "helm turns values into JSON, which has no infinity and no `.nan`; put it in quotes";
            self.error(node.span(), "values-not-finite", message);
        }
    }
}
