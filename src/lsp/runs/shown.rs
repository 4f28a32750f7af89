//! What runs found, at the places where it is now.
//!
//! A finding belongs to the text that ran. It is shown where that text went, and not at all when the text that
//! caused it changed. Pure: texts in, findings out.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use ktl_chart::{
    finding::{Confidence, Edit, Finding, Fix, ObjectRef, Place, Related, Severity},
    text::Span,
};
use ktl_proto::control::v1 as wire;

use super::{Held, Moves};

/// A finding of a run, in the texts as they are now. Its places carry absolute paths.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Placed {
    pub(crate) finding: Finding,
    /// The stable code; findings of ours have theirs as well.
    pub(crate) code: String,
    pub(crate) session: String,
    pub(crate) url: Option<String>,
}

/// What a run found, moved into `now`: the texts as the user sees them, by path.
pub(crate) fn placed(held: &Held, now: &dyn Fn(&Path) -> Option<String>) -> Vec<Placed> {
    let mut mover = Mover { held, now, moves: HashMap::new() };
    let wired = held.root.iter().flat_map(|root| {
        held.run.findings.iter().map(move |finding| (from_wire(finding, root), finding.code.clone()))
    });
    let own = held.problems.iter().map(|finding| (finding.clone(), finding.code.to_owned()));
    wired
        .chain(own)
        .filter_map(|(finding, code)| {
            let finding = mover.finding(finding)?;
            Some(Placed { finding, code, session: held.run.session.clone(), url: held.url.clone() })
        })
        .collect()
}

struct Mover<'a> {
    held: &'a Held,
    now: &'a dyn Fn(&Path) -> Option<String>,
    moves: HashMap<PathBuf, Option<Moves>>,
}

impl Mover<'_> {
    /// `None` when its place is not known, or not there any more.
    fn finding(&mut self, finding: Finding) -> Option<Finding> {
        let place = self.place(finding.place.as_ref()?)?;
        let related = finding
            .related
            .into_iter()
            .filter_map(|related| Some(Related { place: self.place(&related.place)?, ..related }))
            .collect();
        let fixes = finding.fixes.into_iter().filter_map(|fix| self.fix(fix)).collect();
        Some(Finding { place: Some(place), related, fixes, ..finding })
    }

    /// A fix counts only as a whole.
    fn fix(&mut self, fix: Fix) -> Option<Fix> {
        let edits: Option<Vec<Edit>> = fix
            .edits
            .into_iter()
            .map(|edit| Some(Edit { place: self.place(&edit.place)?, new_text: edit.new_text }))
            .collect();
        Some(Fix { title: fix.title, edits: edits? })
    }

    fn place(&mut self, place: &Place) -> Option<Place> {
        let path = PathBuf::from(&place.file);
        let (held, now) = (self.held, self.now);
        let moves = self.moves.entry(path.clone()).or_insert_with(|| {
            let old = held.texts.get(&path)?;
            Some(Moves::between(old, &now(&path)?))
        });
        let span = moves.as_ref()?.find(place.span)?;
        Some(Place { file: place.file.clone(), span })
    }
}

/// The files that the findings of a run speak of, with the hash of the text that they count in.
pub(crate) fn files(finding: &wire::Finding) -> impl Iterator<Item = &wire::Place> {
    let related = finding.related.iter().filter_map(|related| related.place.as_ref());
    let edits = finding.fixes.iter().flat_map(|fix| &fix.edits).filter_map(|edit| edit.place.as_ref());
    finding.place.iter().chain(related).chain(edits)
}

/// A finding of the protocol in our words. Its code stays outside, because ours are known at compile time.
pub(crate) fn from_wire(finding: &wire::Finding, root: &Path) -> Finding {
    let place = |place: &Option<wire::Place>| place.as_ref().map(|place| from_wire_place(place, root));
    Finding {
        place: place(&finding.place),
        severity: match finding.severity() {
            wire::Severity::Warning => Severity::Warning,
            wire::Severity::Information => Severity::Information,
            wire::Severity::Hint => Severity::Hint,
            wire::Severity::Error | wire::Severity::Unspecified => Severity::Error,
        },
        code: "",
        confidence: match finding.confidence() {
            wire::Confidence::Exact => Confidence::Exact,
            wire::Confidence::Likely => Confidence::Likely,
            wire::Confidence::None | wire::Confidence::Unspecified => Confidence::None,
        },
        message: message(finding),
        related: finding
            .related
            .iter()
            .filter_map(|related| {
                Some(Related { place: place(&related.place)?, message: related.message.clone() })
            })
            .collect(),
        object: finding.object.as_ref().map(|object| ObjectRef {
            api_version: object.api_version.clone(),
            kind: object.kind.clone(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
        }),
        field: Some(finding.field.clone()).filter(|field| !field.is_empty()),
        fixes: finding
            .fixes
            .iter()
            .filter_map(|fix| {
                let edits: Option<Vec<Edit>> = fix
                    .edits
                    .iter()
                    .map(|edit| Some(Edit { place: place(&edit.place)?, new_text: edit.new_text.clone() }))
                    .collect();
                Some(Fix { title: fix.title.clone(), edits: edits? })
            })
            .collect(),
    }
}

fn from_wire_place(place: &wire::Place, root: &Path) -> Place {
    let byte = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let span = Span::new(byte(place.start_byte), byte(place.end_byte));
    Place { file: root.join(&place.file).display().to_string(), span }
}

/// The words of a finding, with the object and the field that failed where they do not say them already.
pub(crate) fn message(finding: &wire::Finding) -> String {
    let mut message = finding.message.clone();
    if !finding.field.is_empty() && !message.contains(&finding.field) {
        message = format!("{}: {message}", finding.field);
    }
    match &finding.object {
        Some(object) if !message.contains(&object.name) => {
            format!("{} {}: {message}", object.kind, object.name)
        }
        _ => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::Run;

    const RAN: &str = "image:\n  tag: nope\n";

    fn held() -> Held {
        let mut held = Held::new(Run::new("s", "web"), "/w".into(), "/w/.ktl.yaml".into());
        held.texts.insert("/w/values.yaml".into(), RAN.into());
        let start = RAN.find("nope").unwrap() as u64;
        held.run.findings.push(wire::Finding {
            place: Some(wire::Place {
                file: "values.yaml".to_owned(),
                start_byte: start,
                end_byte: start + 4,
                ..wire::Place::default()
            }),
            code: "image".to_owned(),
            message: "no such tag".to_owned(),
            ..wire::Finding::default()
        });
        held
    }

    fn shown(now: Option<&str>) -> Vec<(String, Span)> {
        let now = |_: &Path| now.map(str::to_owned);
        placed(&held(), &now)
            .into_iter()
            .map(|placed| placed.finding.place.map(|place| (place.file, place.span)).unwrap())
            .collect()
    }

    #[test]
    fn a_finding_is_where_its_text_is_now() {
        let start = RAN.find("nope").unwrap();
        assert_eq!(shown(Some(RAN)), [("/w/values.yaml".to_owned(), Span::new(start, start + 4))]);
        let moved = format!("# one more line\n{RAN}");
        let start = moved.find("nope").unwrap();
        assert_eq!(shown(Some(&moved)), [("/w/values.yaml".to_owned(), Span::new(start, start + 4))]);
    }

    #[test]
    fn a_finding_is_gone_with_the_text_that_caused_it() {
        assert_eq!(shown(Some(&RAN.replace("nope", "1.27"))), []);
        assert_eq!(shown(None), []);
    }

    #[test]
    fn a_finding_without_a_place_is_not_put_anywhere() {
        let mut held = held();
        held.run.findings[0].place = None;
        assert_eq!(placed(&held, &|_| Some(RAN.to_owned())), []);
    }

    #[test]
    fn a_session_of_another_workspace_puts_nothing_into_files_here() {
        let mut held = held();
        held.root = None;
        assert_eq!(placed(&held, &|_| Some(RAN.to_owned())), []);
    }

    #[test]
    fn object_and_field_are_said_once() {
        let object =
            wire::ObjectRef { kind: "Deployment".into(), name: "web".into(), ..wire::ObjectRef::default() };
        let mut finding = wire::Finding {
            message: "must be a number".to_owned(),
            object: Some(object),
            field: "spec.replicas".to_owned(),
            ..wire::Finding::default()
        };
        assert_eq!(message(&finding), "Deployment web: spec.replicas: must be a number");
        finding.message = "Deployment \"web\" is invalid: spec.replicas: no".to_owned();
        assert_eq!(message(&finding), finding.message);
    }
}
