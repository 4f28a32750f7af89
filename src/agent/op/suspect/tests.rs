//! Which values may be secret, by what templates say about them.

use std::fmt::Write as _;

use super::*;
use crate::{op::apply::fixture, sources::SourcePath};

const SECRET: &str = "kind: Secret\nstringData:\n  note: {{ .Values.db.note }}\n";

fn sources(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

fn found(files: &[(&str, &str)], set: &[(SetKind, &str)]) -> Suspects {
    let set = set.iter().map(|(kind, text)| SetValue { kind: *kind, expression: (*text).to_owned() });
    let config_path = Some(SourcePath::parse(".ktl.yaml").unwrap());
    Suspects::find(&sources(files), &ApplyRequest { set: set.collect(), config_path, ..fixture::request() })
}

/// What is suspected in `text` as the values of a chart with a Secret.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let suspects = found(&[("chart/templates/secret.yaml", SECRET), ("values/dev.yaml", text)], &[]);
    let places = suspects.in_file("values/dev.yaml").iter().map(|place| &text[place.clone()]);
    assert_eq!(places.collect::<Vec<_>>(), expected, "in {text:?}");
}

#[test]
fn leaves_that_a_secret_mentions_are_suspected_and_others_are_not() {
    check("db:\n  note: canary\n  host: web\nnote: other\n", &["canary"]);
    check("db: { note: 'it', on: true }", &["it"]);
    check("db:\n  note:\n    deep: [4711, true, ~]\n", &["4711"]);
    check("sub:\n  db:\n    note: |\n      one\n      two\n", &["one\n      two"]);
    check("db: canary\n", &["canary"]);
    check("a: &a { note: canary }\ndb: *a\n", &["canary"]);
    check("a: &a { note: canary }\ndb:\n  <<: *a\n  host: web\n", &["canary"]);
}

#[test]
fn a_text_that_is_no_tree_hides_what_stands_under_the_name() {
    let text =
        "db:\n  note: canary-1\n  host: web\n broken: [\nx: {note: canary-2}\nnote:\n  - canary-3\ny: 1\n";
    let suspects = found(&[("chart/templates/secret.yaml", SECRET), ("values.yaml", text)], &[]);
    let shown = crate::mask::Masker::new([]).mask_source(text, suspects.in_file("values.yaml")).into_inner();
    assert!(!shown.contains("canary"), "{shown}");
    assert!(shown.contains("host: web") && shown.contains("y: 1"), "{shown}");
}

#[test]
fn what_is_set_is_suspected_where_it_is_written() {
    let config =
        "releases:\n- name: note\n  set:\n    db.note: canary-1\n  setString: ['db.note=canary-2', 'a=b']\n";
    let files = [("t/templates/s.yaml", SECRET), (".ktl.yaml", config)];
    let suspects = found(&files, &[(SetKind::Set, "a=1,db.note={canary-3,x}"), (SetKind::Set, "a=innocent")]);
    let places: Vec<&str> =
        suspects.in_file(".ktl.yaml").iter().map(|place| &config[place.clone()]).collect();
    assert_eq!(places, ["canary-1", "db.note=canary-2"]);
    let values: Vec<&str> = suspects.values().collect();
    assert!(values.contains(&"canary-3") && !values.contains(&"innocent"), "{values:?}");
}

#[test]
fn files_that_may_become_a_secret_are_suspected_as_a_whole() {
    let files = [("c/templates/s.yaml", SECRET), ("c/key.txt", "canary"), ("c/values.yaml", "a: 1")];
    assert!(found(&files, &[]).in_file("c/key.txt").is_empty());
    let set = [(SetKind::File, "db.note=c/key.txt")];
    assert_eq!(found(&files, &set).in_file("c/key.txt"), std::slice::from_ref(&(0..6)));
    let files = [("c/templates/s.yaml", "kind: Secret\na: {{ .Files.Get \"key.txt\" }}"), files[1], files[2]];
    let suspects = found(&files, &[]);
    assert_eq!((suspects.in_file("c/key.txt").len(), suspects.in_file("c/values.yaml").len()), (1, 0));
}

#[test]
fn a_value_that_is_a_template_mentions_others() {
    let text = "db: { note: '{{ .Values.other }}' }\nother: canary\nmore: 1\n";
    check(text, &["{{ .Values.other }}", "canary"]);
}

#[test]
fn aliases_without_end_hide_the_whole_file() {
    let mut text = "a0: &a0 [x, x]\n".to_owned();
    for level in 1..30 {
        writeln!(text, "a{level}: &a{level} [*a{0}, *a{0}]", level - 1).unwrap();
    }
    check(&text, &[&text]);
}
