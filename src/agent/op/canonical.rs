//! A request as one text: whether two are the same, and where they differ.

use std::fmt::Write as _;

use ring::hmac;
use serde_json::Value;

use super::request::StartRequest;

/// The secret key of request digests. A digest covers what `--set` says, so without a key whoever reads the store
/// could try short secrets until one fits.
pub struct DigestKey(hmac::Key);

impl DigestKey {
    /// A key that was kept.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
    }

    /// HMAC-SHA-256 of a canonical request in lower-case hex: equal for equal requests under one key.
    pub fn digest(&self, canonical: &Value) -> String {
        let tag = hmac::sign(&self.0, canonical.to_string().as_bytes());
        tag.as_ref().iter().fold(String::new(), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

/// The request as JSON, the same for the same request whatever was claimed around it.
pub fn canonical(request: &StartRequest) -> Value {
    serde_json::json!({ "apply": request.apply, "cluster": request.cluster, "sources": request.sources })
}

/// A canonical request as it is kept, to name differences: without the values of `--set`, whose names need not tell
/// that they are secret. Whether two requests are the same is for the digest of the whole to say.
pub fn to_keep(canonical: &Value) -> Value {
    let mut kept = canonical.clone();
    let set = kept.pointer_mut("/apply/set").and_then(Value::as_array_mut);
    for value in set.into_iter().flatten() {
        if let Some(Value::String(text)) = value.get_mut("expression") {
            *text = without_value(text);
        }
    }
    kept
}

/// `a.b=c` without its `c`. What is no plain name may be a value already, as in `--set-json`.
fn without_value(expression: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-[]/".contains(c);
    match expression.split_once('=') {
        Some((name, _)) if name.chars().all(plain) => format!("{name}=(hidden)"),
        _ => "(hidden)".to_owned(),
    }
}

/// Where two canonical requests differ, at most three places, in words.
pub fn differences(before: &Value, now: &Value) -> String {
    let mut found = Vec::new();
    compare("", before, now, &mut found);
    match found.len() {
        0 => "a hidden value".to_owned(),
        1..=3 => found.join(", "),
        more => format!("{} and {} more", found[..3].join(", "), more - 3),
    }
}

fn compare(path: &str, before: &Value, now: &Value, found: &mut Vec<String>) {
    match (before, now) {
        (Value::Object(old), Value::Object(new)) => {
            let added = new.keys().filter(|key| !old.contains_key(*key));
            for key in old.keys().chain(added) {
                let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(
                    &inner,
                    old.get(key).unwrap_or(&Value::Null),
                    new.get(key).unwrap_or(&Value::Null),
                    found,
                );
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                compare(&format!("{path}[{index}]"), old, new, found);
            }
        }
        _ if before == now => {}
        _ => found.push(format!("{path} was {before} and is {now}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn a_digest_tells_nothing_without_its_key() {
        let request = json!({ "apply": { "set": ["pin=4711"] } });
        let (ours, other) = (DigestKey::new([1; 32]), DigestKey::new([2; 32]));
        assert_eq!(ours.digest(&request), DigestKey::new([1; 32]).digest(&request));
        assert_ne!(ours.digest(&request), ours.digest(&json!({ "apply": { "set": ["pin=4712"] } })));
        assert_ne!(ours.digest(&request), other.digest(&request));
        assert_ne!(ours.digest(&request), format!("{:x}", Sha256::digest(request.to_string())));
        assert_eq!(ours.digest(&request).len(), 64);
    }

    #[test]
    fn values_of_set_are_not_kept() {
        let set = ["note=canary-1", "a.b[0]=x,c=canary-2", r#"{"x":"canary-3=4"}"#, "canary-5"];
        let set: Vec<_> = set.map(|expression| json!({ "kind": "plain", "expression": expression })).into();
        let kept = to_keep(&json!({ "apply": { "release": "web", "set": set } }));
        let expressions: Vec<_> = (0..4).map(|at| kept["apply"]["set"][at]["expression"].clone()).collect();
        assert_eq!(expressions, ["note=(hidden)", "a.b[0]=(hidden)", "(hidden)", "(hidden)"]);
        assert_eq!(kept["apply"]["release"], "web");
    }

    #[test]
    fn differences_are_named() {
        let before = json!({ "apply": { "release": "web", "values": ["a"] }, "cluster": { "name": "dev" } });
        let now = json!({ "apply": { "release": "web", "values": ["b"] }, "cluster": { "name": "prod" } });
        let words = "apply.values[0] was \"a\" and is \"b\", cluster.name was \"dev\" and is \"prod\"";
        assert_eq!(differences(&before, &now), words);
        assert_eq!(differences(&before, &before), "a hidden value");
    }
}
