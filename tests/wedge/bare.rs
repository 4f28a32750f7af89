//! A chart at the root of the workspace that no `.ktl.yaml` describes, among files of other tools with names like ours.

use ktl_proto::control::v1::Status;
use serde_json::{Value, json};

use crate::agent::{ended, finding};
use crate::profile;
use crate::scene::{Scene, verdict};

const DEV: &str = "replicas: many\n";

const FILES: [(&str, &str); 6] = [
    ("Chart.yaml", "apiVersion: v2\nname: shop\nversion: 0.1.0\n"),
    ("values.yaml", "replicas: 1\n"),
    ("values-dev.yaml", DEV),
    ("templates/release.yaml", "name: {{ .Release.Name }}\nchart: none of ours\n"),
    ("stack.yaml", "version: '3.8'\nservices:\n  web: { image: nginx }\n"),
    ("charts/db/Chart.yaml", "apiVersion: v2\nname: db\nversion: 0.1.0\n"),
];

#[test]
fn a_lens_applies_it_with_a_layer_and_what_fails_is_shown_in_its_files() {
    let failure = finding("values-dev.yaml", DEV, "many", "expected integer, but got string");
    let scene = Scene::of(&FILES, vec![failure, ended(Status::Error)]);
    let mut editor = scene.editor(&profile::vscode());
    for (file, _) in FILES {
        scene.open(&editor, file);
    }
    // What is not saved is what is sent.
    editor.change(&scene.uri("values.yaml"), 2, None, "replicas: 2\n");
    let lenses = scene.lenses(&mut editor, "Chart.yaml");
    let titles: Vec<_> = lenses.iter().map(|lens| lens["command"]["title"].as_str().unwrap()).collect();
    let place = "(default cluster/default)";
    assert_eq!(titles, [format!("Apply {place}"), format!("Apply with values-dev.yaml {place}")]);
    for file in ["charts/db/Chart.yaml", "stack.yaml", "templates/release.yaml"] {
        assert_eq!(scene.titles(&mut editor, file), [""; 0], "{file}");
    }

    let answer = editor.call("workspace/executeCommand", lenses[1]["command"].clone()).unwrap();
    let session = answer["sessionId"].as_str().unwrap().to_owned();
    let said = verdict(&mut editor, &session);
    assert!(said.contains("shop in scripted/default failed"), "{said}");
    let apply = scene.agent.apply();
    assert_eq!((apply.release.as_str(), apply.chart.as_str(), apply.config_path.as_str()), ("shop", ".", ""));
    assert_eq!(apply.values, ["values-dev.yaml"]);
    let mut sent: Vec<_> = scene.agent.sources().into_iter().collect();
    let mut expected: Vec<_> = FILES.map(|(file, text)| (file.to_owned(), text.to_owned())).into();
    expected[1].1 = "replicas: 2\n".to_owned();
    sent.sort();
    expected.sort();
    assert_eq!(sent, expected);

    let found = editor.diagnostics(&scene.uri("values-dev.yaml"), |found| !found.is_empty());
    assert_eq!(found[0]["data"]["sessionId"], session);
    assert_eq!(found[0]["range"]["start"], json!({ "line": 0, "character": 10 }));
    let titles = scene.titles(&mut editor, "Chart.yaml");
    assert!(titles.len() == 3 && titles[2].starts_with("Replay: failed"), "{titles:?}");
    editor.quit();
}

#[test]
fn it_is_the_only_release_of_its_workspace_and_files_of_other_tools_are_not_checked() {
    let scene = Scene::of(&FILES, vec![ended(Status::Done)]);
    let mut editor = scene.editor(&profile::vscode());
    for (file, _) in FILES {
        scene.open(&editor, file);
    }
    let apply = editor.execute("ktl.apply", json!({}));
    let session = editor.response(apply).unwrap()["sessionId"].as_str().unwrap().to_owned();
    verdict(&mut editor, &session);
    assert_eq!(scene.agent.apply().values, [""; 0]);
    for file in ["stack.yaml", "templates/release.yaml"] {
        let quiet = editor.hover(&scene.uri(file));
        assert_eq!(editor.response(quiet), Ok(Value::Null), "{file}");
        assert!(!editor.was_diagnosed(&scene.uri(file)), "{file}");
    }
    editor.quit();
}
