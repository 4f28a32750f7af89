//! Clocks and builds, which no two agents share.

use serde_json::Value;

/// Replaces what the recording replaced.
pub(super) fn mask(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Object(fields) => {
            let is_ping = fields.get("event").is_some_and(|name| name == "ping");
            for (name, value) in fields {
                match name.as_str() {
                    "build_date" => *value = "<time>".into(),
                    "git_commit" | "git_tree_state" | "go_version" | "platform" | "version" => {
                        *value = "<build>".into();
                    }
                    "data" if is_ping => *value = clock(value),
                    name if name.ends_with("_unix_nano") => *value = clock(value),
                    _ => mask(value),
                }
            }
        }
        _ => {}
    }
}

/// Of our time, or there is something wrong with it.
fn clock(value: &Value) -> Value {
    let nanos: i64 = value.as_str().unwrap().parse().unwrap();
    assert!(nanos > 1_600_000_000_000_000_000, "{nanos} is no time");
    "<time>".into()
}

/// A request with a clock in it again. What it asks for "since" is in the future, as its call says.
pub(super) fn unmask(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(unmask),
        Value::Object(fields) => {
            for (name, value) in fields {
                let is_since = name == "since_last_seen_unix_nano";
                if value == "<time>" {
                    *value = if is_since { "4000000000000000000" } else { "1700000000000000000" }.into();
                }
                unmask(value);
            }
        }
        _ => {}
    }
}
