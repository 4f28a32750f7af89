//! The door that every text goes through before it is stored, sent or logged.
//!
//! Only a [`Masked`] value can be appended to the journal, and [`Masker::mask`] is the only way to make one, so
//! a call site cannot forget it. What is hidden, in this order:
//!
//! 1. what its place tells: the data of Kubernetes Secrets wherever they occur, values under sensitive names (YAML,
//!    JSON, `KEY=value`, command lines), credentials in URLs and headers, private keys, signed tokens;
//! 2. the values that the session is known to hold, in plain, base64, hexadecimal, URL and JSON form, also through
//!    terminal codes, line breaks and the border between two frames of one source of lines.
//!
//! Each is replaced by a mark that is equal for equal secrets within a session. Nothing here stores or sends.

mod argv;
mod braces;
mod encode;
mod facts;
mod heads;
mod hints;
mod json;
mod known;
mod layers;
mod loose;
mod manifest;
mod mark;
mod memory;
mod names;
mod ordinary;
mod pairs;
mod published;
mod rules;
mod session;
mod span;
mod view;
mod voice;

use std::{
    fmt,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use self::{
    known::Known,
    memory::Held,
    span::{Hidden, filler, merge, rewrite, secret_of},
    voice::{Border, Voices},
};
pub use self::{mark::MarkKey, memory::Memory};
use crate::session::SessionId;

/// How often a text is judged again.
const AGAIN: usize = 4;

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

/// A value with texts in it. Implementations take a type apart field by field, so that a new field does not
/// compile until somebody has decided about it.
pub trait Maskable {
    /// Hides what must not be seen, in place.
    fn hide(&mut self, masker: &Masker);
}

/// Hides the secrets of one session. Cheap to clone; clones know the same values.
#[derive(Clone)]
pub struct Masker {
    key: MarkKey,
    known: Arc<Held>,
    /// What only this masker and its clones hide.
    suspected: Option<Arc<Known>>,
    voices: Option<Arc<Mutex<Voices>>>,
    /// Whose voices they are.
    producer: Arc<str>,
}

impl Masker {
    /// A masker with marks of its own that also hides `known`: secret values of this session. Values below six
    /// characters, ordinary words and certificates are not searched for.
    pub fn new(known: impl IntoIterator<Item = String>) -> Self {
        Self::with(MarkKey::random(), Arc::default(), known)
    }

    /// The masker of one session, with marks that stay the same after a restart of the agent.
    pub fn of_session(key: &MarkKey, session: &SessionId, known: impl IntoIterator<Item = String>) -> Self {
        Self::with(key.of_session(session), Arc::default(), known)
    }

    fn with(key: MarkKey, held: Arc<Held>, known: impl IntoIterator<Item = String>) -> Self {
        held.learn(known);
        Self { key, known: held, suspected: None, voices: None, producer: Arc::default() }
    }

    /// The same, for texts that come one after the other: it remembers how each source of lines ended, so that a
    /// secret which two frames share is hidden in both. Nothing waits for the next frame.
    #[must_use]
    pub fn speaking(&self) -> Self {
        Self { voices: Some(Arc::default()), ..self.clone() }
    }

    /// The same, for what this producer says: its lines are not those of another one.
    #[must_use]
    pub fn of(&self, producer: &str) -> Self {
        Self { producer: producer.into(), ..self.clone() }
    }

    /// From now on hides these values too, wherever they turn up; so do all that were cloned from this one.
    pub fn learn(&self, values: impl IntoIterator<Item = String>) {
        self.known.learn(values);
    }

    /// The same, which also hides what may be secret and may be not: nobody else learns these values from it.
    #[must_use]
    pub fn suspecting(&self, values: impl IntoIterator<Item = String>) -> Self {
        let values = values.into_iter().map(|value| value.trim().to_owned());
        Self { suspected: Some(Arc::new(Known::new(values))), ..self.clone() }
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
        let hidden = merge(text, self.hidden(text).into_iter().chain(also).collect());
        rewrite(text, &hidden, |out, _, value| out.extend(value.chars().map(filler)))
    }

    fn text(&self, text: &str) -> Option<String> {
        let mut masked = self.marked(text, &self.hidden(text))?;
        // What was broken is judged again without its secrets, until masking changes nothing any more: a text that was
        // masked here and comes back stays as it is.
        for _ in 0..AGAIN {
            match self.marked(&masked, &self.hidden(&masked)) {
                Some(next) => masked = next,
                None => break,
            }
        }
        Some(masked)
    }

    /// Masks the next text of a source of lines, or of bytes; what was hidden in it.
    fn hide_next(&self, source: &str, text: &mut String, border: Border) -> Vec<String> {
        let hidden = match &self.voices {
            None => self.hidden(text),
            Some(voices) => {
                let mut voices = voices.lock().unwrap_or_else(PoisonError::into_inner);
                let heard = voices.of(&self.producer, source).next(&self.known, text, border);
                if self.suspected.is_none() {
                    heard
                } else {
                    merge(text, heard.into_iter().chain(self.suspects(text)).collect())
                }
            }
        };
        let Some(masked) = self.marked(text, &hidden) else { return Vec::new() };
        let whole = std::mem::replace(text, masked);
        hidden.into_iter().map(|hidden| whole[hidden.range].to_owned()).collect()
    }

    /// Masks a text that shows another one in its own way; `secrets` were hidden in the other.
    fn hide_shown(&self, text: &mut String, secrets: &[String]) {
        let mut found = self.hidden(text);
        found.extend(view::find(text, secrets).into_iter().map(Hidden::new));
        if let Some(masked) = self.marked(text, &merge(text, found)) {
            *text = masked;
        }
    }

    fn marked(&self, text: &str, hidden: &[Hidden]) -> Option<String> {
        let mark = |out: &mut String, hidden: &Hidden, value: &str| {
            let quote = hidden.quote.map(|backslashes| "\\".repeat(backslashes) + "\"").unwrap_or_default();
            out.extend([quote.as_str(), &self.mark_of(secret_of(hidden, value)), &quote]);
            if value.contains('\u{1b}') {
                out.push_str(&view::codes(value));
            }
        };
        (!hidden.is_empty()).then(|| rewrite(text, hidden, mark))
    }

    /// Equal secrets get equal marks, in plain or in base64.
    fn mark_of(&self, secret: &str) -> String {
        let plain = encode::decode(secret).filter(|plain| self.known.get().contains(plain.trim()));
        self.key.mark(plain.as_deref().unwrap_or(secret).trim())
    }

    /// Where secrets are in a text that stands alone: sorted, not empty, not overlapping.
    fn hidden(&self, text: &str) -> Vec<Hidden> {
        let mut found = rules::find(text);
        self.known.learn_from(text, &found);
        found.extend(self.known.get().find(text));
        found.extend(self.suspects(text));
        merge(text, found)
    }

    fn suspects(&self, text: &str) -> Vec<Hidden> {
        self.suspected.as_ref().map(|suspected| suspected.find(text)).unwrap_or_default()
    }
}

/// The secret values that a text holds by its structure: the data of Secrets, decoded, and values under sensitive
/// names. To be given to [`Masker::learn`], so that they are found again wherever they turn up.
pub fn find_secrets(text: &str) -> Vec<String> {
    let mut values: Vec<String> =
        rules::find(text).into_iter().flat_map(|hidden| known::values_of(text, &hidden)).collect();
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

#[cfg(test)]
mod tests;
