//! What each key accepts, and what is said of what it does not.

use std::time::Duration;

use ktl_fixtures::{Fixture, assert_marks};

use super::*;

/// Parses a fixture, checks its annotations, and gives what the file says.
#[track_caller]
fn check(source: &str) -> Config {
    let fixture = Fixture::parse(source);
    let (path, text) = fixture.only();
    let path = if path == "file.yaml" { ".ktl.yaml" } else { path };
    let mut parsed = parse(path, text);
    for finding in &mut parsed.findings {
        let places = finding.related.iter_mut().map(|related| &mut related.place).chain(&mut finding.place);
        places.for_each(|place| fixture.only().0.clone_into(&mut place.file));
    }
    assert_marks(&fixture, &fixture.expected(), &crate::tests::marks(&parsed.findings));
    parsed.config
}

fn value<T: Clone>(spanned: Option<&Spanned<T>>) -> T {
    spanned.unwrap().value.clone()
}

const FULL: &str = include_str!("../../../fixtures/config/full.yaml");

#[test]
fn everything_that_works_is_read() {
    let config = check(FULL);
    let agent = config.agent.unwrap();
    assert_eq!(value(agent.address.as_ref()), "https://ktl.example:7443");
    assert_eq!(value(agent.tls.server_name.as_ref()), "ktl.internal");
    assert_eq!(value(agent.token_env.as_ref()), "KTL_REMOTE_TOKEN");
    let [checkout, other] = config.releases.as_slice() else { panic!("two releases") };
    assert_eq!(checkout.name.value, "checkout");
    assert_eq!(value(checkout.chart.as_ref()), "./charts/checkout");
    assert_eq!(value(checkout.chart_version.as_ref()), "1.10");
    assert_eq!(value(checkout.namespace.as_ref()), "shop");
    assert_eq!(value(checkout.cluster.as_ref().unwrap().context.as_ref()), "kind-dev");
    let values: Vec<_> = checkout.values.iter().map(|path| path.value.as_str()).collect();
    assert_eq!(values, ["values/common.yaml", "values/dev.yaml"]);
    let set: Vec<_> = checkout.set.iter().map(|set| (set.kind.flag(), set.expression.as_str())).collect();
    assert_eq!(set, [("--set", "image.tag=1.27"), ("--set", "hosts={a,b}"), ("--set-string", "note=a\\,b")]);
    assert_eq!(checkout.set[0].span.of(Fixture::parse(FULL).only().1), "image.tag: \"1.27\"");
    let apply = &checkout.apply;
    assert_eq!(
        (apply.wait, apply.atomic, apply.create_namespace, apply.fail_fast),
        (Some(true), false, true, true)
    );
    assert_eq!((apply.timeout, apply.queue), (Duration::from_secs(90), false));
    assert_eq!(checkout.tags, ["critical"]);
    assert_eq!(checkout.blocked, []);
    assert_eq!(other.apply, ApplyOptions::default());
}

#[test]
fn nothing_is_a_good_file() {
    for text in
        ["", "\n", "# only a comment\n", "null\n", "releases:\n", "releases: []\n", "---\n", "agent:\n"]
    {
        let parsed = parse(".ktl.yaml", text);
        assert_eq!(parsed.findings, [], "{text:?}");
        assert_eq!(parsed.config.releases, []);
    }
}

#[test]
fn unknown_keys_are_warnings_with_the_key_that_was_meant() {
    let text = "releases:\n  - name: a\n    chart: ./a\n    vlaues: [x.yaml]\n";
    let findings = parse(".ktl.yaml", text).findings;
    let edit = &findings[0].fixes[0].edits[0];
    assert_eq!((edit.place.span.of(text), edit.new_text.as_str()), ("vlaues", "values"));
    check(
        "
releases:
  - name: a
    chart: ./a
    vlaues: [x.yaml]
#   ^^^^^^ warning: unknown key `vlaues`; did you mean `values`?
    apply: { timout: 5m }
#            ^^^^^^ warning: unknown key `timout`; did you mean `timeout`?
    somethingElse: 1
#   ^^^^^^^^^^^^^ warning: unknown key `somethingElse`
x-mine: { anything: goes }
",
    );
}

#[test]
fn wrong_types_name_what_is_expected_and_found() {
    check(
        "
releases:
  - name: [a]
#         ^^^ error: expected a name of lower-case letters, digits, `.` and `-`, at most 53 characters, found a list
    chart: {}
#          ^^ error: expected a path, found a map
    namespace: Shop
#              ^^^^ error: expected a name of lower-case letters, digits and `-`, at most 63 characters, found the text `Shop`
    values: dev.yaml
#           ^^^^^^^^ error: expected a list, found the text `dev.yaml`
    cluster: dev
#            ^^^ error: expected a map, found the text `dev`
    set: 1
#        ^ error: expected a map, or a list of `key=value`, found the number `1`
    apply: { wait: \"yes\", atomic: 1, timeout: 5 }
#                  ^^^^^ error: expected true or false, found the text `yes`
#                                 ^ error: expected true or false, found the number `1`
#                                             ^ error: expected a duration such as 90s, 5m or 1h30m, found the number `5`: the unit is missing
  - x
#   ^ error: expected a map, found the text `x`
  -
# ^ error: this item is empty: expected a map
agent: 3
#      ^ error: expected a map, found the number `3`
",
    );
    check("releases:\n  a: {}\n# ^^^^^ error: expected a list of releases, found a map\n");
    check("- a\n#<^ error: expected a map with `releases`, found a list\n");
    check("releases: x\n#         ^ error: expected a list of releases, found the text `x`\n");
}

#[test]
fn booleans_are_those_of_yaml_1_1() {
    let config = check(
        "
releases:
  - { name: a, chart: ./a, apply: { wait: yes, atomic: on, queue: off } }
  - { name: b, chart: on }
#                     ^^ error: expected text, found `on`, which is a boolean in YAML 1.1: put it in quotes
",
    );
    let apply = &config.releases[0].apply;
    assert_eq!((apply.wait, apply.atomic, apply.queue), (Some(true), true, false));
}

#[test]
fn a_release_needs_a_name_and_a_chart() {
    check(
        "
releases:
  - namespace: shop
#   ^^^^^^^^^ error: a release needs `name`: the release's name, also Helm's
#   ^^^^^^^^^ error: a release needs `chart`: a chart: directory, .tgz, oci:// or repo/name
  - name: a
    chart:
#   ^^^^^ error: a release needs `chart`: a chart: directory, .tgz, oci:// or repo/name
",
    );
}

#[test]
fn two_releases_of_one_name_are_an_error_and_the_first_counts() {
    let config = check(
        "
releases:
  - { name: a, chart: ./one }
#           ^ related: the first one
  - { name: a, chart: ./two }
#           ^ error: two releases are called `a`…
",
    );
    assert_eq!(config.releases.len(), 1);
    assert_eq!(value(config.releases[0].chart.as_ref()), "./one");
}

#[test]
fn a_token_in_the_file_is_an_error_with_a_way_out() {
    let text = "agent:\n  address: https://x:1\n  token: hunter2hunter2\n";
    let findings = parse(".ktl.yaml", text).findings;
    let edit = &findings[0].fixes[0].edits[0];
    assert_eq!(edit.place.span.of(text), "token: hunter2hunter2");
    assert_eq!(edit.new_text, "tokenEnv: KTL_REMOTE_TOKEN");
    check(
        "
agent:
  address: https://me:hunter2@ktl.example
#          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ error: an address must not hold a user or password; use tokenEnv or tokenFile
  token: hunter2hunter2
# ^^^^^^^^^^^^^^^^^^^^^ error: `token` is not allowed here: a token must not stand in a file that is shared…
  http: ktl.example:80
#       ^^^^^^^^^^^^^^ error: expected an address such as https://ktl.example:7443, found the text `ktl.example:80`
  tls:
    key: |
      -----BEGIN PRIVATE KEY-----
#     ^^^^^^^^^^^^^^^^^^^^^^^^^^^ error: expected a path, found the content of a file…
",
    );
}

#[test]
fn guards_that_do_not_exist_yet_stop_the_release() {
    let config = check(
        "
verify: { mode: block }
#         ^^^^ warning: `mode: block` is not supported yet…
releases:
  - name: a
    chart: ./a
    approve: changes
#   ^^^^^^^ warning: `approve: changes` is not supported yet, so ktl does not apply this release; write `approve: never` or remove the key
    needs: [b]
#   ^^^^^ warning: `needs` is not supported yet…
    set: { password: secret://local/db }
#                    ^^^^^^^^^^^^^^^^^ warning: `secret://` values are not supported yet…
  - name: b
    chart: ./b
    approve: never
    needs: []
    verify: { mode: warn }
  - name: c
    chart: ./c
    approve: sometimes
#   ^^^^^^^ warning: `approve: sometimes` is not supported yet…
#            ^^^^^^^^^ error: expected one of never, warnings, changes, always, found the text `sometimes`
",
    );
    let blocked: Vec<_> = config.releases.iter().map(|release| release.blocked.len()).collect();
    assert_eq!(blocked, [4, 0, 2], "the file's `verify.mode` counts where a release has none");
    assert!(
        config.releases[0].blocked.iter().all(|finding| finding.severity == crate::finding::Severity::Error)
    );
}

#[test]
fn a_guard_cannot_hide_behind_an_alias_or_a_merge() {
    let config = parse(
        ".ktl.yaml",
        "x-base: &base { approve: always }\nx-secret: &secret { p: secret://x }\n\
         releases:\n  - { <<: *base, name: a, chart: a }\n  - { name: b, chart: b, set: *secret }\n",
    )
    .config;
    assert_eq!(config.releases[0].blocked.len(), 1);
    assert_eq!(config.releases[1].blocked.len(), 1);
}

#[test]
fn keys_that_only_tune_are_warnings() {
    let config = check(
        "
releases:
  - name: a
    chart: ./a
    delete: { timeout: 5m, keepHistory: false }
#   ^^^^^^ warning: `delete` has no effect in this version of ktl
    verify: { mode: warn, failOn: high }
#                         ^^^^^^ warning: `failOn` has no effect in this version of ktl
builds: []
#<^^^^ warning: `builds` has no effect in this version of ktl
build: { profile: ci }
secrets: { defaultProvider: local, providers: { local: { type: file, path: ./s.yaml } } }
",
    );
    assert_eq!(config.releases[0].blocked, []);
}

#[test]
fn broken_yaml_keeps_what_is_whole_and_says_what_is_broken() {
    let config = check(
        "
releases:
  - name: a
    chart: ./a
    namespace: \"shop
#              ^ error: found unexpected end of stream: the quote that opens here is never closed
  - name: b
    chart: ./b
",
    );
    assert_eq!(config.releases.len(), 2);
}

#[test]
fn what_a_half_typed_line_hides_is_not_missing() {
    let parsed = parse(".ktl.yaml", "releases:\n  - name: a\n    chart\n    namespace: shop\n");
    assert!(parsed.findings.iter().all(|finding| finding.code == "config-syntax"), "{:?}", parsed.findings);
    assert_eq!(parsed.config.releases[0].name.value, "a");
    assert_eq!(value(parsed.config.releases[0].namespace.as_ref()), "shop");
}

#[test]
fn keys_given_twice_are_errors_and_the_last_counts() {
    let config = check(
        "
releases:
  - name: a
    chart: ./one
#   ^^^^^ related: first given here
    chart: ./two
#   ^^^^^ error: `chart` is given twice in this map; the last one counts
",
    );
    assert_eq!(value(config.releases[0].chart.as_ref()), "./two");
}

#[test]
fn a_stack_is_read_with_its_defaults() {
    let config = check(include_str!("../../../fixtures/config/stack.yaml"));
    let [db, api] = config.releases.as_slice() else { panic!("two releases") };
    assert_eq!(value(db.namespace.as_ref()), "shop");
    assert_eq!(value(api.namespace.as_ref()), "api");
    assert_eq!(value(api.cluster.as_ref().unwrap().name.as_ref()), "eu1");
    let values: Vec<_> = db.values.iter().map(|path| path.value.as_str()).collect();
    assert_eq!(values, ["values/all.yaml", "values/db.yaml"]);
    assert_eq!(
        (db.apply.atomic, db.apply.wait, db.apply.timeout),
        (true, Some(true), Duration::from_mins(4))
    );
    assert!(!api.apply.atomic);
    assert_eq!((db.blocked.len(), api.blocked.len()), (1, 2), "the stack's hooks stop both");
}

#[test]
fn a_release_file_is_one_release() {
    let config = check(
        "
#- web/release.yaml
apiVersion: ktl.dev/v1
kind: Release
name: web
chart: ./chart
set: [image.tag=2]
",
    );
    assert_eq!(config.releases[0].name.value, "web");
    assert_eq!(config.releases[0].set[0].expression, "image.tag=2");
}

#[test]
fn absurd_files_end_early_and_say_so() {
    let long = "a: 1\n".repeat(300_000);
    assert_eq!(parse(".ktl.yaml", &long).findings[0].code, "config-too-large");
    let many = format!("releases:\n{}", "  - {name: a, chart: b}\n".repeat(1001));
    assert!(parse(".ktl.yaml", &many).findings.iter().any(|finding| finding.code == "config-too-large"));
    let list = format!("x: &x [{}]\n", "a,".repeat(5000));
    let bomb = format!("{list}releases:\n{}", "  - {name: a, chart: b, values: *x, tags: *x}\n".repeat(900));
    assert!(parse(".ktl.yaml", &bomb).findings.iter().any(|finding| finding.code == "config-too-large"));
}

#[test]
fn the_published_schema_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../editors/schema/ktl.yaml.schema.json");
    let current = format!("{}\n", serde_json::to_string_pretty(&json_schema()).unwrap());
    if std::env::var_os("KTL_UPDATE").is_some() {
        std::fs::write(path, &current).unwrap();
    }
    let published = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        published, current,
        "run `KTL_UPDATE=1 cargo test -p ktl-chart schema` to publish the schema anew"
    );
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]
    #[test]
    fn no_text_makes_it_panic(text in "(releases:|\\n| {1,4}|- |name: |chart: |set: |apply|[\\[\\]{},&*!|>'\"%@`#:]|<<: |é|\\t|\\r|x|1|~|secret://)*") {
        for path in [".ktl.yaml", "stack.yaml", "release.yaml"] {
            let parsed = parse(path, &text);
            for finding in parsed.findings {
                let place = finding.place.unwrap();
                proptest::prop_assert!(text.get(place.span.range()).is_some_and(|shown| text.is_empty() || !shown.is_empty()), "{}", finding.message);
            }
        }
    }
}

#[test]
fn files_of_other_tools_with_our_names_are_left_alone() {
    for (path, text) in [
        ("release.yaml", "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nspec: {interval: 5m}\n"),
        ("release.yaml", "name: release\non: [push]\njobs: {}\n"),
        ("release.yaml", "{{- if .Values.on }}\nkind: ConfigMap\n{{- end }}\n"),
        ("stack.yaml", "version: '3.8'\nservices: {web: {image: nginx}}\n"),
        ("stack.yaml", "resolver: lts-22.7\npackages: [.]\nextra-deps: [a: b: c\n"),
        ("stack.yaml", "- a\n"),
    ] {
        assert_eq!(parse(path, text), Parsed::default(), "{path}: {text}");
        assert!(!describes_releases(path, text), "{path}: {text}");
        assert_eq!(help(path, text, 1), None, "{path}: {text}");
    }
}

#[test]
fn files_of_ours_are_known_by_their_format_or_by_what_they_hold() {
    for (path, text) in [
        ("release.yaml", "apiVersion: ktl.dev/v1\n"),
        ("release.yaml", "name: web\nchart: ./web\n"),
        ("web/stack.yaml", "apiVersion: ktl.dev/v1\nkind: Stack\n"),
        ("stack.yaml", "releases:\n"),
        (".ktl.yaml", ""),
        (".ktl.yaml", "services: {}\n"),
    ] {
        assert!(describes_releases(path, text), "{path}: {text}");
    }
}
