//! Which names hold secrets.

/// A name whose last word is one of these holds a secret.
const WORDS: [&str; 16] = [
    "apikey",
    "apitoken",
    "authtoken",
    "credential",
    "credentials",
    "passphrase",
    "passwd",
    "password",
    "passwords",
    "pwd",
    "secret",
    "secretkey",
    "token",
    "tokens",
    "accesskey",
    "privatekey",
];

/// A name that ends in these two words holds a secret.
const PAIRS: [(&str, &str); 10] = [
    ("access", "key"),
    ("account", "key"),
    ("api", "key"),
    ("auth", "key"),
    ("client", "key"),
    ("encryption", "key"),
    ("license", "key"),
    ("private", "key"),
    ("secret", "key"),
    ("signing", "key"),
];

/// These two words at the end name a secret, they do not hold one.
const REFERENCES: [(&str, &str); 5] =
    [("existing", "secret"), ("pull", "secret"), ("tls", "secret"), ("from", "secret"), ("page", "token")];

/// Whether a key, a flag or an environment variable is named like a secret: `db.password`, `--token`,
/// `NPM_TOKEN`, `clientSecret`; not `secretName`, `existingSecret` or `tokenReview`.
pub(super) fn is_sensitive(name: &str) -> bool {
    let leaf = name.rsplit(['.', '/', ':']).find(|part| !part.is_empty()).unwrap_or(name);
    let words = words(leaf);
    let Some(last) = words.last().map(String::as_str) else { return false };
    let before = words.len().checked_sub(2).map(|at| words[at].as_str());
    if before.is_some_and(|before| REFERENCES.contains(&(before, last))) {
        return false;
    }
    WORDS.contains(&last) || before.is_some_and(|before| PAIRS.contains(&(before, last)))
}

/// Whether a text can be a secret at all, and not a switch, a reference or a template that makes one.
pub(super) fn is_value(text: &str) -> bool {
    let text = text.trim();
    let plain = ["", "true", "false", "null", "~", "nil", "{}", "[]", "\"\"", "''", "yes", "no", "|", ">"];
    let reference = ["${", "$(", "secret://", "«secret:", "<nil>", "<no value>"];
    let template = text.starts_with("{{") && text.ends_with("}}") && !text.contains(['"', '`']);
    !plain.contains(&text) && !template && !reference.iter().any(|mark| text.starts_with(mark))
}

/// `clientSecret_2FA-key` -> client, secret, 2fa, key.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut lower_before = false;
    let mut fresh = true;
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() {
            fresh = true;
            lower_before = false;
            continue;
        }
        if fresh || (c.is_ascii_uppercase() && lower_before) {
            words.push(String::new());
            fresh = false;
        }
        lower_before = !c.is_ascii_uppercase();
        if let Some(word) = words.last_mut() {
            word.push(c.to_ascii_lowercase());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_told_from_names_of_their_neighbors() {
        for name in [
            "password",
            "db.password",
            "--token",
            "NPM_TOKEN",
            "clientSecret",
            "AWS_SECRET_ACCESS_KEY",
            "apiKey",
            "api-key",
            "apikey",
            "auth.adminPassword",
            "MYSQL_ROOT_PASSWORD",
            "privateKey",
            "global.postgresql.auth.password",
        ] {
            assert!(is_sensitive(name), "{name} was not taken for a secret");
        }
        for name in [
            "secretName",
            "existingSecret",
            "imagePullSecret",
            "passwordSecretRef",
            "tokenReview",
            "key",
            "username",
            "author",
            "secretKeyRef",
            "monkey",
            "",
            "---",
            "tokenizer",
        ] {
            assert!(!is_sensitive(name), "{name} was taken for a secret");
        }
    }

    #[test]
    fn switches_references_and_templates_are_no_values() {
        for text in ["true", "", " ~ ", "${TOKEN}", "secret://vault/db", "{{ .Values.password | b64enc }}"] {
            assert!(!is_value(text), "{text:?}");
        }
        assert!(is_value("hunter2") && is_value("{{ \"hunter2\" | b64enc }}"));
    }
}
