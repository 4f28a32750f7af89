//! Every text of our own facts.

use super::{Maskable, Masker};
use crate::frame::{
    Body, Edit, Ended, Excerpt, Fact, Finding, Fix, LeftBehind, Line, Note, ObjectEvent, ObjectList,
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
    Line { text; source, level, phase }
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
