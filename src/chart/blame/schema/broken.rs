//! A `values.schema.json` that is itself no schema. JSON is YAML, so its places come from the same tree.

use super::wording::{self, Context};
use crate::blame::scene::{Scene, join};
use crate::blame::{files, release};
use crate::finding::{Finding, Place, Severity};
use crate::text::{LineIndex, Span};
use crate::yaml::{Kind, Node, Tree};

/// Whether the lines of a section are about the schema.
pub(super) fn is_meant(lines: &[&str]) -> bool {
    lines.iter().any(|line| line.contains("is not valid against metaschema"))
        || wording::parse(lines).is_empty()
}

/// The finding on the schema of the chart at `subcharts`.
pub(super) fn read(scene: &Scene<'_>, subcharts: &[String], lines: &[&str]) -> Finding {
    let words = lines.join("\n");
    let message = format!("values.schema.json cannot be used: {}", words.trim());
    let dir = scene.subchart_at(subcharts);
    let path = join(&dir, "values.schema.json");
    let Some(text) = scene.text(&path) else { return release::unknown(scene, "schema-broken", &message) };
    let tree = Tree::parse(text);
    let found = syntax(text).or_else(|| culprit(tree.root()?, lines, &words));
    let finding =
        |span| Finding::at(Place::new(&path, span), Severity::Error, "schema-broken", message.as_str());
    match found {
        Some(span) => finding(span),
        None => finding(files::head(text)).likely(),
    }
}

/// Where the text stops being JSON.
fn syntax(text: &str) -> Option<Span> {
    let error = serde_json::from_str::<serde::de::IgnoredAny>(text).err()?;
    let index = LineIndex::new(text);
    // The parser counts bytes from 1 and stops behind the byte that it does not take.
    let start = index.byte_utf8(error.line().checked_sub(1)?, error.column().saturating_sub(1));
    let length = text[start..].chars().next().map_or(0, char::len_utf8);
    Some(crate::yaml::shown(text, Span::new(start, start + length)))
}

fn culprit(root: Node<'_>, lines: &[&str], words: &str) -> Option<Span> {
    if let Some(violation) = wording::parse(lines).first()
        && let Context::Pointer(steps) = &violation.context
    {
        return steps.iter().try_fold(root, |node, step| step_into(node, step)).map(Node::span);
    }
    if let Some((_, rest)) = words.split_once("-- given: /") {
        let given = rest.split('/').next()?;
        return find(root, &|key, text| key == "type" && text == given);
    }
    if words.contains("not found") || words.starts_with("Object has no key") {
        return find(root, &|key, text| key == "$ref" && text.starts_with('#') && !resolves(root, text));
    }
    None
}

fn resolves(root: Node<'_>, reference: &str) -> bool {
    let mut steps = reference.trim_start_matches('#').split('/').skip(1);
    steps.try_fold(root, |node, step| step_into(node, &step.replace("~1", "/").replace("~0", "~"))).is_some()
}

fn step_into<'t>(node: Node<'t>, step: &str) -> Option<Node<'t>> {
    if node.is_sequence() { node.items().nth(step.parse().ok()?) } else { node.get(step) }
}

/// The first text value that fits, with its key.
fn find(root: Node<'_>, fits: &dyn Fn(&str, &str) -> bool) -> Option<Span> {
    let mut waiting = vec![root];
    while let Some(node) = waiting.pop() {
        for entry in node.entries() {
            if let (Some(key), Kind::Scalar(text, _)) = (entry.key.text(), entry.value.kind())
                && fits(key, text)
            {
                return Some(entry.value.span());
            }
        }
        // In reverse, because the last one is taken first. Aliases are left out: JSON has none.
        waiting
            .extend(node.entries().rev().map(|entry| entry.value).filter(|node| node.kind() != Kind::Alias));
        waiting.extend(node.items().rev().filter(|node| node.kind() != Kind::Alias));
    }
    None
}
