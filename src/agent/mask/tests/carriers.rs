//! Everything that a secret rides in.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::*;

const CANARY: &str = "canary-7f3a9c21e4";

/// Texts that give a secret away by their structure; `B64` stands for it in base64.
const TEXTS: &[&str] = &[
    // Manifests, in the orders of Helm and of kubectl, with several documents.
    "kind: ConfigMap\ndata:\n  a: b\n---\napiVersion: v1\nkind: Secret\ndata:\n  any: B64\n",
    "apiVersion: v1\ndata:\n  any: B64\nkind: Secret\nmetadata:\n  name: web\n",
    "items:\n- apiVersion: v1\n  data:\n    any: B64\n  kind: Secret\n  metadata:\n    name: web\nkind: List\n",
    "kind: Secret\nstringData:\n  conf.yaml: |-\n    a: 1\n    b: CANARY\n  other: 'CANARY'\n",
    "kind: Secret\ndata: {any: B64, b: x}\n",
    "kind: Secret\ndata: {\n  any: B64,\n}\n",
    "kind: Secret\ntype: kubernetes.io/dockerconfigjson\ndata:\n  .dockerconfigjson: B64\n",
    "kind: Secret\ndata:\n  any: >-\n    B64\n",
    "kind: !!str Secret\ndata:\n  any: B64\n",
    "kind: Secret\nweird\n\tdata:   any=CANARY\n",
    // Diffs: with the kind in sight, with a header that names it, and without both.
    "@@ -1,4 +1,4 @@\n apiVersion: v1\n kind: Secret\n data:\n-  any: eA==\n+  any: B64\n",
    "default, web, Secret (v1) has changed:\n  # Source: web\n  data:\n-   any: 'eA=='\n+   any: 'CANARY'\n",
    "--- previous\n+++ proposed\n@@ -9,3 +9,3 @@\n   a: eHh4eHh4eHg=\n-  any: B64\n+  any: B64\n",
    // JSON: whole, over several lines, in an annotation, in a log line, cut off.
    r#"{"apiVersion":"v1","data":{"any":"B64"},"kind":"Secret"}"#,
    "{\n  \"data\": {\n    \"any\": \"B64\"\n  },\n  \"kind\": \"Secret\"\n}\n",
    "metadata:\n  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: |\n      {\"data\":{\"any\":\"B64\"},\"kind\":\"Secret\"}\n",
    r#"{"level":"info","msg":"applied","object":"{\"kind\":\"Secret\",\"stringData\":{\"any\":\"CANARY\"}}"}"#,
    r#"{"msg":"kind: Secret\ndata:\n  any: B64\n","n":1}"#,
    r#"{"a":"{\"b\":\"{\\\"kind\\\":\\\"Secret\\\",\\\"data\\\":{\\\"x\\\":\\\"B64\\\"}}\"}"}"#,
    r#"{"kind":"Secret","data":{"any":"B64","b":"#,
    r#"patch: {"data":{"any":"B64"}}"#,
    // Errors of the API server and of Helm.
    r#"Error: UPGRADE FAILED: cannot patch "web" with kind Secret: Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 4, error found in #10 byte of ...|:"CANARY"},"kind":"S|..., bigger context ...|{"apiVersion":"v1","data":{"any":"CANARY"},"kind":"Secret"|..."#,
    r#"Invalid value: map[string]interface {}{"apiVersion":"v1", "data":map[string]interface {}{"any":"B64"}, "kind":"Secret"}"#,
    "unable to decode: map[apiVersion:v1 data:map[any:B64 b:x] kind:Secret metadata:map[name:web]]",
    r#"&v1.Secret{Data:map[string][]uint8{"any":[]uint8("CANARY")}, Type:"Opaque"}"#,
    r#"Error: "kind: Secret\nstringData:\n  any: CANARY\n" is invalid"#,
    // Values of helm and its debug output.
    "USER-SUPPLIED VALUES:\nauth:\n  password: CANARY\n  rootPassword: |-\n    CANARY\n",
    "client.go:142: [debug] Starting: helm upgrade web . --set db.password=CANARY,replicas=2",
    "passwords:\n- CANARY\n- other\n",
    "env:\n- name: DB_PASSWORD\n  value: CANARY\n- name: PORT\n  value: \"80\"\n",
    r#"{"env":[{"name":"DB_PASSWORD","value":"CANARY"}]}"#,
    // Sentences.
    "literal password: CANARY in env DB",
    "literal password 'CANARY' in env DB",
    // Command lines.
    "ktl apply --token CANARY --namespace shop",
    "helm upgrade web . --set-string 'a.b=c,db.password=CANARY x,e=f'",
    "helm upgrade web . --set-literal db.password=CANARY,x=y",
    "helm upgrade web . --set-json 'auth.password={\"a\":\"CANARY\"}'",
    "docker build --build-arg NPM_TOKEN=CANARY -e DB_PASS=CANARY .",
    "docker login -u me -p CANARY ghcr.io",
    "helm registry login --password CANARY ghcr.io",
    "kubectl create secret generic web --from-literal=any=CANARY",
    "NPM_TOKEN=CANARY npm ci && export API_KEY='CANARY'",
    // URLs and headers.
    "cloning https://me:CANARY@git.example.com/x.git",
    "cloning https://me:p@CANARY@git.example.com/x.git",
    "postgres://app:CANARY@db:5432/shop?sslmode=disable",
    "GET /v2/?access_token=CANARY&x=1",
    "https://x.blob.core.windows.net/a?sv=1&sig=CANARY",
    "http://127.0.0.1:7443/s/web#k=CANARY",
    "Authorization: Bearer CANARY",
    "x-api-key: CANARY",
    r#"{"headers":{"authorization":["Basic CANARY"]}}"#,
    // Kubeconfigs and registries.
    "users:\n- name: me\n  user:\n    client-key-data: B64\n    token: CANARY\n",
    "    auth-provider:\n      config:\n        id-token: CANARY\n        refresh-token: CANARY\n",
    "    exec:\n      command: login\n      env:\n      - name: LOGIN_TOKEN\n        value: CANARY\n",
    r#"{"auths":{"ghcr.io":{"username":"me","password":"CANARY"}}}"#,
    "//registry.npmjs.org/:_authToken=CANARY",
    // Keys.
    "-----BEGIN RSA PRIVATE KEY-----\nCANARY\nabc=\n-----END RSA PRIVATE KEY-----",
    "tls.key: |\n  -----BEGIN PRIVATE KEY-----\n  CANARY\n",
    r#"{"key":"-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----\n"}"#,
];

#[track_caller]
fn assert_hidden(place: &str, text: &str) {
    for secret in [CANARY, &STANDARD.encode(CANARY)] {
        assert!(!text.contains(secret), "{secret} is in the {place} of\n{text}");
    }
}

fn planted(text: &str) -> String {
    text.replace("CANARY", CANARY).replace("B64", &STANDARD.encode(CANARY))
}

#[test]
fn a_secret_is_hidden_in_every_carrier() {
    for text in TEXTS {
        let text = planted(text);
        let masked = Masker::new([]).mask(text.clone()).into_inner();
        assert!(masked.contains("«secret:"), "nothing was hidden in\n{text}");
        assert_hidden("text", &masked);
        assert_hidden("copy", Masker::new([]).mask_source(&text, &[]).get());
    }
}

#[test]
fn a_secret_is_hidden_in_every_carrier_inside_of_json() {
    for text in TEXTS {
        let once = json!({ "text": planted(text), "n": 1 }).to_string();
        let twice = json!([{ "inner": once }]).to_string();
        for whole in [once, twice] {
            assert_hidden("text in JSON", Masker::new([]).mask(whole.clone()).get());
            let mut deploy = whole;
            json::hide(&mut deploy, &Masker::new([]));
            assert_hidden("JSON", &deploy);
            assert!(serde_json::from_str::<serde_json::Value>(&deploy).is_ok(), "{deploy}");
        }
    }
}

#[test]
fn what_the_session_holds_is_hidden_in_every_form() {
    let masker = Masker::new(["pass\"word/with?all & <more>".to_owned()]);
    for text in [
        r#"a pass"word/with?all & <more> b"#,
        r#"{"a":"pass\"word/with?all & <more>"}"#,
        r#"{"a":"pass\"word/with?all \u0026 \u003cmore\u003e"}"#,
        r#"{"a":"{\"b\":\"pass\\\"word/with?all & <more>\"}"}"#,
        "https://x/?q=pass%22word%2Fwith%3Fall%20%26%20%3Cmore%3E&n=1",
        "q=pass%22word%2Fwith%3Fall+%26+%3Cmore%3E",
        "cGFzcyJ3b3JkL3dpdGg/YWxsICYgPG1vcmU+",
        "cGFzcyJ3b3JkL3dpdGg_YWxsICYgPG1vcmU-",
        "7061737322776f72642f776974683f616c6c2026203c6d6f72653e",
        "7061737322776F72642F776974683F616C6C2026203C6D6F72653E",
        "pass\"wo\x1b[31mrd/with?all & <mo\x1b[0mre>",
        "    pass\"word/wit\n    h?all & <more>",
    ] {
        let masked = masker.mask(text.to_owned()).into_inner();
        assert_eq!(masked.matches("«secret:").count(), 1, "{text} became {masked}");
        assert!(masked.len() < text.len().max(40), "{text} became {masked}");
    }
}

#[test]
fn equal_secrets_have_equal_marks_in_every_carrier() {
    let masker = Masker::new([CANARY.to_owned()]);
    let marks: std::collections::BTreeSet<String> = TEXTS
        .iter()
        .flat_map(|text| {
            let masked = masker.mask(planted(text)).into_inner();
            mark::find(&masked).into_iter().map(|range| masked[range].to_owned()).collect::<Vec<_>>()
        })
        .collect();
    let own = masker.mask(CANARY.to_owned()).into_inner();
    assert!(marks.contains(&own), "{marks:?}");
    // Others are of what stands beside it: a whole key, a list, another value.
    assert!(marks.len() < 25, "{} marks", marks.len());
}

#[test]
fn public_certificates_stay() {
    let certificate = "-----BEGIN CERTIFICATE-----\nMIIBeDCCAR2gAwIBAgIUQ0\n-----END CERTIFICATE-----\n";
    let encoded = STANDARD.encode(certificate);
    for text in [
        certificate.to_owned(),
        format!("webhooks:\n- clientConfig:\n    caBundle: {encoded}\n"),
        format!("clusters:\n- cluster:\n    certificate-authority-data: {encoded}\n"),
        format!("users:\n- user:\n    client-certificate-data: {encoded}\n"),
    ] {
        assert_eq!(masked(&text), text);
    }
    // In a Secret it is data; elsewhere it is not known for it.
    let masker = Masker::new([]);
    let secret = format!("kind: Secret\ndata:\n  tls.crt: {encoded}\n");
    assert!(!masker.mask(secret).get().contains(&encoded));
    assert_eq!(masker.mask(format!("caBundle: {encoded}")).get(), &format!("caBundle: {encoded}"));
}

#[test]
fn other_objects_beside_a_secret_stay_readable() {
    let text = "kind: Secret\ndata:\n  a: eHh4eHh4\n---\nkind: ConfigMap\ndata:\n  url: http://x\n  b: aGVsbG8gd29ybGQ=\n";
    let shown = masked(text);
    assert!(shown.ends_with("kind: ConfigMap\ndata:\n  url: http://x\n  b: aGVsbG8gd29ybGQ=\n"), "{shown}");
    let list =
        r#"{"items":[{"kind":"Secret","data":{"a":"eHh4eHh4"}},{"kind":"ConfigMap","data":{"url":"x"}}]}"#;
    assert!(masked(list).contains(r#""data":{"url":"x"}"#), "{}", masked(list));
}
