//! Templates that do not parse or fail while they run.
//!
//! Helm prints a virtual path, a line, and for failures while running a column of bytes counted from 0 that stands
//! somewhere in the action. Here it becomes a source and the word or call at fault. Whether a value is to blame for it
//! the text cannot say, so failures while running are likely, unless their words can only mean the template.

mod action;
mod parse_error;
mod trace;
mod widen;

use super::scene::Scene;
use crate::finding::{Finding, Place, Severity};
use crate::text::Span;

pub(super) fn read(scene: &Scene<'_>, message: &str) -> Option<Vec<Finding>> {
    if let Some(finding) = rendered(scene, message) {
        return Some(vec![finding]);
    }
    let finding = parse_error::read(scene, message).or_else(|| trace::read(scene, message))?;
    Some(vec![finding])
}

/// `YAML parse error on demo/templates/cm.yaml: …`: the line counts in a rendered document that nobody has. Without
/// origins the place is not known; template and release stand beside it.
fn rendered(scene: &Scene<'_>, message: &str) -> Option<Finding> {
    let (_, rest) = message.split_once("YAML parse error on ")?;
    let (path, _) = rest.split_once(": ")?;
    let mut finding = Finding::unplaced(Severity::Error, "rendered-yaml", message);
    if let Some(source) = scene.template(path)
        && let Some(text) = scene.text(source)
    {
        finding = finding.with_related(
            Place::new(source, super::files::head(text)),
            "this template renders to broken YAML",
        );
    }
    Some(scene.with_release(finding, "the release that failed"))
}

/// The bytes of a line, from 1, without its line break.
fn line_span(text: &str, number: usize) -> Option<Span> {
    let mut start = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if index + 1 == number {
            let length = line.trim_end_matches(['\n', '\r']).len();
            return Some(Span::new(start, start + length));
        }
        start += line.len();
    }
    None
}

/// A line without the blanks around it; of a line beyond the text, or an empty one, the last word before it.
fn trimmed_line(text: &str, number: usize) -> Span {
    let span = line_span(text, number).unwrap_or(Span::new(text.len(), text.len()));
    let line = span.of(text);
    let start = span.start + (line.len() - line.trim_start().len());
    crate::yaml::shown(text, Span::new(start.min(span.end), span.start + line.trim_end().len()))
}
