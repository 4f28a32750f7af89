//! yaml-rust2 as a second opinion: another parser, by other people, must see the same keys and values in a text.
//!
//! It is asked about structure and scalar text only: places and error words are libyaml's business, and what a scalar
//! means is Helm's.

use proptest::prelude::*;
use yaml_rust2::parser::{Event, EventReceiver, Parser};
use yaml_rust2::{Yaml, YamlEmitter, yaml::Hash};

use super::{Kind, Node, Tree, problem};

/// What both parsers are asked for: the document as one line of brackets and scalars.
#[derive(Default)]
struct Outline(Vec<String>);

impl Outline {
    fn scalar(&mut self, text: &str) {
        // Nothing at all is nothing to us, and `~` to the other.
        self.0.push(format!("{:?}", if text == "~" { "" } else { text }));
    }

    fn sign(&mut self, sign: &str) {
        self.0.push(sign.to_owned());
    }
}

impl EventReceiver for Outline {
    fn on_event(&mut self, event: Event) {
        match event {
            Event::Scalar(text, ..) => self.scalar(&text),
            Event::Alias(_) => self.sign("*"),
            Event::SequenceStart(..) => self.sign("["),
            Event::SequenceEnd => self.sign("]"),
            Event::MappingStart(..) => self.sign("{"),
            Event::MappingEnd => self.sign("}"),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart
            | Event::DocumentEnd => {}
        }
    }
}

fn theirs(text: &str) -> Result<Vec<String>, String> {
    let mut outline = Outline::default();
    Parser::new_from_str(text).load(&mut outline, false).map_err(|error| error.to_string())?;
    Ok(outline.0)
}

fn ours(text: &str) -> Vec<String> {
    let tree = Tree::parse(text);
    let mut outline = Outline::default();
    if let Some(root) = tree.root() {
        walk(root, &mut outline);
    }
    outline.0
}

fn walk(node: Node<'_>, outline: &mut Outline) {
    match node.kind() {
        Kind::Scalar(text, _) => outline.scalar(text),
        Kind::Alias => outline.sign("*"),
        Kind::Sequence => {
            outline.sign("[");
            node.items().for_each(|item| walk(item, outline));
            outline.sign("]");
        }
        Kind::Mapping => {
            outline.sign("{");
            for entry in node.entries() {
                walk(entry.key, outline);
                walk(entry.value, outline);
            }
            outline.sign("}");
        }
    }
}

#[test]
fn both_see_the_same_in_what_people_write() {
    for text in [
        "a: 1\nb: two words\n",
        "image:\n  repository: nginx\n  tag: \"1.25\"\nports: [80, 443]\n",
        "list:\n- a\n- b: 1\n  c: 2\n-\n",
        "empty:\nnull: ~\nquoted: ''\n",
        "text: |\n  one\n  two\nfolded: >-\n  one\n  two\n",
        "base: &base {cpu: 1}\nweb:\n  <<: *base\n  cpu: 2\n",
        "\"a b\": 'it''s'\n? complex\n: value\n",
        "url: http://x:80/y#z # a comment\nescape: \"\\u00e9\\n\"\n",
        "---\na: ü𝄞\n...\n",
        "a:\r\n  b: c\r\n",
    ] {
        assert_eq!(problem(text), None, "{text:?}");
        assert_eq!(theirs(text), Ok(ours(text)), "{text:?}");
    }
}

#[test]
fn both_refuse_what_is_broken() {
    for text in
        ["a: b: c\n", "a: [1, 2\n", "a: \"open\n", "a: 1\n b: 2\n", "- a\nb: 1\n", "a: *nobody\n", "a: @x\n"]
    {
        let unknown_alias = !Tree::parse(text).unknown_aliases().is_empty();
        assert!(problem(text).is_some() || unknown_alias, "we take {text:?}");
        assert!(theirs(text).is_err(), "yaml-rust2 takes {text:?}");
    }
}

fn document() -> impl Strategy<Value = Yaml> {
    let word = "[a-z][a-z0-9 _.:#'\"-]{0,12}";
    let leaf = prop_oneof![
        word.prop_map(Yaml::String),
        any::<i32>().prop_map(|number| Yaml::Integer(number.into())),
        any::<bool>().prop_map(Yaml::Boolean),
        Just(Yaml::Null),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        let pairs = prop::collection::vec((word, inner.clone()), 1..5);
        prop_oneof![
            prop::collection::vec(inner, 1..5).prop_map(Yaml::Array),
            pairs.prop_map(|pairs| {
                Yaml::Hash(pairs.into_iter().map(|(key, value)| (Yaml::String(key), value)).collect::<Hash>())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn what_yaml_rust2_writes_we_read_as_it_does(document in document()) {
        let mut text = String::new();
        YamlEmitter::new(&mut text).dump(&document).unwrap();
        prop_assert_eq!(problem(&text), None, "{}", &text);
        prop_assert_eq!(theirs(&text), Ok(ours(&text)), "{}", &text);
    }
}
