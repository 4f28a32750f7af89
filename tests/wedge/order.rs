//! Changes are applied in the order in which they were made.

use serde_json::Value;

use crate::editor::Editor;
use crate::ready;

/// A text in which every character counts: keys that `.ktl.yaml` does not know, each of them a finding of its own.
fn unknown_keys(count: usize) -> String {
    let key = |line: usize| format!("unknown-{line:03}-{}: 1", line * 7919 % 1000);
    (0..count).map(key).collect::<Vec<_>>().join("\n") + "\n"
}

/// What the server makes of a text that it gets in one piece.
fn diagnostics_of(editor: &mut Editor, uri: &str, text: &str) -> Vec<Value> {
    editor.open(uri, text);
    editor.diagnostics(uri, |list| !list.is_empty())
}

#[test]
fn two_thousand_changes_end_in_the_text_that_was_typed() {
    let mut editor = ready();
    let text = unknown_keys(110);
    assert!(text.len() >= 2_000, "{}", text.len());
    let whole = diagnostics_of(&mut editor, "file:///whole/.ktl.yaml", &text);
    assert!(whole.len() >= 110, "{whole:#?}");
    let typed = "file:///typed/.ktl.yaml";
    editor.open(typed, "");
    let (mut line, mut column) = (0, 0);
    for (version, character) in text.chars().enumerate() {
        editor.change(typed, version + 2, Some([line, column, line, column]), &character.to_string());
        (line, column) = if character == '\n' { (line + 1, 0) } else { (line, column + 1) };
    }
    let without_file = |list: &[Value]| -> Vec<String> {
        list.iter().map(|diagnostic| format!("{} {}", diagnostic["range"], diagnostic["message"])).collect()
    };
    let wanted = without_file(&whole);
    editor.diagnostics(typed, |list| without_file(list) == wanted);
    editor.quit();
}

#[test]
fn a_request_sees_every_change_that_came_before_it() {
    let mut editor = ready();
    let uri = "file:///w/values.yaml";
    editor.open(uri, "a: 1\n");
    for round in 0..500 {
        let text = if round % 2 == 0 { "a: b: c\n" } else { "a: 1\n" };
        editor.change(uri, round + 2, None, text);
    }
    editor.change(uri, 502, None, "a: b: c\n");
    let hover = editor.hover(uri);
    assert!(editor.response(hover).is_ok());
    editor.diagnostics(uri, |list| list.len() == 1);
    editor.change(uri, 503, None, "a: 1\n");
    editor.diagnostics(uri, <[Value]>::is_empty);
    editor.quit();
}
