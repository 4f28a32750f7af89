//! Documents that are huge, oddly named, or changed where they have no text.

use serde_json::{Value, json};

use crate::editor::Editor;
use crate::{profile, ready, shipped, wire};

const VALUES: &str = "file:///w/values.yaml";

fn one_error(list: &[Value]) -> bool {
    list.len() == 1
}

#[test]
fn ranges_beyond_the_text_never_panic() {
    let mut editor = ready();
    for (number, range) in
        [[0, 999, 0, 999], [0, 0, 999, 999], [1, 0, 1, 0], [0, 0, 4_294_967_295, 4_294_967_295]]
            .into_iter()
            .enumerate()
    {
        let uri = format!("file:///w/{number}/values.yaml");
        editor.open(&uri, "ok: 1");
        editor.change(&uri, 2, Some(range), "\na: b: c\n");
        editor.diagnostics(&uri, one_error);
    }
    editor.quit();
}

#[test]
fn a_change_that_cannot_be_right_is_said_once_and_healed_by_the_whole_text() {
    let mut editor = ready();
    editor.open(VALUES, "a: b: c\n");
    editor.diagnostics(VALUES, one_error);
    editor.change(VALUES, 2, Some([700, 0, 700, 0]), "x");
    let message = editor.message("lost track");
    assert!(message.contains("/w/values.yaml") && message.contains("line 701"), "{message}");
    // Rather no diagnostic than one on a wrong line.
    editor.diagnostics(VALUES, <[Value]>::is_empty);
    editor.change(VALUES, 3, Some([0, 0, 0, 0]), "x");
    editor.change(VALUES, 4, None, "a: b: c\n");
    editor.diagnostics(VALUES, one_error);
    editor.change(VALUES, 5, Some([0, 5, 0, 2]), "x");
    editor.message("ends before it starts");
    editor.quit();
}

#[test]
fn a_change_that_cannot_be_read_is_said_once_and_healed_by_opening_the_file_again() {
    let mut editor = ready();
    editor.open(VALUES, "a: b: c\n");
    editor.diagnostics(VALUES, one_error);
    for version in 2..9 {
        let document = json!({ "uri": VALUES, "version": version });
        let change = json!({ "range": { "start": 7 }, "text": "x" });
        editor.notify(
            "textDocument/didChange",
            json!({ "textDocument": document, "contentChanges": [change] }),
        );
    }
    let message = editor.message("lost track");
    assert!(
        message.contains("/w/values.yaml") && message.contains("not what the protocol says"),
        "{message}"
    );
    editor.diagnostics(VALUES, <[Value]>::is_empty);
    editor.close(VALUES);
    editor.open(VALUES, "a: b: c\n");
    editor.diagnostics(VALUES, one_error);
    editor.quit();
}

#[test]
fn columns_count_in_the_units_that_were_agreed_on() {
    // Before the bad value stands a character of two UTF-16 units and four bytes.
    let text = "\"𝄞\": a: b\n";
    let mut columns = Vec::new();
    for (capabilities, value) in [(profile::vscode(), 6), (profile::neovim(), 8)] {
        let mut editor = Editor::ready(shipped(), &capabilities);
        editor.open(VALUES, text);
        let found = editor.diagnostics(VALUES, one_error);
        columns.push(found[0]["range"]["start"]["character"].as_u64().unwrap());
        // An edit must hit the same place.
        editor.change(VALUES, 2, Some([0, value, 0, value + "a: b".len()]), "1");
        editor.diagnostics(VALUES, <[Value]>::is_empty);
        editor.quit();
    }
    assert_eq!(columns[1], columns[0] + 2);
}

#[test]
fn uris_as_editors_write_them_are_taken() {
    let mut editor = ready();
    for (sent, published) in [
        ("file:///w/a b/values.yaml", "file:///w/a%20b/values.yaml"),
        ("file:///w/[x]/values.yaml", "file:///w/%5Bx%5D/values.yaml"),
        ("file:///w/ü/values.yaml", "file:///w/%C3%BC/values.yaml"),
        ("file:///w/{b}/100%/values.yaml", "file:///w/%7Bb%7D/100%25/values.yaml"),
        ("untitled:values.yaml", "untitled:values.yaml"),
    ] {
        editor.open(sent, "a: b: c\n");
        editor.diagnostics(published, one_error);
        editor.close(sent);
        editor.diagnostics(published, <[Value]>::is_empty);
    }
    editor.quit();
}

#[test]
fn a_document_of_100_megabytes_is_taken_and_edited_and_delays_nothing_for_good() {
    let mut editor = ready();
    let line = "key: value of a line that is sixty-four bytes long, breaks too\\n";
    let lines = (100 << 20) / line.len();
    let mut message =
        br#"{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{"textDocument":{"uri":"file:///big/values.yaml","languageId":"yaml","version":1,"text":""#
            .to_vec();
    for _ in 0..lines {
        message.extend_from_slice(line.as_bytes());
    }
    message.extend_from_slice(br#""}}}"#);
    assert!(message.len() >= 100 << 20);
    editor.raw(wire::frame(&message));
    drop(message);
    editor.open(VALUES, "a: b: c\n");
    editor.diagnostics(VALUES, one_error);
    // What is not checked says so.
    editor.receive("window/logMessage", |params| {
        params["message"].as_str().is_some_and(|said| said.contains("16 MiB"))
    });
    // Its end is where we think it is: one line further is one too far.
    editor.change("file:///big/values.yaml", 2, Some([lines, 0, lines, 0]), "a: 1\n");
    let hover = editor.hover("file:///big/values.yaml");
    assert_eq!(editor.response(hover), Ok(Value::Null));
    editor.change("file:///big/values.yaml", 3, Some([lines + 3, 0, lines + 3, 0]), "x");
    editor.message("lost track");
    editor.close("file:///big/values.yaml");
    editor.quit();
}

#[test]
fn the_same_document_may_be_opened_and_closed_in_any_order() {
    let mut editor = ready();
    editor.close(VALUES);
    editor.open(VALUES, "a: 1\n");
    editor.open(VALUES, "a: b: c\n");
    editor.diagnostics(VALUES, one_error);
    editor.close(VALUES);
    editor.diagnostics(VALUES, <[Value]>::is_empty);
    editor.close(VALUES);
    editor.open(VALUES, "a: b: c\n");
    editor.diagnostics(VALUES, one_error);
    editor.quit();
}
