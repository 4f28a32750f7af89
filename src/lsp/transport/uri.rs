//! Makes URIs out of what editors send as URIs.
//!
//! The typed layer takes RFC 3986 literally and would drop a whole message for one blank, bracket or umlaut.
//! Such characters are percent-encoded first; what is right stays as it is.

use std::fmt::Write;

use serde_json::Value;

/// Encodes every string member that holds a URI (`uri`, `rootUri`, `baseUri`, …), however deep.
pub(crate) fn mend(params: &mut Value) {
    match params {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(uri) if name == "uri" || name.ends_with("Uri") => mend_one(uri),
                    other => mend(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mend),
        _ => {}
    }
}

fn mend_one(uri: &mut String) {
    if let Some(encoded) = encode(uri) {
        *uri = encoded;
    }
}

/// The URI with its bad characters encoded; `None` when it has none.
fn encode(uri: &str) -> Option<String> {
    let host = host_range(uri);
    let mut fragment = false;
    let mut encoded = String::with_capacity(uri.len() + 16);
    for (at, character) in uri.char_indices() {
        let keep = match character {
            '%' => is_escape(&uri.as_bytes()[at..]),
            '[' | ']' => host.contains(&at),
            '#' => !std::mem::replace(&mut fragment, true),
            other => is_allowed(other),
        };
        if keep {
            encoded.push(character);
        } else {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                // Writing to a string does not fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    (encoded != uri).then_some(encoded)
}

/// Where the host stands: the one place where brackets are right, as in `vscode-remote://[::1]/x`.
fn host_range(uri: &str) -> std::ops::Range<usize> {
    let Some(start) = uri.find("://").map(|at| at + 3) else { return 0..0 };
    let end = uri[start..].find('/').map_or(uri.len(), |at| start + at);
    start..end
}

fn is_escape(bytes: &[u8]) -> bool {
    matches!(bytes, [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

fn is_allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-._~:/?@!$&'()*+,;=".contains(character)
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use serde_json::json;

    use super::*;

    #[test]
    fn bad_characters_are_encoded_and_the_result_parses() {
        for (sent, expected) in [
            ("file:///c:/[x]/a b.yaml", "file:///c:/%5Bx%5D/a%20b.yaml"),
            ("file:///a/{b}.yaml", "file:///a/%7Bb%7D.yaml"),
            ("file:///a/ü.yaml", "file:///a/%C3%BC.yaml"),
            ("file:///a/100%.yaml", "file:///a/100%25.yaml"),
            ("file:///a\\b", "file:///a%5Cb"),
            ("untitled:a#b#c", "untitled:a#b%23c"),
        ] {
            assert_eq!(encode(sent).as_deref(), Some(expected));
            assert!(lsp_types::Uri::from_str(expected).is_ok(), "{expected}");
        }
    }

    #[test]
    fn what_is_right_stays_as_it_is() {
        for uri in
            ["file:///c%3A/x", "untitled:Untitled-1", "vscode-remote://ssh-remote+host/a", "http://[::1]/a"]
        {
            assert_eq!(encode(uri), None, "{uri}");
        }
    }

    #[test]
    fn uris_are_found_at_any_depth_and_text_is_left_alone() {
        let mut params = json!({
            "rootUri": "file:///a b",
            "workspaceFolders": [{"uri": "file:///c d", "name": "c d"}],
            "textDocument": {"uri": "file:///e f", "text": "g h"},
        });
        mend(&mut params);
        assert_eq!(
            params,
            json!({
                "rootUri": "file:///a%20b",
                "workspaceFolders": [{"uri": "file:///c%20d", "name": "c d"}],
                "textDocument": {"uri": "file:///e%20f", "text": "g h"},
            })
        );
    }
}
