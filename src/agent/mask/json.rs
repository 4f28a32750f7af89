//! JSON texts, masked by their structure and still JSON afterwards.

use serde_json::{Map, Value};

use super::{Maskable as _, Masker, encode, manifest, names, voice::Border};

/// Hides the secrets of a JSON text; of a text that is no JSON, as in any other. A text without secrets is not
/// touched, to the byte.
pub(super) fn hide(text: &mut String, masker: &Masker) {
    match serde_json::from_str::<Value>(text) {
        Ok(mut value @ (Value::Object(_) | Value::Array(_))) => {
            // Learned first: a value may be named below the place where it is used.
            let mut learned = Vec::new();
            collect(&value, &mut learned);
            masker.known.learn_distinctive(learned);
            let before = value.clone();
            walk(&mut value, &mut |leaf| mark(leaf, masker), &mut |text| replace(text, masker));
            if value != before {
                *text = value.to_string();
            }
        }
        _ => text.hide(masker),
    }
}

/// The same for one event of an operation, whose log lines come one by one.
pub(super) fn hide_event(text: &mut String, masker: &Masker) {
    if text.contains("\"message\"")
        && let Ok(mut event) = serde_json::from_str::<Value>(text)
        && let Some(Value::String(message)) = event.pointer_mut("/log/message")
        && !masker.hide_next("event", message, Border::Line).is_empty()
    {
        *text = event.to_string();
    }
    hide(text, masker);
}

/// Adds every secret in a value.
pub(super) fn collect(value: &Value, found: &mut Vec<String>) {
    walk(&mut value.clone(), &mut |leaf| found.extend(leaf.as_str().iter().flat_map(forms)), &mut |_| {});
}

/// Gives every secret leaf to `secret` and every other text to `other`.
fn walk(value: &mut Value, secret: &mut impl FnMut(&mut Value), other: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => other(text),
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, secret, other)),
        Value::Object(fields) => {
            let rule = Rule::of(fields);
            for (key, value) in fields.iter_mut() {
                if rule.hides(key, value) {
                    leaves(value, secret);
                } else if key == "data" && rule.is_unknown && value.is_object() {
                    walk_unknown(value, secret, other);
                } else {
                    walk(value, secret, other);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What an object says about its fields.
struct Rule {
    is_secret: bool,
    is_unknown: bool,
    /// Its `name` is that of a secret, so its `value` is one.
    is_named: bool,
}

impl Rule {
    fn of(fields: &Map<String, Value>) -> Self {
        let text = |key: &str| fields.get(key).and_then(Value::as_str);
        Self {
            is_secret: text("kind") == Some("Secret"),
            is_unknown: text("kind").is_none(),
            is_named: text("name").is_some_and(names::is_sensitive),
        }
    }

    fn hides(&self, key: &str, value: &Value) -> bool {
        match key {
            "stringData" => true,
            "data" => self.is_secret,
            "value" => self.is_named && value.is_string(),
            "auth" => value.as_str().and_then(encode::decode).is_some_and(|text| text.contains(':')),
            _ if key.eq_ignore_ascii_case("authorization") => true,
            _ => names::is_sensitive(key) && !value.is_object(),
        }
    }
}

/// The `data` of nobody knows what: a patch has no kind.
fn walk_unknown(value: &mut Value, secret: &mut impl FnMut(&mut Value), other: &mut impl FnMut(&mut String)) {
    let Value::Object(fields) = value else { return };
    for (key, value) in fields {
        if names::is_sensitive(key) || value.as_str().is_some_and(manifest::looks_encoded) {
            leaves(value, secret);
        } else {
            walk(value, secret, other);
        }
    }
}

fn leaves(value: &mut Value, secret: &mut impl FnMut(&mut Value)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| leaves(item, secret)),
        Value::Object(fields) => fields.iter_mut().for_each(|(_, item)| leaves(item, secret)),
        Value::String(_) | Value::Number(_) => secret(value),
        Value::Null | Value::Bool(_) => {}
    }
}

fn mark(leaf: &mut Value, masker: &Masker) {
    let marked = match &*leaf {
        Value::String(text) if names::is_value(text) => masker.mark_of(text),
        Value::Number(number) => masker.mark_of(&number.to_string()),
        _ => return,
    };
    *leaf = Value::String(marked);
}

/// A secret as it is written and, where that is base64 of a text, as it is.
fn forms(text: &&str) -> Vec<String> {
    let is_text = |text: &String| text.chars().all(|c| !c.is_control() || c.is_ascii_whitespace());
    encode::decode(text).filter(is_text).into_iter().chain([(*text).to_owned()]).collect()
}

/// A text leaf may hold a document of its own: a manifest, or JSON in JSON.
fn replace(text: &mut String, masker: &Masker) {
    if text.trim_start().starts_with(['{', '[']) {
        hide(text, masker);
    } else {
        text.hide(masker);
    }
}
