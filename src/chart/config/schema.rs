//! The table of keys as a JSON Schema, for editors without `ktl-lsp`.
//!
//! Unknown keys stay allowed: ktl warns of them with a "did you mean", which a schema cannot say.

use serde_json::{Map, Value, json};

use super::keys::{KTL, Key, Shape, State};

pub(super) fn schema() -> Value {
    let mut schema = object(KTL);
    let head = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": ".ktl.yaml",
        "description": "Releases, builds and the agent of a workspace, for ktl-lsp and ktl",
    });
    if let (Value::Object(head), Value::Object(body)) = (head, &mut schema) {
        let body = std::mem::take(body);
        return Value::Object(head.into_iter().chain(body).collect());
    }
    schema
}

fn object(keys: &[Key]) -> Value {
    let allowed = keys.iter().filter(|key| !matches!(key.state, State::Forbidden { .. }));
    let properties: Map<String, Value> = allowed.map(|key| (key.name.to_owned(), property(key))).collect();
    let required: Vec<&str> = keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    let mut schema = json!({ "type": ["object", "null"], "properties": properties });
    if !required.is_empty() {
        schema["type"] = json!("object");
        schema["required"] = json!(required);
    }
    schema
}

fn property(key: &Key) -> Value {
    let mut schema = shape(key.shape);
    let later = match key.state {
        State::Unused => " (no effect in this version)",
        State::Guard { .. } => " (not supported yet: ktl refuses to apply)",
        _ => "",
    };
    schema["description"] = json!(format!("{}{later}", key.doc));
    schema
}

fn shape(shape_of: Shape) -> Value {
    match shape_of {
        // A version such as 1.27 is a number to YAML and read as it is written.
        Shape::Text | Shape::Path => json!({ "type": ["string", "number"] }),
        Shape::Url => json!({ "type": "string", "pattern": "^https?://[^\\s/?#@]+" }),
        Shape::Name { longest, dots } => {
            let label = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
            let pattern = if dots { format!("^{label}(\\.{label})*$") } else { format!("^{label}$") };
            json!({ "type": ["string", "number"], "pattern": pattern, "maxLength": longest })
        }
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Int => json!({ "type": "integer" }),
        Shape::Number => json!({ "type": "number" }),
        Shape::Duration => {
            json!({ "type": "string", "pattern": "^\\+?([0-9.]+(ns|us|µs|ms|s|m|h))+$", "examples": ["90s", "5m", "1h30m"] })
        }
        // An `off` without quotes is the boolean false to editors that read YAML 1.1.
        Shape::Choice(words) if words.contains(&"off") => {
            let words: Vec<Value> = words.iter().map(|word| json!(word)).chain([json!(false)]).collect();
            json!({ "enum": words })
        }
        Shape::Choice(words) => json!({ "enum": words }),
        Shape::List(inner) => json!({ "type": ["array", "null"], "items": shape(*inner) }),
        Shape::Map(inner) => json!({ "type": ["object", "null"], "additionalProperties": shape(*inner) }),
        Shape::Object(keys) => object(keys),
        Shape::Settings => json!({ "type": ["object", "array", "null"], "items": { "type": "string" } }),
    }
}
