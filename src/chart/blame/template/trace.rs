//! Failures while a template runs: the chain of calls that Helm prints.
//!
//! Helm 3 prints one line, `template: PATH:L:C: executing "NAME" at <NODE>: …`, link after link; Helm 4 a line for each
//! position and indented lines below it, or the form of Helm 3 where it cannot read its own chain.

use std::sync::LazyLock;

use regex::Regex;

use super::widen::{self, Node};
use crate::blame::scene::Scene;
use crate::finding::{Finding, Place, Severity};

/// A link of the chain.
struct Frame<'m> {
    path: &'m str,
    line: usize,
    /// Bytes from the start of the line.
    column: usize,
    /// Go's rendering of the node.
    node: &'m str,
}

/// The longest chain that is shown beside the place.
const MAX_RELATED: usize = 8;

static LINK: LazyLock<Option<Regex>> = LazyLock::new(|| {
    // The name of the template is quoted by Go, so a quote in it is escaped.
    let position = r"(?:template: |^|\n)([^\n]+?):(\d+):(\d+)";
    let link = format!(r#"{position}:?\s+executing "(?:[^"\\]|\\.)*" at <"#);
    Regex::new(&link).ok()
});

pub(super) fn read(scene: &Scene<'_>, message: &str) -> Option<Finding> {
    if let Some(finding) = called_to_fail(scene, message) {
        return Some(finding);
    }
    let (frames, reason) = frames(message)?;
    let places: Vec<(Place, &Frame<'_>)> =
        frames.iter().filter_map(|frame| Some((place(scene, frame, "")?, frame))).collect();
    if places.is_empty() {
        return Some(crate::blame::release::unknown(scene, "template-exec", message));
    }
    let nested = reason.contains("nested reference name") || reason.contains("maximum template depth");
    let culprit = if nested { first_of_cycle(&places) } else { places.len() - 1 };
    let reaches_source = std::ptr::eq(places[culprit].1, frames.last()?);
    let frame = places[culprit].1;
    let primary = if reaches_source { place(scene, frame, &reason)? } else { places[culprit].0.clone() };
    let message = match rebound(&reason) {
        Some(name) => {
            format!("{reason}: inside range, with and define the dot is something else; write `$.{name}`")
        }
        None => reason.clone(),
    };
    let mut finding = Finding::at(primary.clone(), Severity::Error, "template-exec", message);
    // A helper may have been handed the wrong dot by its caller.
    let is_certain = is_the_template(&reason) || (rebound(&reason).is_some() && frames.len() == 1);
    if !(nested || (reaches_source && is_certain)) {
        finding = finding.likely();
    }
    let mut shown = vec![primary, places[culprit].0.clone()];
    for (place, _) in places[..culprit].iter().rev() {
        if finding.related.len() < MAX_RELATED && !shown.contains(place) {
            shown.push(place.clone());
            finding = finding.with_related(place.clone(), "called from here");
        }
    }
    Some(finding)
}

/// `execution error at (demo/templates/cm.yaml:6:8): host is required`, of `required` and `fail`: the outermost call.
fn called_to_fail(scene: &Scene<'_>, message: &str) -> Option<Finding> {
    let (_, rest) = message.split_once("execution error at (")?;
    let (position, reason) = rest.match_indices("): ").find_map(|(offset, separator)| {
        let position = &rest[..offset];
        position
            .ends_with(|c: char| c.is_ascii_digit())
            .then(|| (position, &rest[offset + separator.len()..]))
    })?;
    let (before, column) = position.rsplit_once(':')?;
    let (path, line) = before.rsplit_once(':')?;
    let frame = Frame { path, line: line.parse().ok()?, column: column.parse().ok()?, node: "" };
    match place(scene, &frame, "") {
        Some(place) => Some(Finding::at(place, Severity::Error, "template-fail", reason.trim()).likely()),
        None => Some(crate::blame::release::unknown(scene, "template-fail", reason.trim())),
    }
}

/// The chain, outermost first, and what stands after its last link.
fn frames(message: &str) -> Option<(Vec<Frame<'_>>, String)> {
    let link = LINK.as_ref()?;
    let mut frames = Vec::new();
    let mut reason = "";
    for captures in link.captures_iter(message) {
        let end = captures.get(0)?.end();
        let rest = &message[end..];
        let close = rest.find(">:").unwrap_or(rest.len());
        let (path, line, column) = (captures.get(1)?.as_str(), &captures[2], &captures[3]);
        // In the form of Helm 3 the words before `template: ` belong to the link before.
        let path = path.rsplit("template: ").next().unwrap_or(path);
        frames.push(Frame {
            path,
            line: line.parse().ok()?,
            column: column.parse().ok()?,
            node: &rest[..close],
        });
        reason = rest.get(close + 2..).unwrap_or_default();
    }
    (!frames.is_empty()).then(|| (frames, reason.split_whitespace().collect::<Vec<_>>().join(" ")))
}

fn place(scene: &Scene<'_>, frame: &Frame<'_>, reason: &str) -> Option<Place> {
    let source = scene.template(frame.path)?;
    let text = scene.text(source)?;
    let node = Node { line: frame.line, column: frame.column, shown: frame.node };
    Some(Place::new(source, widen::widen(text, &node, reason)))
}

/// Where templates call each other in a circle: the first link that comes again.
fn first_of_cycle(places: &[(Place, &Frame<'_>)]) -> usize {
    let again = |index: &usize| places[index + 1..].iter().any(|(place, _)| *place == places[*index].0);
    (0..places.len()).find(again).unwrap_or(places.len() - 1)
}

/// The built-in object that was asked of a dot which does not hold it.
fn rebound(reason: &str) -> Option<&str> {
    let name = reason.strip_prefix("can't evaluate field ")?.split(' ').next()?;
    ["Values", "Release", "Chart", "Capabilities", "Files", "Template"].contains(&name).then_some(name)
}

/// Words that no value can be to blame for.
fn is_the_template(reason: &str) -> bool {
    let heads = ["wrong number of args for", "undefined variable", "can't give argument to non-function"];
    heads.iter().any(|head| reason.starts_with(head))
        || reason.contains("no template \"")
        || (reason.starts_with("template \"") && reason.contains("not defined"))
        || (reason.starts_with('"') && reason.ends_with("is not a defined function"))
}
