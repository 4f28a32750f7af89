//! The tree of whole and half-typed texts; no text makes it panic.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

#[test]
fn spans_cover_what_is_written() {
    let text =
        "a:\n  b: 1\n  c:\n    - x\n    -\n  d:\ne: {x: [1, \"é\"]}\nf: |\n  text\n\ng: &g\n  - &h 1\n";
    let tree = Tree::parse(text);
    let root = tree.root().unwrap();
    let written = |key: &str| root.get(key).unwrap().span().of(text);
    assert_eq!(written("a"), "b: 1\n  c:\n    - x\n    -\n  d");
    assert_eq!(root.get("a").unwrap().get("c").unwrap().span().of(text), "- x\n    -");
    assert_eq!(written("e"), "{x: [1, \"é\"]}");
    assert_eq!(root.get("e").unwrap().get("x").unwrap().items().len(), 2);
    assert_eq!(written("f"), "text");
    assert_eq!(written("g"), "- &h 1");
    assert!(!tree.is_repaired());
}

#[test]
fn byte_order_marks_and_carriage_returns_do_not_shift_spans() {
    let text = "\u{feff}a: 😀\r\nb:\r\n  c: é # d\r\n";
    let tree = Tree::parse(text);
    let root = tree.root().unwrap();
    assert_eq!(root.entries().next().unwrap().span().of(text), "a: 😀");
    assert_eq!(root.get("b").unwrap().span().of(text), "c: é");
}

#[test]
fn keys_given_twice_stay_visible_and_the_last_counts() {
    let tree = Tree::parse("a: 1\na: 2\n");
    let root = tree.root().unwrap();
    assert_eq!(root.entries().len(), 2);
    assert_eq!(root.get("a").unwrap().text(), Some("2"));
}

#[test]
fn aliases_are_followed_and_merges_seen() {
    let text = "base: &b {x: 1, y: 2}\nmore: &m {z: 3}\nweb: {<<: [*b, *m], y: 4}\nsame: *b\nlost: *nope\n";
    let tree = Tree::parse(text);
    let root = tree.root().unwrap();
    let web = root.get("web").unwrap();
    let value = |key: &str| web.get(key).and_then(Node::text);
    assert_eq!((value("x"), value("y"), value("z"), value("q")), (Some("1"), Some("4"), Some("3"), None));
    let keys: Vec<_> = web.merged_entries().iter().filter_map(|entry| entry.key.text()).collect();
    assert_eq!(keys, ["y", "x", "z"]);
    assert_eq!(root.get("same").unwrap().get("x").unwrap().text(), Some("1"));
    assert_eq!(tree.unknown_aliases().iter().map(|span| span.of(text)).collect::<Vec<_>>(), ["*nope"]);
}

#[test]
fn maps_that_merge_themselves_or_each_other_a_thousand_times_end() {
    let tree = Tree::parse("a: &a {<<: *a, b: 1}\n");
    assert_eq!(tree.root().unwrap().get("a").unwrap().get("c").map(Node::span), None);
    let mut text = "m0: &m0 {x: 1}\n".to_owned();
    for level in 1..2000 {
        let below = level - 1;
        let _ = writeln!(text, "m{level}: &m{level} {{<<: [*m{below}, *m{below}]}}");
    }
    let tree = Tree::parse(&text);
    let last = tree.root().unwrap().get("m1999").unwrap();
    assert_eq!(last.get("x").and_then(Node::text), Some("1"));
    assert!(last.get("nope").is_none());
}

/// Half-typed texts, and the keys that must survive.
const HALF_TYPED: &[(&str, &[&str])] = &[
    ("a: 1\nb: \"open\nc: 3\n", &["a", "b", "c"]),
    ("a: 1\nb: [1, 2\nc: 3\n", &["a", "b", "c"]),
    ("a: 1\nb: {x: 1\nc: 3\n", &["a", "b", "c"]),
    ("a: 1\nb: x: y\nc: 3\n", &["a", "b", "c"]),
    ("a: 1\nb: @x\nc: 3\n", &["a", "b", "c"]),
    ("a: 1\nb: *\nc: 3\n", &["a", "b", "c"]),
    ("a: 1\nb: %x\nc: 3\n", &["a", "b", "c"]),
    ("a: 1\n b: 2\nc: 3\n", &["a", "c"]),
    ("a: 1\nb\nc: 3\n", &["a", "c"]),
    ("a: 1\nb:\n\tx: 1\nc: 3\n", &["a", "b", "c"]),
    ("a: 1\n- b\nc: 3\n", &["a", "c"]),
    ("a: 1\nb: 'it's'\nc: 3\n", &["a", "b", "c"]),
    ("a: 1\nb: {{ .Values.x }} y\nc: 3\n", &["a", "b", "c"]),
    ("a:\n  x: 1\n y: 2\nc: 3\n", &["a", "c"]),
    ("a: |x\n  y\nc: 3\n", &["a", "c"]),
    ("a: 1\r\nb: \"open\r\nc: 3\r\n", &["a", "b", "c"]),
    ("a: 1\nb: \"\\q\"\nc: 3\n", &["a", "b", "c"]),
    ("a: \"open\nb: [\nc: @\nd: 4\n", &["a", "b", "c", "d"]),
    ("a: \"open\nb: 1\nc: 2\nd: 3\ne: 4\nf: 5\ng: \"6\"\nh: 7\n", &["a", "b", "c", "d", "e", "f", "g", "h"]),
];

#[test]
fn half_typed_texts_keep_their_other_keys() {
    for (text, keys) in HALF_TYPED {
        let tree = Tree::parse(text);
        let root = tree.root().unwrap();
        assert!(tree.is_repaired(), "{text:?}");
        for key in *keys {
            let entry = root.entry(key).unwrap_or_else(|| panic!("{key} is lost from {text:?}"));
            assert_eq!(entry.key.span().of(text), *key, "{text:?}");
        }
        assert!(problem(text).is_some(), "libyaml takes {text:?}");
    }
}

/// Texts that are YAML, or are not, to everyone.
const AGREED: &[(&str, bool)] = &[
    (include_str!("../../../fixtures/config/full.yaml"), true),
    ("a: 1\nb:\n- x\n- y: z\n  w: |\n    text\n", true),
    ("a: &x {b: [1, 2]}\nc: *x\n<<: *x\n", true),
    ("\"quoted \\u00e9\": 'it''s'\n? complex\n: value\n", true),
    ("--- # first\na: >-\n  folded\n  text\n...\n", true),
    ("é: 😀\nempty:\nnull: ~\n", true),
    ("[1, {a: b}, [c]]\n", true),
    ("", true),
    ("a: [1, 2\n", false),
    ("a: \"open\n", false),
    ("a: b: c\n", false),
    ("a: 1\n b: 2\n", false),
    ("a:\n\t- b\n", false),
    ("a: @b\n", false),
    ("a: 'x' y\n", false),
    ("a: 1\n- b\n", false),
];

#[test]
fn three_parsers_agree_on_what_is_yaml() {
    for (text, is_yaml) in AGREED {
        assert_eq!(build::build(text).stopped.is_none(), *is_yaml, "granit on {text:?}");
        assert_eq!(problem(text).is_none(), *is_yaml, "libyaml on {text:?}");
        assert_eq!(yaml_rust2::YamlLoader::load_from_str(text).is_ok(), *is_yaml, "yaml-rust2 on {text:?}");
    }
}

/// The same content as another parser's tree; map keys and values in order.
fn agrees(node: Node<'_>, other: &yaml_rust2::Yaml) -> bool {
    use yaml_rust2::Yaml;
    match other {
        Yaml::Hash(entries) => {
            entries.len() == node.entries().len()
                && node
                    .entries()
                    .zip(entries)
                    .all(|(entry, (key, value))| agrees(entry.key, key) && agrees(entry.value, value))
        }
        Yaml::Array(items) => {
            items.len() == node.items().len() && node.items().zip(items).all(|(a, b)| agrees(a, b))
        }
        Yaml::String(text) => node.text() == Some(text),
        _ => node.text().is_some(),
    }
}

#[test]
fn the_tree_is_that_of_another_parser() {
    for (text, _) in AGREED.iter().filter(|(text, is_yaml)| *is_yaml && !text.is_empty()) {
        let tree = Tree::parse(text);
        let documents = yaml_rust2::YamlLoader::load_from_str(text).unwrap();
        assert!(agrees(tree.root().unwrap(), &documents[0]), "{text:?}");
    }
}

#[test]
fn helm_reads_scalars_as_yaml_1_1() {
    use scalar::{Scalar, plain};
    for (text, expected) in [
        ("yes", Scalar::Bool(true)),
        ("Off", Scalar::Bool(false)),
        ("y", Scalar::Bool(true)),
        ("0755", Scalar::Int(493)),
        ("0o17", Scalar::Int(15)),
        ("0x1F", Scalar::Int(31)),
        ("-0b11", Scalar::Int(-3)),
        ("1_000", Scalar::Int(1000)),
        ("+12", Scalar::Int(12)),
        ("1.20", Scalar::Float(1.2)),
        ("1e3", Scalar::Float(1000.0)),
        (".5", Scalar::Float(0.5)),
        ("-.inf", Scalar::Float(f64::NEG_INFINITY)),
        ("~", Scalar::Null),
        ("", Scalar::Null),
        ("1.27.3", Scalar::Text("1.27.3")),
        ("yEs", Scalar::Text("yEs")),
        ("nope", Scalar::Text("nope")),
        ("-", Scalar::Text("-")),
        ("--1", Scalar::Text("--1")),
        ("0x", Scalar::Text("0x")),
        ("09", Scalar::Float(9.0)),
        ("1-2", Scalar::Text("1-2")),
        ("é", Scalar::Text("é")),
        ("+é", Scalar::Text("+é")),
    ] {
        assert_eq!(plain(text), expected, "{text:?}");
    }
    let tree = Tree::parse("a: 'yes'\nb: !!str 1\nc: !!int 1\n");
    let types: Vec<_> =
        tree.root().unwrap().entries().filter_map(|entry| scalar::resolve(entry.value)).collect();
    assert_eq!(types, [Scalar::Text("yes"), Scalar::Text("1"), Scalar::Int(1)]);
}

fn services(count: usize) -> String {
    let mut text = String::new();
    for number in 0..count {
        let _ = write!(
            text,
            "service-{number}:\n  image:\n    repository: registry.example/team/service\n    tag: \"1.{number}\"\n  \
             replicas: 3\n  env:\n    - name: A\n      value: \"b\"\n  # a comment\n  resources: {{limits: {{cpu: 1}}}}\n"
        );
    }
    text
}

fn time(work: impl Fn()) -> Duration {
    (0..2)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .min()
        .unwrap_or_default()
}

#[test]
fn ten_thousand_lines_take_no_more_per_line_than_one_thousand() {
    let (short, long) = (services(100), services(1000));
    for broken in ["", "x: \"open\n"] {
        let (short, long) = (format!("{short}{broken}"), format!("{long}{broken}"));
        let work = |text: &str| {
            let _ = crate::values::check("values.yaml", text);
            let _ = Tree::parse(text);
        };
        let (one, ten) = (time(|| work(&short)), time(|| work(&long)));
        // Ten times the text; the rest is room for a busy machine.
        assert!(ten < one * 40, "{one:?} for 1,000 lines, {ten:?} for 10,000");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn no_text_makes_it_panic_and_every_span_lies_inside(
        text in "(a|b|: |:|\\n|  |- |\\[|\\]|\\{|\\}|,|\"|'|\\t|é|😀|\\*x|&x |<<: |\u{feff}|\\r|\u{1}|\u{85}|#|\\||>|!|%|@|`|---|\\.\\.\\.|\\?|\\\\)*",
    ) {
        let tree = Tree::parse(&text);
        for node in &tree.nodes {
            prop_assert!(text.get(node.span.range()).is_some(), "{:?} in {text:?}", node.span);
        }
        if let Some(problem) = problem(&text) {
            let shown = text.get(problem.span.range());
            prop_assert!(shown.is_some_and(|shown| !shown.is_empty()), "{problem:?} in {text:?}");
            if let Some((span, _)) = problem.related {
                prop_assert!(text.get(span.range()).is_some());
            }
            if let Some((_, span, _)) = problem.fix {
                prop_assert!(text.get(span.range()).is_some());
            }
        }
        for finding in crate::values::check("values.yaml", &text) {
            let span = finding.place.unwrap().span;
            prop_assert!(text.get(span.range()).is_some_and(|shown| !shown.is_empty()), "{} in {text:?}", finding.message);
        }
    }
}
