//! The door that every text goes through before it is stored, sent or logged.
//!
//! Only a [`Masked`] value can be appended to the journal, and [`Masker::mask`] is the only way to make one, so
//! a call site cannot forget it. What is hidden: the data of Kubernetes Secrets wherever they occur, values
//! under sensitive names (YAML, JSON, `KEY=value`, `--set`, flags), credentials in URLs, bearer tokens, private
//! keys, and the values that a session is known to hold, in plain and in base64. Each is replaced by a mark
//! that is equal for equal secrets within a session. Nothing here stores or sends.

mod facts;
mod json;
mod known;
mod names;
mod pairs;
mod published;
mod rules;
mod secret;

use std::{fmt, ops::Range, sync::Arc};

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use self::known::Known;
use crate::session::{Meta, Pin, Repository, RequestRecord, SessionId, Tags};

/// A value in which every secret that the session's [`Masker`] could find is hidden.
#[derive(Clone, PartialEq)]
pub struct Masked<T>(T);

impl<T> Masked<T> {
    /// The masked value.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// The masked value, to be stored or sent.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Masked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Masked<crate::frame::Fact> {
    /// The same fact as a frame's payload. It stays masked.
    pub fn into_payload(self) -> Masked<crate::frame::Payload> {
        Masked(crate::frame::Payload::Fact(self.0))
    }
}

impl Masked<crate::frame::published::MirrorFrame> {
    /// The same published frame as a frame's payload. It stays masked.
    pub fn into_payload(self) -> Masked<crate::frame::Payload> {
        Masked(crate::frame::Payload::Published(self.0))
    }
}

impl Masked<crate::frame::Ended> {
    /// What the end says. It stays masked.
    pub fn message(&self) -> Masked<String> {
        Masked(self.0.message.clone())
    }

    /// The same end as a fact. It stays masked.
    pub fn into_fact(self) -> Masked<crate::frame::Fact> {
        Masked(crate::frame::Fact { body: Some(crate::frame::Body::Ended(self.0)) })
    }
}

/// A value with texts in it. Implementations take a type apart field by field, so that a new field does not
/// compile until somebody has decided about it.
pub trait Maskable {
    /// Hides what must not be seen, in place.
    fn hide(&mut self, masker: &Masker);
}

/// Hides the secrets of one session. Cheap to clone.
#[derive(Clone)]
pub struct Masker {
    key: Arc<[u8; 32]>,
    known: Arc<Known>,
}

/// A secret key of one agent, from which the keys of its sessions' marks are made. Without it a mark says nothing
/// about the value behind it.
#[derive(Clone)]
pub struct MarkKey([u8; 32]);

impl MarkKey {
    /// A key that was kept.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A key nobody else has.
    pub fn random() -> Self {
        let mut hash = Sha256::new();
        hash.update(Uuid::new_v4().as_bytes());
        hash.update(Uuid::new_v4().as_bytes());
        Self(hash.finalize().into())
    }

    /// The bytes, to be kept in a file that only its owner can read.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for MarkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MarkKey(..)")
    }
}

impl Masker {
    /// A masker with marks of its own that also hides `known`: secret values of this session. Values below six
    /// characters and ordinary words are not searched for.
    pub fn new(known: impl IntoIterator<Item = String>) -> Self {
        Self { key: Arc::new(MarkKey::random().0), known: Arc::new(Known::new(known)) }
    }

    /// The masker of one session, with marks that stay the same after a restart of the agent.
    pub fn of_session(key: &MarkKey, session: &SessionId, known: impl IntoIterator<Item = String>) -> Self {
        let mut hash = Sha256::new();
        hash.update(key.0);
        hash.update(session.as_str());
        Self { key: Arc::new(hash.finalize().into()), known: Arc::new(Known::new(known)) }
    }

    /// The same marks, and `more` secret values on top.
    #[must_use]
    pub fn with(&self, more: impl IntoIterator<Item = String>) -> Self {
        let known = self.known.values().iter().cloned().chain(more);
        Self { key: Arc::clone(&self.key), known: Arc::new(Known::new(known)) }
    }

    /// Hides every secret in `value`. This is the only way to a [`Masked`].
    pub fn mask<T: Maskable>(&self, mut value: T) -> Masked<T> {
        value.hide(self);
        Masked(value)
    }

    /// A copy of a file in which marks have the length of what they hide, in bytes and in UTF-16 units, and no
    /// line break is hidden: every position in the original is a position in the copy. The ranges of `also` are hidden
    /// whatever stands there.
    pub fn mask_source(&self, text: &str, also: &[Range<usize>]) -> Masked<String> {
        Masked(self.same_length(text, also))
    }

    fn same_length(&self, text: &str, also: &[Range<usize>]) -> String {
        let also = also.iter().cloned().map(Hidden::new);
        let hidden = merge(self.hidden(text).into_iter().chain(also).collect());
        rewrite(text, &hidden, |out, secret| out.extend(secret.value.chars().map(filler)))
    }

    fn text(&self, text: &str) -> Option<String> {
        let hidden = self.hidden(text);
        (!hidden.is_empty()).then(|| rewrite(text, &hidden, |out, secret| self.mark(out, &secret)))
    }

    fn mark(&self, out: &mut String, secret: &Secret<'_>) {
        let quote = if secret.quote { "\"" } else { "" };
        out.extend([quote, &self.mark_of(secret.value), quote]);
    }

    fn mark_of(&self, value: &str) -> String {
        let mut hash = Sha256::new();
        hash.update(*self.key);
        hash.update(value);
        let digest = hash.finalize();
        format!("«secret:{:02x}{:02x}»", digest[0], digest[1])
    }

    /// Where secrets are in `text`: sorted, not empty, not overlapping.
    fn hidden(&self, text: &str) -> Vec<Hidden> {
        let mut found = rules::find(text);
        found.extend(self.known.find(text));
        merge(found)
    }
}

/// The secret values that a text holds by its structure: the data of Secrets, decoded too, and values under
/// sensitive names. To be given to [`Masker::new`], so that they are found again wherever they turn up.
pub fn find_secrets(text: &str) -> Vec<String> {
    let mut values = Vec::new();
    for hidden in rules::find(text) {
        let value = text[hidden.range].trim();
        if hidden.base64
            && let Some(plain) = known::decode(value)
        {
            values.push(plain);
        }
        values.push(value.to_owned());
    }
    values.retain(|value| known::is_worth_hiding(value));
    values.sort_unstable();
    values.dedup();
    values
}

/// The secret values that an object holds: the data of Secrets, decoded too, however it was written and however deep.
pub fn secrets_of(object: &serde_json::Value) -> Vec<String> {
    let mut values = Vec::new();
    json::collect(object, &mut values);
    values.retain(|value| known::is_worth_hiding(value));
    values
}

/// Whether a key, a flag or a variable is named like a secret.
pub(crate) fn names_a_secret(name: &str) -> bool {
    names::is_sensitive(name)
}

/// A range that must not be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hidden {
    range: Range<usize>,
    /// A bare JSON value: its mark needs quotes to stay JSON.
    quote: bool,
    /// The value is base64 by its place (a Secret's `data`).
    base64: bool,
}

impl Hidden {
    fn new(range: Range<usize>) -> Self {
        Self { range, quote: false, base64: false }
    }
}

struct Secret<'a> {
    value: &'a str,
    quote: bool,
}

fn merge(mut found: Vec<Hidden>) -> Vec<Hidden> {
    found.retain(|hidden| !hidden.range.is_empty());
    found.sort_by_key(|hidden| (hidden.range.start, hidden.range.end));
    let mut merged: Vec<Hidden> = Vec::with_capacity(found.len());
    for next in found {
        match merged.last_mut() {
            Some(last) if next.range.start < last.range.end => {
                last.range.end = last.range.end.max(next.range.end);
            }
            _ => merged.push(next),
        }
    }
    merged
}

fn rewrite(text: &str, hidden: &[Hidden], mut mark: impl FnMut(&mut String, Secret<'_>)) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for Hidden { range, quote, .. } in hidden {
        out.push_str(&text[done..range.start]);
        mark(&mut out, Secret { value: &text[range.clone()], quote: *quote });
        done = range.end;
    }
    out.push_str(&text[done..]);
    out
}

/// A character as wide as `c` in UTF-8 and in UTF-16.
fn filler(c: char) -> char {
    match (c, c.len_utf8()) {
        ('\n' | '\r', _) => c,
        (_, 1) => '*',
        (_, 2) => '·',
        (_, 3) => '•',
        _ => '🞄',
    }
}

impl Maskable for String {
    fn hide(&mut self, masker: &Masker) {
        if let Some(masked) = masker.text(self) {
            *self = masked;
        }
    }
}

impl<T: Maskable> Maskable for Vec<T> {
    fn hide(&mut self, masker: &Masker) {
        for item in self {
            item.hide(masker);
        }
    }
}

impl<T: Maskable> Maskable for Option<T> {
    fn hide(&mut self, masker: &Masker) {
        if let Some(item) = self {
            item.hide(masker);
        }
    }
}

impl Maskable for Meta {
    fn hide(&mut self, masker: &Masker) {
        let Self {
            command,
            args,
            requester,
            cluster,
            context,
            namespace,
            release,
            chart,
            principal,
            workspace,
            repository: Repository { remote, commit, branch, dirty: _ },
            versions,
            agent,
        } = self;
        for text in [command, requester, cluster, context, namespace, release, chart, principal, workspace] {
            text.hide(masker);
        }
        for text in [remote, commit, branch, agent] {
            text.hide(masker);
        }
        versions.hide(masker);
        masker.hide_args(args);
    }
}

impl Maskable for Pin {
    fn hide(&mut self, masker: &Masker) {
        let Self { reason, until: _, principal, at: _ } = self;
        reason.hide(masker);
        principal.hide(masker);
    }
}

impl Maskable for Tags {
    fn hide(&mut self, masker: &Masker) {
        for (key, value) in self.iter_mut() {
            masker.hide_value(key, value);
        }
    }
}

impl Maskable for RequestRecord {
    fn hide(&mut self, masker: &Masker) {
        json::hide(&mut self.canonical, masker);
    }
}

impl Masker {
    /// A command line in pieces: the value of `--password` may be the next piece.
    fn hide_args(&self, args: &mut [String]) {
        let mut flag_before = false;
        for arg in args {
            if flag_before && !arg.starts_with('-') && !arg.is_empty() {
                *arg = self.mark_of(arg);
            } else {
                arg.hide(self);
            }
            flag_before = arg.starts_with('-') && !arg.contains('=') && names::is_sensitive(arg);
        }
    }

    /// A value under a name.
    fn hide_value(&self, name: &str, value: &mut String) {
        if names::is_sensitive(name) && names::is_value(value) {
            *value = self.mark_of(value);
        } else {
            value.hide(self);
        }
    }
}

#[cfg(test)]
mod tests;
