//! Keys that would guard something and do not yet, and keys that must not be there.
//!
//! A guard that this version does not have stops the operation: nobody may believe in one that is not there.

use std::collections::HashSet;

use super::Check;
use crate::config::keys::Key;
use crate::finding::{Edit, Finding, Severity};
use crate::yaml::{Entry, Kind, Node};

impl Check<'_> {
    /// Reports a guard as a warning in the file and keeps it as an error for operations.
    pub(super) fn guard(&mut self, key: &Key, harmless: &[&str], entry: Entry<'_>) {
        let value = entry.value.resolved();
        let asks_for_nothing = match value.kind() {
            Kind::Sequence => value.items().len() == 0,
            Kind::Mapping => value.entries().all(|entry| entry.value.is_null()),
            _ => value.is_null() || value.text().is_some_and(|text| harmless.contains(&text)),
        };
        if asks_for_nothing {
            return;
        }
        let asked = match value.text() {
            Some(text) if text.len() <= 40 => format!("{}: {text}", key.name),
            _ => key.name.to_owned(),
        };
        let remedy = match harmless {
            [] => "remove the key".to_owned(),
            [word, ..] => format!("write `{}: {word}` or remove the key", key.name),
        };
        let message = format!("`{asked}` is not supported yet, so ktl does not apply this release; {remedy}");
        self.stop(Finding::at(self.place(entry.key.span()), Severity::Error, "config-not-yet", message));
    }

    /// Every `secret://` in a part of the file: Helm would deploy the reference itself as the value.
    pub(in crate::config) fn secret_references(&mut self, node: Node<'_>) {
        let mut seen = HashSet::new();
        let mut waiting = vec![node];
        while let Some(node) = waiting.pop() {
            if !seen.insert(node.identity()) || !self.may_look(node.span()) {
                continue;
            }
            self.secret_reference(node);
            waiting.extend(node.items());
            waiting.extend(node.entries().flat_map(|entry| [entry.key, entry.value]));
        }
    }

    fn secret_reference(&mut self, node: Node<'_>) {
        let Some(text) = node.text() else { return };
        if !text.contains("secret://") {
            return;
        }
        let message = "`secret://` values are not supported yet, so ktl does not apply this release: helm would deploy \
                       the reference itself; remove it";
        let span = node.span().first_line(self.text);
        self.stop(Finding::at(self.place(span), Severity::Error, "config-not-yet", message));
    }

    fn stop(&mut self, finding: Finding) {
        self.push(Finding { severity: Severity::Warning, ..finding.clone() });
        if self.blocked.len() < super::MAX_FINDINGS {
            self.blocked.push(finding);
        }
    }

    pub(super) fn forbidden(&mut self, key: &Key, entry: Entry<'_>, instead: &str, why: &str) {
        let message = format!("`{}` is not allowed here: {why}", key.name);
        let edit = Edit { place: self.place(entry.span()), new_text: instead.to_owned() };
        let finding = Finding::at(self.place(entry.span()), Severity::Error, "config-secret", message);
        self.push(finding.with_fix(format!("change to `{instead}`"), vec![edit]));
    }
}
