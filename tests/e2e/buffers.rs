//! The text that the user sees is the text that runs, and findings stay with it.

use serde_json::{Value, json};

use crate::story::{Story, apply, findings, verdict};

const VALUES: &str = "values/dev.yaml";
const GOOD: &str = "replicas: 1\n";

#[test]
fn a_file_that_is_broken_on_disk_and_mended_in_its_buffer_is_applied_as_mended() {
    let Some(story) = Story::begin("mended", &["web", "broken-values"]) else { return };
    let mut editor = story.editor();
    editor.open(&story.workspace.uri(VALUES), GOOD);
    let started = apply(&mut editor, json!({ "release": "web" }));
    let verdict = verdict(&mut editor, &started);
    assert!(verdict.contains("done"), "{verdict}");
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
    verdict(&mut editor, &started);
    let found = findings(&mut editor, &uri, &started);
    story.workspace.assert_found(VALUES, &found);
    editor.quit();
}

#[test]
fn findings_move_with_their_lines_survive_a_restart_and_go_with_their_cause() {
    let Some(story) = Story::begin("moves", &["web", "wrong-type"]) else { return };
    let uri = story.workspace.uri(VALUES);
    let mut editor = story.editor();
    story.open(&editor, VALUES);
    let started = apply(&mut editor, json!({ "release": "web" }));
    verdict(&mut editor, &started);
    let found = findings(&mut editor, &uri, &started);
    story.workspace.assert_found(VALUES, &found);

    let above = "# one\n# two\n";
    editor.change(&uri, 2, Some([0, 0, 0, 0]), above);
    let moved = editor.diagnostics(&uri, |moved| !moved.is_empty() && line(moved) == line(&found) + 2);
    assert_eq!(moved[0]["message"], found[0]["message"]);
    editor.quit();

    // The next editor reads what was saved: the same finding, two lines further down.
    story.workspace.write(VALUES, &format!("{above}{}", story.workspace.text(VALUES)));
    let mut editor = story.editor();
    let again = findings(&mut editor, &uri, &started);
    assert_eq!(again, moved);

    story.open(&editor, VALUES);
    let [line, start, _, end] = range(&again);
    editor.change(&uri, 2, Some([line, start, line, end]), "\"2\"");
    editor.diagnostics(&uri, <[Value]>::is_empty);
    editor.quit();
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
