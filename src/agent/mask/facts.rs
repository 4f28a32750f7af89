//! Every text of our own facts.

use super::{Maskable, Masked, Masker, voice::Border};
use crate::frame::{
    self, Body, Edit, Ended, Excerpt, Fact, Finding, Fix, LeftBehind, Line, Note, ObjectEvent, ObjectList,
    ObjectRef, ObjectState, Phase, Place, Queued, RelatedPlace, SourceRef, Started,
};

/// Hides the named fields and takes note of the others, so that a field nobody thought of does not compile.
macro_rules! texts {
    ($($message:ident { $($text:ident),* ; $($other:ident),* })*) => {$(
        impl Maskable for $message {
            fn hide(&mut self, masker: &Masker) {
                let Self { $($text,)* $($other: _,)* } = self;
                $($text.hide(masker);)*
            }
        }
    )*};
}

texts! {
    Started {
        operation, release, namespace, cluster, context, chart, helm_version, requester, sources, config_path,
        agent_version;
        phases, timeout_seconds
    }
    SourceRef { path; sha256, size }
    Queued { session_ahead, release, namespace, cluster; }
    Phase { message; name, state, started_unix_nano, completed_unix_nano }
    ObjectRef { api_version, kind, namespace, name; }
    ObjectList { objects; }
    ObjectState { object, reason, message, owner; status, ready, desired }
    ObjectEvent { object, reason, message; warning, count }
    Finding { place, code, message, related, object, field, excerpt, fixes; severity, confidence }
    Place { file; line, column, end_line, end_column, start_byte, end_byte, sha256 }
    RelatedPlace { place, message; }
    Fix { title, edits; }
    Edit { place, new_text; }
    Note { text, principal; kind }
    Ended { message, left_behind; status, exit_code }
    LeftBehind { release_status, not_ready; revision }
}

/// A line goes on where the last one of the same source and phase ended.
impl Maskable for Line {
    fn hide(&mut self, masker: &Masker) {
        let Self { text, source, level: _, phase } = self;
        masker.hide_next(&format!("line {source} {phase}"), text, Border::Line);
    }
}

/// Columns count in an excerpt, so its marks keep the length; and a secret may span its lines.
impl Maskable for Excerpt {
    fn hide(&mut self, masker: &Masker) {
        let Self { first_line: _, lines } = self;
        let joined = masker.same_length(&lines.join("\n"), &[]);
        *lines = joined.split('\n').map(str::to_owned).take(lines.len()).collect();
    }
}

impl Maskable for Fact {
    fn hide(&mut self, masker: &Masker) {
        let Self { body } = self;
        match body {
            None => {}
            Some(Body::Started(started)) => started.hide(masker),
            Some(Body::Queued(queued)) => queued.hide(masker),
            Some(Body::Phase(phase)) => phase.hide(masker),
            Some(Body::Line(line)) => line.hide(masker),
            Some(Body::Objects(objects)) => objects.hide(masker),
            Some(Body::Object(object)) => object.hide(masker),
            Some(Body::Event(event)) => event.hide(masker),
            Some(Body::Finding(finding)) => finding.hide(masker),
            Some(Body::Note(note)) => note.hide(masker),
            Some(Body::Ended(ended)) => ended.hide(masker),
        }
    }
}

impl Masked<Fact> {
    /// The same fact as a frame's payload. It stays masked.
    pub fn into_payload(self) -> Masked<frame::Payload> {
        Masked(frame::Payload::Fact(self.0))
    }
}

impl Masked<Ended> {
    /// What the end says. It stays masked.
    pub fn message(&self) -> Masked<String> {
        Masked(self.0.message.clone())
    }

    /// The same end as a fact. It stays masked.
    pub fn into_fact(self) -> Masked<Fact> {
        Masked(Fact { body: Some(Body::Ended(self.0)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_of_a_fact_is_masked() {
        let masker = Masker::new(["correct-horse".to_owned()]);
        let finding = Finding {
            message: "correct-horse is wrong".into(),
            excerpt: Some(Excerpt { first_line: 3, lines: vec!["a: correct-horse".into(), "b: 1".into()] }),
            ..Finding::default()
        };
        let fact = masker.mask(Fact { body: Some(Body::Finding(finding)) }).into_inner();
        let Some(Body::Finding(finding)) = fact.body else { panic!("the kind of fact changed") };
        assert!(finding.message.starts_with("«secret:"));
        assert_eq!(finding.excerpt.unwrap().lines, ["a: *************", "b: 1"]);
        let line =
            Fact { body: Some(Body::Line(Line { text: "x correct-horse".into(), ..Line::default() })) };
        assert!(!format!("{:?}", masker.mask(line)).contains("correct-horse"));
    }
}
