//! `--set` and its kin that Helm cannot read: the item of `.ktl.yaml`.

use super::layers::strvals;
use super::scene::Scene;
use crate::config::{SetKind, SetValue};
use crate::finding::{Finding, Severity};

/// `failed parsing --set data: key "image" has no value`. The message names a key at most, so the items are read again.
pub(super) fn read(scene: &Scene<'_>, message: &str) -> Option<Vec<Finding>> {
    let rest = message.strip_prefix("failed parsing ")?;
    let flag = rest.split_whitespace().next()?;
    let (_, detail) = rest.split_once(": ").or_else(|| rest.split_once(" data "))?;
    let release = scene.release.as_ref()?;
    let items: Vec<&SetValue> = release.set.iter().filter(|set| set.kind.flag() == flag).collect();
    let message = format!("{flag}: {detail}");
    let (span, is_certain) = match items.as_slice() {
        [] => return None,
        [only] => (only.span, true),
        many => culprit(many, rest)?,
    };
    let finding = Finding::at(scene.in_config(span)?, Severity::Error, "set-syntax", message);
    Some(vec![if is_certain { finding } else { finding.likely() }])
}

/// The item at fault among several: one that does not read, else one whose text the message repeats.
fn culprit(items: &[&SetValue], message: &str) -> Option<(crate::text::Span, bool)> {
    let unreadable =
        items.iter().find(|set| set.kind != SetKind::Json && strvals::parse(&set.expression).is_err());
    if let Some(set) = unreadable {
        return Some((set.span, true));
    }
    let file =
        |set: &&&SetValue| set.expression.split_once('=').is_some_and(|(_, value)| message.contains(value));
    let repeated = items
        .iter()
        .filter(|set| !set.expression.is_empty())
        .find(|set| message.contains(set.expression.as_str()) || (set.kind == SetKind::File && file(set)));
    repeated.or(items.first()).map(|set| (set.span, repeated.is_some()))
}
