//! Faults of values files on their places.

use ktl_fixtures::{Fixture, assert_marks};

use super::*;

#[track_caller]
fn check_fixture(source: &str) {
    let fixture = Fixture::parse(source);
    let (path, text) = fixture.only();
    assert_marks(&fixture, &fixture.expected(), &crate::tests::marks(&check(path, text)));
}

#[test]
fn good_values_are_good() {
    check_fixture("# only a comment\n");
    assert_eq!(check("values.yaml", ""), []);
    check_fixture("a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n  e: !!str 1\n");
    check_fixture("\u{feff}ports:\n  80: http\n");
}

#[test]
fn syntax_is_reported_with_a_hint_and_a_second_place() {
    check_fixture(
        "
hosts: [a
#      ^ error: did not find expected ',' or ']': this `[` is not closed
port: 80
#   ^ related: a comma or the closing bracket was expected here
",
    );
}

#[test]
fn a_template_in_values_is_no_value() {
    check_fixture(
        "
image:
  tag: {{ .Chart.AppVersion }}
#      ^^^^^^^^^^^^^^^^^^^^^^^ error: invalid map key: helm does not evaluate…
",
    );
}

#[test]
fn what_json_cannot_say_is_an_error() {
    check_fixture(
        "
[a]: 1
#<^ error: invalid map key: a key must be text, not a map or list
",
    );
    check_fixture(
        "
a: .inf
#  ^^^^ error: helm turns values into JSON, which has no infinity…
b: '.inf'
",
    );
}

#[test]
fn a_top_that_is_no_map_is_an_error() {
    check_fixture("- a\n#<^ error: helm reads this file as a map, and it is a list…\n- b\n");
    check_fixture("just text\n#<^^^^^^^ error: helm reads this file as a map, and it is a single value…\n");
}

#[test]
fn unknown_aliases_and_merges_of_no_map_are_errors() {
    check_fixture(
        "
a: *b
#  ^^ error: unknown anchor 'b' referenced…
c:
  <<: 1
#     ^ error: map merge requires map or sequence of maps as the value
",
    );
}

#[test]
fn keys_given_twice_and_second_documents_are_warnings() {
    check_fixture(
        "
a: 1
#| related: first given here, without effect
a: 2
#| warning: `a` is given twice in this map; the last one counts
---
#<^ warning: helm reads only the first document…
b: 1
",
    );
}

#[test]
fn a_text_of_absurd_size_says_so_at_once() {
    let text = "é: 1\n".repeat(MAX_BYTES / 6 + 1);
    let findings = check("values.yaml", &text);
    assert_eq!(findings[0].code, "values-too-large");
    assert!(findings[0].message.contains("16777216 bytes"), "{}", findings[0].message);
}

#[test]
fn deep_nesting_is_a_note_and_no_error() {
    let text = format!("a: {}{}", "[".repeat(250), "]".repeat(250));
    let findings = check("values.yaml", &text);
    assert!(findings.iter().all(|finding| finding.severity == Severity::Information), "{findings:?}");
    assert_eq!(findings.len(), 1);
}

#[test]
fn what_a_tag_or_an_alias_cannot_be_is_an_error() {
    check_fixture(
        "
a: !!int abc
#        ^^^ error: cannot decode !!str `abc` as a !!int…
b: &x
  c: [1, *x]
#        ^^ error: anchor 'x' value contains itself…
d: &one 1
e:
  <<: *one
#     ^^^^ error: map merge requires map or sequence of maps as the value
",
    );
}

#[test]
fn references_to_secrets_are_values_and_no_prose() {
    let fixture = Fixture::parse(
        "
# secret://in/a/comment
db:
  password: secret://local/db
#           ^^^^^^^^^^^^^^^^^ error: `secret://` values are not supported yet…
  help: write secret://local/db
list: [&a \"secret:///x\", *a]
#         ^^^^^^^^^^^^^ error: `secret://` values are not supported yet…
",
    );
    let (path, text) = fixture.only();
    assert_marks(&fixture, &fixture.expected(), &crate::tests::marks(&secret_references(path, text)));
}
