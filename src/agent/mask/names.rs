//! Which names hold secrets, and which values can be secrets at all.

use super::{mark, ordinary};

/// A name whose last word is one of these holds a secret.
const WORDS: [&str; 24] = [
    "accesskey",
    "accesskeys",
    "apikey",
    "apikeys",
    "apitoken",
    "authtoken",
    "connectionstring",
    "credential",
    "credentials",
    "dockercfg",
    "dockerconfigjson",
    "htpasswd",
    "passphrase",
    "passwd",
    "password",
    "passwords",
    "privatekey",
    "pwd",
    "secret",
    "secretkey",
    "sharedkey",
    "signingkey",
    "token",
    "tokens",
];

/// Words run together end like this: `dbpassword`, `githubtoken`.
const ENDINGS: [&str; 5] = ["apikey", "passphrase", "passwd", "password", "token"];

/// A name that ends in these two words holds a secret.
const PAIRS: [(&str, &str); 22] = [
    ("access", "key"),
    ("account", "key"),
    ("api", "key"),
    ("auth", "key"),
    ("ca", "key"),
    ("client", "key"),
    ("connection", "string"),
    ("encryption", "key"),
    ("key", "data"),
    ("license", "key"),
    ("master", "key"),
    ("password", "hash"),
    ("private", "key"),
    ("secret", "id"),
    ("secret", "key"),
    ("server", "key"),
    ("session", "key"),
    ("set", "cookie"),
    ("shared", "key"),
    ("signing", "key"),
    ("tls", "key"),
    ("webhook", "key"),
];

/// These two words at the end name a secret or a place in a list, they do not hold a secret.
const REFERENCES: [(&str, &str); 10] = [
    ("continue", "token"),
    ("existing", "secret"),
    ("from", "secret"),
    ("next", "token"),
    ("page", "token"),
    ("pull", "secret"),
    ("service", "account"),
    ("set", "secret"),
    ("tls", "secret"),
    ("unexpected", "token"),
];

/// Whether a key, a flag or an environment variable is named like a secret: `db.password`, `--token`,
/// `NPM_TOKEN`, `clientSecret`, `passwords[0]`; not `secretName`, `existingSecret` or `tokenReview`.
pub(super) fn is_sensitive(name: &str) -> bool {
    may_be(name) && is_sensitive_by_words(name)
}

/// Most names are of nothing secret, and their last two letters tell.
fn may_be(name: &str) -> bool {
    let [.., before, last] = name.as_bytes() else { return false };
    matches!(
        [before.to_ascii_lowercase(), last.to_ascii_lowercase()],
        [_, b'0'..=b'9' | b']' | b'.' | b'/' | b':' | b'_' | b'-']
            | [b'e', b'y' | b'n' | b't']
            | [b'y' | b'n' | b'l' | b'd' | b's', b's']
            | [b'r' | b'w' | b'i', b'd']
            | [b'o', b'n']
            | [b'n' | b'f', b'g']
            | [b's' | b'i', b'e']
            | [b's' | b't', b'h']
            | [b'a', b'l']
            | [b't', b'a']
    )
}

fn is_sensitive_by_words(name: &str) -> bool {
    let name = without_index(name);
    let mut parts = name.rsplit(['.', '/', ':']).filter(|part| !part.is_empty());
    let Some(leaf) = parts.next() else { return false };
    if leaf == "_auth" {
        return true;
    }
    if name.starts_with("checksum/") {
        return false; // Helm's way to restart pods.
    }
    let mut words = words(leaf);
    if words.len() == 1 && words[0] == "key" {
        // `tls.key`: half of the name is in front of the dot.
        words.splice(0..0, parts.next().map(self::words).unwrap_or_default());
    }
    if words.len() > 1 && words.last().is_some_and(|word| word.bytes().all(|b| b.is_ascii_digit())) {
        words.pop();
    }
    let Some(last) = words.last().map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit())) else {
        return false;
    };
    let before = words.len().checked_sub(2).map(|at| words[at].as_str());
    if before.is_some_and(|before| REFERENCES.contains(&(before, last))) {
        return false;
    }
    WORDS.contains(&last)
        || ENDINGS.iter().any(|ending| last.ends_with(ending))
        || before.is_some_and(|before| PAIRS.contains(&(before, last)) || last == "pass")
}

/// Whether a name holds several secrets: its list is as secret as one of them.
pub(super) fn is_list(name: &str) -> bool {
    is_sensitive(name) && name.ends_with('s')
}

/// Whether a text can be a secret at all, and not a switch, a reference, a template that makes one, or what somebody
/// else put in its place.
pub(super) fn is_value(text: &str) -> bool {
    const PLAIN: [&str; 18] = [
        "",
        "true",
        "false",
        "null",
        "~",
        "nil",
        "{}",
        "[]",
        "\"\"",
        "''",
        "yes",
        "no",
        "|",
        ">",
        "<nil>",
        "<no value>",
        "none",
        "{",
    ];
    const HIDDEN: [&str; 6] =
        ["redacted", "<redacted>", "[redacted]", "(redacted)", "data+omitted", "<hidden>"];
    let text = text.trim();
    if PLAIN.contains(&text) || text.bytes().all(|b| b == b'*') || mark::is_mark(text) {
        return false;
    }
    !is_reference(text) && !HIDDEN.contains(&text.to_ascii_lowercase().as_str())
}

/// `{{ .Values.x }}`, `${X}`, `$(X)`, `$X`, `secret://...`
fn is_reference(text: &str) -> bool {
    let between = |open: &str, close: char| {
        text.strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(close))
            .is_some_and(|inner| !inner.contains(close))
    };
    let template = text.starts_with("{{") && text.ends_with("}}") && !text.contains(['"', '`']);
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    let variable = text.strip_prefix('$').is_some_and(is_name);
    template || variable || between("${", '}') || between("$(", ')') || text.starts_with("secret://")
}

/// Whether a value is a word that texts are made of.
pub(super) fn is_ordinary(value: &str) -> bool {
    ordinary::is_ordinary(value)
}

/// `passwords[0]` -> `passwords`
fn without_index(name: &str) -> &str {
    let index = name.strip_suffix(']').and_then(|rest| rest.rsplit_once('['));
    index.filter(|(_, index)| index.bytes().all(|b| b.is_ascii_digit())).map_or(name, |(name, _)| name)
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

/// A name of every kind.
#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    let pairs = PAIRS.iter().map(|(first, second)| &*format!("{first}{second}").leak());
    WORDS.into_iter().chain(ENDINGS).chain(pairs).chain(["_auth", "db_pass"])
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
            "passwords[0]",
            "dbpassword",
            "DB_PASS",
            "password2",
            "TOKEN_1",
            "client-key-data",
            "tls.key",
            "id-token",
            ".dockerconfigjson",
            "//registry.npmjs.org/:_authToken",
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
            "pass",
            "caBundle",
            "certificate-authority-data",
            "client-certificate-data",
            "nextToken",
            "checksum/secret",
            "AWS_ACCESS_KEY_ID",
        ] {
            assert!(!is_sensitive(name), "{name} was taken for a secret");
        }
    }

    #[test]
    fn the_last_two_letters_rule_no_secret_out() {
        let pairs = PAIRS.map(|(first, second)| format!("{first}_{second}"));
        let words = WORDS.map(str::to_owned).into_iter().chain(ENDINGS.map(str::to_owned)).chain(pairs);
        for name in words.chain(["db_pass".to_owned(), "_auth".to_owned()]) {
            for name in [name.clone(), name.to_uppercase(), format!("{name}2"), format!("{name}[0]")] {
                assert!(may_be(&name), "{name}");
            }
        }
    }

    #[test]
    fn switches_references_and_templates_are_no_values() {
        for text in [
            "true",
            "",
            " ~ ",
            "${TOKEN}",
            "$TOKEN",
            "$(TOKEN)",
            "secret://vault/db",
            "{{ .Values.password | b64enc }}",
            "***",
            "REDACTED",
            "«secret:1f0c33ab»",
        ] {
            assert!(!is_value(text), "{text:?}");
        }
        for text in ["hunter2", "{{ \"hunter2\" | b64enc }}", "${A}hunter2", "$hunter2", "«secret:hunter2»"]
        {
            assert!(is_value(text), "{text:?}");
        }
    }
}
