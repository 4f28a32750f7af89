//! Syntax faults at their cause.

use ktl_fixtures::{Fixture, Mark, assert_marks};

use super::*;

#[track_caller]
fn check(source: &str) {
    let fixture = Fixture::parse(source);
    let (path, text) = fixture.only();
    let mut found = Vec::new();
    if let Some(problem) = problem(text) {
        let mut mark = |span: Span, text: &str| {
            found.push(Mark { place: Some((path.to_owned(), span.range())), text: text.to_owned() });
        };
        mark(problem.span, problem.words);
        if let Some((span, why)) = problem.related {
            mark(span, why);
        }
    }
    assert_marks(&fixture, &fixture.expected(), &found);
}

#[test]
fn a_quote_that_never_closes_is_blamed_where_it_opens() {
    check(
        "
image:
  tag: \"2.0
#      ^ found unexpected end of stream
  policy: Always
",
    );
}

#[test]
fn a_quote_that_closes_on_a_later_line_is_blamed_where_it_opens() {
    check(
        "
image:
  tag: '2.0
#      ^ did not find expected key
  policy: 'Always'
#          ^^^^^^^ here the text goes on
",
    );
}

#[test]
fn a_key_without_a_colon_is_the_word() {
    check(
        "
image:
  repository: nginx
  tag # later
# ^^^ could not find expected ':'
service:
  port: 80
",
    );
}

#[test]
fn a_bracket_that_never_closes_is_blamed_where_it_opens() {
    check(
        "
hosts: [a, b
#      ^ did not find expected ',' or ']'
port: 80
#   ^ a comma or the closing bracket was expected here
",
    );
}

#[test]
fn a_key_indented_too_far_is_the_key_and_the_value_it_continues() {
    check(
        "
image:
  tag: x
#      ^ so it continues this value
   foo: y
#  ^^^ mapping values are not allowed in this context
",
    );
}

#[test]
fn a_missing_space_after_a_colon_is_on_the_line_above() {
    check(
        "
image:
  tag:v1
# ^^^^^^ mapping values are not allowed in this context
  policy: Always
",
    );
}

#[test]
fn a_second_colon_is_that_colon() {
    check(
        "
msg: error: é failed
#         ^ mapping values are not allowed in this context
",
    );
}

#[test]
fn a_dedent_that_fits_nothing_is_the_word_behind_it() {
    check(
        "
b:
  c:
    - x: 1
      y: 2
     z: 3
#    ^ did not find expected '-' indicator
    - x: 2
",
    );
}

#[test]
fn a_list_item_among_keys_is_its_dash() {
    check(
        "
image:
  tag: x
- foo
#| did not find expected key
",
    );
}

#[test]
fn reserved_characters_and_tabs_are_themselves() {
    check(
        "
tag: @foo
#    ^ found character that cannot start any token
",
    );
    check(
        "
a:
\tb: 1
#| found character that cannot start any token
",
    );
}

#[test]
fn an_alias_without_a_name_is_its_star() {
    check(
        "
a: * b
#  ^ did not find expected alphabetic or numeric character
",
    );
}

#[test]
fn an_unknown_escape_is_backslash_and_letter() {
    check(
        r#"
a: "C:\Windows"
#     ^^ found unknown escape character
"#,
    );
}

#[test]
fn a_list_on_the_line_of_its_key_is_its_dash() {
    check(
        "
a: - b
#  ^ block sequence entries are not allowed in this context
",
    );
}

#[test]
fn a_control_character_is_found_though_libyaml_hides_its_place() {
    check(
        "
a: 1
b: x\u{1}y
#   ^ control characters are not allowed
",
    );
}

#[test]
fn line_ends_and_byte_order_marks_do_not_shift_places() {
    for text in [
        "\u{feff}image:\r\n  repository: é😀\r\n tag: x\r\n",
        "\u{feff}image:\n  repository: nginx\n tag: x\n",
        "image:\r\n  repository: é\r\n tag: x\r\n",
        "image:\r  repository: é\r tag: x\r",
    ] {
        assert_eq!(problem(text).unwrap().span.of(text), "tag", "{text:?}");
    }
}

#[test]
fn an_end_of_text_points_at_the_last_word() {
    let text = "a: {b: 1\n\n";
    let problem = problem(text).unwrap();
    assert_eq!(problem.span.of(text), "{");
    assert_eq!(problem.related.unwrap().0.of(text), "1");
}

#[test]
fn only_the_first_document_counts_and_the_second_is_seen() {
    let text = "a: 1\n---\nb: [\n";
    let scan = scan(text);
    assert_eq!(scan.problem, None);
    assert_eq!(scan.second_document.unwrap(), Span::new(5, 8));
    assert_eq!(super::scan("---\na: 1\n"), Scan::default());
}

#[test]
fn deep_nesting_ends_the_reading_and_says_where() {
    let text = "[".repeat(100_000);
    assert!(scan(&text).too_deep.is_some());
}

#[test]
fn fixes_mend() {
    for text in ["a: @foo\n", "a:\n  b:v1\n  c: 2\n", "a: `date`\n", "a: 1\nb:v1\nc: 2\n"] {
        let (_, span, new) = problem(text).unwrap().fix.unwrap();
        let mut mended = text.to_owned();
        mended.replace_range(span.range(), &new);
        assert_eq!(problem(&mended), None, "{mended}");
    }
}

#[test]
fn a_comma_that_is_missing_is_before_the_next_item() {
    check(
        "
ports: [80 http, \"a\" \"b\"]
#      ^ in this list
#                    ^^^ did not find expected ',' or ']'
",
    );
}

#[test]
fn a_dash_without_a_space_is_its_line() {
    check(
        "
a:
  -b
# ^^ mapping values are not allowed in this context
  -c: 1
",
    );
}

#[test]
fn texts_that_libyaml_chokes_on_are_survived() {
    for text in ["\"\\", "a: \"\\", "!%FF", "a: !<%ff%fe> b", "%TAG ! %E9\n---\n"] {
        if let Some(problem) = problem(text) {
            assert!(!problem.span.of(text).is_empty(), "{text:?}");
        }
    }
}
