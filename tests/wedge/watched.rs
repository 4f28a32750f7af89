//! Files that other programs change on the disk. What is open in the editor stays what the editor has.

use ktl_proto::control::v1::Status;
use serde_json::{Value, json};

use crate::agent::{ended, finding};
use crate::editor::Editor;
use crate::profile;
use crate::scene::{CONFIG, FILES, Scene, apply, verdict};

const CREATED: u8 = 1;
const CHANGED: u8 = 2;
const DELETED: u8 = 3;
const VALUES: &str = FILES[2].1;

/// A scene whose one run failed at `3` in `values.yaml`.
fn failed() -> (Scene, Editor) {
    let failure = finding("values.yaml", VALUES, "3", "no");
    let scene = Scene::of(&FILES, vec![failure, ended(Status::Error)]);
    let mut editor = scene.editor(&profile::vscode());
    let session = apply(&mut editor, json!({}));
    verdict(&mut editor, &session);
    (scene, editor)
}

fn one(found: &[Value]) -> bool {
    found.len() == 1
}

#[test]
fn what_a_run_found_follows_a_file_on_the_disk() {
    let (scene, mut editor) = failed();
    let values = scene.uri("values.yaml");
    editor.diagnostics(&values, one);
    scene.write("values.yaml", &format!("# one line more\n{VALUES}"));
    scene.tell(&editor, &[("values.yaml", CHANGED)]);
    editor.diagnostics(&values, |found| one(found) && found[0]["range"]["start"]["line"] == 1);
    scene.remove("values.yaml");
    scene.tell(&editor, &[("values.yaml", DELETED)]);
    editor.diagnostics(&values, <[Value]>::is_empty);
    scene.write("values.yaml", VALUES);
    scene.tell(&editor, &[("values.yaml", CREATED)]);
    editor.diagnostics(&values, |found| one(found) && found[0]["range"]["start"]["line"] == 0);
    scene.write("values.yaml", "replicas: 4\n");
    scene.tell(&editor, &[("values.yaml", CHANGED)]);
    editor.diagnostics(&values, <[Value]>::is_empty);
    editor.quit();
}

#[test]
fn an_open_buffer_wins_over_the_disk_until_it_is_closed() {
    let (scene, mut editor) = failed();
    let values = scene.uri("values.yaml");
    scene.open(&editor, "values.yaml");
    editor.diagnostics(&values, one);
    scene.write("values.yaml", "replicas: 4\n");
    scene.tell(&editor, &[("values.yaml", CHANGED)]);
    // Whatever the change on the disk does is done before this is.
    editor.change(&values, 2, None, &format!("# mine\n{VALUES}"));
    editor.diagnostics(&values, |found| one(found) && found[0]["range"]["start"]["line"] == 1);
    editor.close(&values);
    editor.diagnostics(&values, <[Value]>::is_empty);
    editor.quit();
}

#[test]
fn lenses_follow_a_description_that_comes_and_goes_on_the_disk() {
    let (scene, mut editor) = failed();
    scene.open(&editor, "web/Chart.yaml");
    assert_eq!(scene.titles(&mut editor, "web/Chart.yaml"), [""; 0], "it is described");
    editor.take_all("workspace/codeLens/refresh");
    scene.remove(".ktl.yaml");
    scene.tell(&editor, &[(".ktl.yaml", DELETED)]);
    editor.receive("workspace/codeLens/refresh", |_| true);
    assert_eq!(scene.titles(&mut editor, "web/Chart.yaml"), ["Apply (default cluster/default)"]);
    scene.write(".ktl.yaml", CONFIG);
    scene.tell(&editor, &[(".ktl.yaml", CREATED)]);
    editor.receive("workspace/codeLens/refresh", |_| true);
    assert_eq!(scene.titles(&mut editor, "web/Chart.yaml"), [""; 0]);
    scene.write("web/values-dev.yaml", "");
    scene.tell(&editor, &[("web/values-dev.yaml", CREATED)]);
    editor.receive("workspace/codeLens/refresh", |_| true);
    editor.quit();
}

#[test]
fn a_layer_of_any_name_is_checked_once_the_disk_names_it() {
    let scene = Scene::of(&FILES, Vec::new());
    scene.write("envs/prod.yaml", "a: b: c\n");
    let mut editor = scene.editor(&profile::vscode());
    let layer = scene.uri("envs/prod.yaml");
    scene.open(&editor, "envs/prod.yaml");
    scene.write(".ktl.yaml", &CONFIG.replace("values.yaml", "envs/prod.yaml"));
    scene.tell(&editor, &[(".ktl.yaml", CHANGED)]);
    editor.diagnostics(&layer, one);
    // The buffer of the description wins over the disk, as every buffer does.
    editor.open(&scene.uri(".ktl.yaml"), CONFIG);
    editor.diagnostics(&layer, <[Value]>::is_empty);
    editor.close(&scene.uri(".ktl.yaml"));
    editor.diagnostics(&layer, one);
    scene.remove(".ktl.yaml");
    scene.tell(&editor, &[(".ktl.yaml", DELETED)]);
    editor.diagnostics(&layer, <[Value]>::is_empty);
    editor.quit();
}
