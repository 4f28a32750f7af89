//! The text that the user sees is the text that runs, and findings stay with it.

use serde_json::{Value, json};

use crate::editor::Editor;
use crate::story::{Started, Story, apply, progress_end};

const VALUES: &str = "values/dev.yaml";
const GOOD: &str = "replicas: 1\n";

#[test]
fn a_file_that_is_broken_on_disk_and_mended_in_its_buffer_is_applied_as_mended() {
    let Some(story) = Story::begin("mended", &["web", "broken-values"]) else { return };
    let mut editor = story.editor();
    editor.open(&story.workspace.uri(VALUES), GOOD);
    let started = apply(&mut editor, json!({ "release": "web" }));
    let end = progress_end(&mut editor);
    assert!(end.contains("done"), "{end}");
    assert_eq!(story.agent().session(&started.session)["status"], "STATUS_DONE");
    editor.quit();
}

#[test]
fn a_file_that_is_good_on_disk_and_broken_in_its_buffer_fails_on_the_line_of_the_buffer() {
    let Some(story) = Story::begin("unsaved", &["web", "broken-values"]) else { return };
    story.workspace.write(VALUES, GOOD);
    let mut editor = story.editor();
    let uri = story.workspace.uri(VALUES);
    editor.open(&uri, GOOD);
    editor.change(&uri, 2, None, story.workspace.text(VALUES));
    let started = apply(&mut editor, json!({ "release": "web" }));
    let found = editor.diagnostics(&uri, |found| is_of(found, &started));
    story.workspace.assert_found(VALUES, &found);
    progress_end(&mut editor);
    editor.take_all("window/showMessage");
    editor.quit();
}

#[test]
fn findings_move_with_their_lines_survive_a_restart_and_go_with_their_cause() {
    let Some(story) = Story::begin("moves", &["web", "wrong-type"]) else { return };
    let uri = story.workspace.uri(VALUES);
    let mut editor = story.editor();
    story.open(&editor, VALUES);
    let started = apply(&mut editor, json!({ "release": "web" }));
    progress_end(&mut editor);
    let found = editor.diagnostics(&uri, |found| is_of(found, &started));
    story.workspace.assert_found(VALUES, &found);

    let above = "# one\n# two\n";
    editor.change(&uri, 2, Some([0, 0, 0, 0]), above);
    let moved = editor.diagnostics(&uri, |moved| is_of(moved, &started) && line(moved) == line(&found) + 2);
    assert_eq!(moved[0]["message"], found[0]["message"]);
    leave(editor);

    // The next editor reads what was saved: the same finding, two lines further down.
    story.workspace.write(VALUES, &format!("{above}{}", story.workspace.text(VALUES)));
    let mut editor = story.editor();
    let again = editor.diagnostics(&uri, |again| is_of(again, &started));
    assert_eq!(again, moved);

    story.open(&editor, VALUES);
    let [line, start, _, end] = range(&again);
    editor.change(&uri, 2, Some([line, start, line, end]), "\"2\"");
    editor.diagnostics(&uri, <[Value]>::is_empty);
    leave(editor);
}

fn leave(mut editor: Editor) {
    editor.take_all("window/showMessage");
    editor.quit();
}

fn is_of(found: &[Value], started: &Started) -> bool {
    found.iter().any(|diagnostic| diagnostic["data"]["sessionId"] == started.session.as_str())
}

fn line(found: &[Value]) -> usize {
    range(found)[0]
}

/// The range of the only diagnostic.
#[track_caller]
fn range(found: &[Value]) -> [usize; 4] {
    let [only] = found else { panic!("expected one diagnostic in {found:#?}") };
    let number = |end: &str, axis: &str| {
        let number = only["range"][end][axis].as_u64().expect("a position");
        usize::try_from(number).unwrap()
    };
    [number("start", "line"), number("start", "character"), number("end", "line"), number("end", "character")]
}
