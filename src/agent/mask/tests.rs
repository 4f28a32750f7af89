//! What must be hidden, and what must stay readable.

mod carriers;
mod ordinary;
mod properties;
mod speed;
mod streams;

use super::*;

fn masked(text: &str) -> String {
    Masker::new([]).mask(text.to_owned()).into_inner()
}

#[track_caller]
fn hides(text: &str, secret: &str) {
    let masked = masked(text);
    assert!(!masked.contains(secret), "{secret:?} is still in {masked:?}");
    assert!(masked.contains("«secret:"), "nothing marked in {masked:?}");
    let copy = Masker::new([]).mask_source(text, &[]).into_inner();
    assert!(!copy.contains(secret), "{secret:?} is still in the copy {copy:?}");
}

#[test]
fn the_data_of_a_secret_is_hidden_wherever_it_stands() {
    hides("apiVersion: v1\nkind: Secret\ndata:\n  url: aHVudGVyMg==\n", "aHVudGVyMg==");
    hides("data:\n  url: aHVudGVyMg==\nkind: Secret\n", "aHVudGVyMg==");
    hides("kind: Secret\nstringData:\n  conf: |\n    user: me\n    line two\ntype: Opaque\n", "line two");
    hides(
        "items:\n- kind: Pod\n- apiVersion: v1\n  kind: Secret\n  data:\n    a: aHVudGVyMg==\n",
        "aHVudGVyMg==",
    );
    hides("kind: Secret\ndata: {url: aHVudGVyMg==}\n", "aHVudGVyMg==");
    hides("kind: \"Secret\" # why\nstringData:\n  url: 'hunter two'\n", "hunter two");
}

#[test]
fn what_is_no_secret_stays_readable() {
    for text in [
        "kind: ConfigMap\ndata:\n  url: http://example.com\n",
        "kind: Secret\ndata:\n  url: {{ .Values.url | b64enc }}\ntype: Opaque\n",
        "Error: values.yaml: unexpected token: found character that cannot start any token",
        "secretName: web-tls\nexistingSecret: db\nautomountServiceAccountToken: false\n",
        "Error: secrets \"web\" not found; bearer authentication failed",
        "STATUS: deployed, REVISION: 3, https://example.com:8080/a@b",
        "image: nginx:1.27 --namespace shop --timeout 5m0s",
        "apiVersion: v1\nkind: Deployment\nmetadata:\n  name: web\n",
    ] {
        assert_eq!(masked(text), text);
    }
}

#[test]
fn values_under_sensitive_names_are_hidden() {
    hides("db:\n  password: hunter2\n", "hunter2");
    hides("adminPassword: \"two words\" # comment\n", "two words");
    hides("helm upgrade web . --set db.password=hunter2,replicas=2", "hunter2");
    hides("helm upgrade web . --token hunter2", "hunter2");
    hides("NPM_TOKEN=hunter2 npm ci", "hunter2");
    hides("{\"user\":\"me\",\"password\":\"hunter2\"}", "hunter2");
    hides("{\"annotation\":\"{\\\"password\\\":\\\"hunter2\\\"}\"}", "hunter2");
    hides("GET /v2/?access_token=hunter2&x=1", "hunter2");
    assert!(masked("--set db.password=hunter2,replicas=2").ends_with(",replicas=2"));
}

#[test]
fn credentials_in_urls_headers_and_keys_are_hidden() {
    hides("cloning https://me:hunter2@git.example.com/x.git", "hunter2");
    hides("cloning https://ghp_0123456789abcdef@git.example.com/x.git", "ghp_0123456789abcdef");
    hides("Authorization: Bearer eyJhbGciOi.J9.x1", "eyJhbGciOi.J9.x1");
    hides("authorization: basic aHVudGVyMg==", "aHVudGVyMg==");
    hides("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc=\n-----END RSA PRIVATE KEY-----", "MIIEow");
    hides("-----BEGIN PRIVATE KEY-----\nMIIEow\nabc", "MIIEow");
}

#[test]
fn known_values_are_hidden_in_plain_and_in_base64_with_equal_marks() {
    let masker = Masker::new(["correct horse".to_owned()]);
    let line = masker.mask("a correct horse, Y29ycmVjdCBob3JzZQ==, correct horse".to_owned()).into_inner();
    assert!(!line.contains("correct horse") && !line.contains("Y29ycmVjdCBob3JzZ"), "{line}");
    let marks: Vec<&str> = line.split("«").skip(1).map(|part| &part[..15]).collect();
    assert_eq!(marks, [marks[0]; 3], "{line}");
    let other = Masker::new(["correct horse".to_owned()]).mask("correct horse".to_owned()).into_inner();
    assert!(!line.contains(&other), "two sessions share a mark");
}

#[test]
fn marks_of_one_session_survive_a_restart() {
    let key = MarkKey::random();
    let id = SessionId::mint();
    let mark = |id: &SessionId| {
        Masker::of_session(&key, id, ["correct horse".to_owned()])
            .mask("correct horse".to_owned())
            .into_inner()
    };
    assert_eq!(mark(&id), mark(&id));
}

#[test]
fn a_source_copy_keeps_every_position() {
    let text = "password: hünter🎉→2\r\nkind: x\ntoken: 'abc def'\n";
    let copy = Masker::new([]).mask_source(text, &[]).into_inner();
    assert_eq!(copy.len(), text.len());
    assert_eq!(copy.encode_utf16().count(), text.encode_utf16().count());
    assert_eq!(copy.find("kind"), text.find("kind"));
    assert!(copy.starts_with("password: *·****🞄•*\r\n") || !copy.contains("nter"), "{copy}");
    assert!(!copy.contains("abc def"));
}

#[test]
fn secrets_are_learned_from_a_values_file_and_a_manifest() {
    let found = find_secrets("auth:\n  password: correct-horse\nreplicas: 2\nsecretKey: default\n");
    assert_eq!(found, ["correct-horse"]);
    let found = find_secrets("kind: Secret\ndata:\n  any: Y29ycmVjdC1ob3JzZQ==\n");
    assert_eq!(found, ["correct-horse"]);
}

#[test]
fn json_stays_json_and_is_untouched_without_secrets() {
    let masker = Masker::new([]);
    let mut text =
        "{\"kind\":\"Secret\",\"data\":{\"a\":\"aHVudGVyMg==\"},\"pin_password\":12345}".to_owned();
    json::hide(&mut text, &masker);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(value["data"]["a"].as_str().unwrap().starts_with("«secret:"), "{text}");
    assert!(value["pin_password"].as_str().unwrap().starts_with("«secret:"), "{text}");
    let mut plain = "{ \"kind\" : \"phase\", \"n\": 1.0 }".to_owned();
    json::hide(&mut plain, &masker);
    assert_eq!(plain, "{ \"kind\" : \"phase\", \"n\": 1.0 }");
}

#[test]
fn what_is_only_suspected_is_hidden_here_and_taught_to_nobody() {
    let masker = Masker::new([]);
    let text = || "image: ktl.test/web:1".to_owned();
    let suspecting = masker.suspecting(["ktl.test/web:1".to_owned()]);
    assert!(!suspecting.mask(text()).get().contains("ktl.test/web:1"));
    assert!(!suspecting.speaking().mask(text()).get().contains("ktl.test/web:1"));
    assert_eq!(masker.mask(text()).get(), &text());
}
