//! JSON texts, masked by their structure and still JSON afterwards.

use serde_json::{Map, Value};

use super::{Maskable as _, Masker, known, names};

/// Hides the secrets of a JSON text; of a text that is no JSON, as in any other. A text without secrets is not
/// touched, to the byte.
pub(super) fn hide(text: &mut String, masker: &Masker) {
    match serde_json::from_str::<Value>(text) {
        Ok(mut value) => {
            if walk(&mut value, masker) {
                *text = value.to_string();
            }
        }
        Err(_) => text.hide(masker),
    }
}

/// Hides in place and says whether anything changed.
fn walk(value: &mut Value, masker: &Masker) -> bool {
    match value {
        Value::String(text) => replace(text, masker),
        Value::Array(items) => items.iter_mut().fold(false, |changed, item| walk(item, masker) | changed),
        Value::Object(fields) => {
            let is_secret = is_secret(fields);
            fields.iter_mut().fold(false, |changed, (key, value)| {
                let data = is_secret && is_data(key);
                let now = if data || (names::is_sensitive(key) && !value.is_object()) {
                    hide_leaves(value, masker)
                } else {
                    walk(value, masker)
                };
                now | changed
            })
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The values of every Secret in a value.
pub(super) fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(fields) => {
            let is_secret = is_secret(fields);
            for (key, value) in fields {
                let leaves = value.as_object().filter(|_| is_secret && is_data(key));
                match leaves {
                    Some(leaves) => found.extend(leaves.values().filter_map(Value::as_str).flat_map(both)),
                    None => collect(value, found),
                }
            }
        }
        _ => {}
    }
}

/// A value as it is, and what it is the base64 of.
fn both(text: &str) -> impl Iterator<Item = String> {
    [Some(text.to_owned()), known::decode(text)].into_iter().flatten()
}

fn is_secret(fields: &Map<String, Value>) -> bool {
    fields.get("kind").and_then(Value::as_str) == Some("Secret")
}

fn is_data(key: &str) -> bool {
    matches!(key, "data" | "stringData")
}

/// A string leaf may hold a document of its own: a manifest, or JSON in JSON.
fn replace(text: &mut String, masker: &Masker) -> bool {
    let before = text.clone();
    if text.trim_start().starts_with(['{', '[']) {
        hide(text, masker);
    } else {
        text.hide(masker);
    }
    *text != before
}

fn hide_leaves(value: &mut Value, masker: &Masker) -> bool {
    match value {
        Value::Array(items) => {
            items.iter_mut().fold(false, |changed, item| hide_leaves(item, masker) | changed)
        }
        Value::Object(fields) => {
            fields.iter_mut().fold(false, |changed, (_, item)| hide_leaves(item, masker) | changed)
        }
        Value::String(text) if names::is_value(text) => {
            // Equal secrets get equal marks, in plain or in base64.
            let plain = known::decode(text).filter(|plain| masker.known.values().contains(plain));
            *text = masker.mark_of(plain.as_deref().unwrap_or(text));
            true
        }
        Value::Number(number) => {
            *value = Value::String(masker.mark_of(&number.to_string()));
            true
        }
        Value::String(_) | Value::Null | Value::Bool(_) => false,
    }
}
