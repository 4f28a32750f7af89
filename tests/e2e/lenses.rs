//! What the editor offers on a release: lenses, and the same as code actions.

use serde_json::{Value, json};

use crate::editor::Editor;
use crate::story::{Started, Story, verdict};

const CONFIG: &str = ".ktl.yaml";

#[test]
fn a_lens_applies_and_afterwards_offers_the_replay() {
    let Some(story) = Story::begin("lens", &["web"]) else { return };
    let mut editor = story.editor();
    story.open(&editor, CONFIG);
    let before = lenses(&mut editor, &story);
    let [lens] = before.as_slice() else { panic!("one lens on one release: {before:#?}") };
    let title = lens["title"].as_str().expect("a title");
    assert!(title.starts_with("Apply (") && title.contains(story.namespace.name()), "{title}");
    let started = carry_out(&mut editor, lens);
    let said = verdict(&mut editor, &started);
    assert!(said.contains("done"), "{said}");

    editor.receive("workspace/codeLens/refresh", |_| true);
    let after = lenses(&mut editor, &story);
    let titles: Vec<&str> = after.iter().filter_map(|lens| lens["title"].as_str()).collect();
    assert_eq!(titles, [title, "Replay: done just now"]);
    assert_eq!(actions(&mut editor, &story, 1), after, "the same, for editors without lenses");
    assert_eq!(actions(&mut editor, &story, 0), Vec::<Value>::new(), "not beside the entry");
    editor.quit();
}

#[test]
fn what_runs_offers_its_cancel() {
    let Some(story) = Story::begin("lens-cancel", &["web", "gated"]) else { return };
    let mut editor = story.editor();
    story.open(&editor, CONFIG);
    let lens = lenses(&mut editor, &story).remove(0);
    let started = carry_out(&mut editor, &lens);
    story.namespace.wait_for_gate();
    let cancel = lenses(&mut editor, &story).remove(0);
    assert!(cancel["title"].as_str().is_some_and(|title| title.starts_with("Cancel")), "{cancel}");
    assert_eq!(carry_out(&mut editor, &cancel), started);
    let said = verdict(&mut editor, &started);
    assert!(said.contains("cancelled"), "{said}");
    editor.quit();
}

#[test]
fn with_several_releases_nothing_starts_and_they_are_offered() {
    let Some(story) = Story::begin("several", &["web"]) else { return };
    let two = "releases:\n  - name: one\n    chart: ./charts/web\n  - name: two\n    chart: ./charts/web\n";
    story.workspace.write(CONFIG, two);
    let mut editor = story.editor();
    let answer = editor.call("workspace/executeCommand", json!({ "command": "ktl.apply" })).unwrap();
    assert_eq!(answer["sessionId"], Value::Null);
    let names: Vec<&Value> =
        answer["choices"].as_array().expect("choices").iter().map(|choice| &choice["release"]).collect();
    assert_eq!(names, ["one", "two"]);
    let asked = editor.receive("window/showMessageRequest", |_| true);
    assert_eq!(asked["params"]["actions"].as_array().map(Vec::len), Some(2), "{asked}");
    assert!(!story.state().exists(), "not even an agent");
    editor.quit();
}

/// The commands of the lenses of `.ktl.yaml`.
fn lenses(editor: &mut Editor, story: &Story) -> Vec<Value> {
    let params = json!({ "textDocument": { "uri": story.workspace.uri(CONFIG) } });
    let lenses = editor.call("textDocument/codeLens", params).expect("lenses");
    lenses.as_array().expect("a list").iter().map(|lens| lens["command"].clone()).collect()
}

/// The commands that are offered as code actions on a line.
fn actions(editor: &mut Editor, story: &Story, line: u32) -> Vec<Value> {
    let place = json!({ "line": line, "character": 0 });
    let params = json!({
        "textDocument": { "uri": story.workspace.uri(CONFIG) },
        "range": { "start": place, "end": place },
        "context": { "diagnostics": [] },
    });
    let actions = editor.call("textDocument/codeAction", params).expect("actions");
    actions.as_array().expect("a list").clone()
}

/// Does what a click does.
fn carry_out(editor: &mut Editor, command: &Value) -> Started {
    let params = json!({ "command": command["command"], "arguments": command["arguments"] });
    let answer = editor.call("workspace/executeCommand", params).expect("the command is accepted");
    let session = answer["sessionId"].as_str().unwrap_or_else(|| panic!("no session in {answer}")).to_owned();
    Started { session, url: String::new() }
}
