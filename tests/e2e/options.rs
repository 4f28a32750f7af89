//! The options of a release arrive at helm, whose own they are.

use std::fs;

use serde_json::{Value, json};

use crate::story::{Helm, Story, apply, facts, findings, verdict};
use crate::terminal::run;

const CONFIG: &str = ".ktl.yaml";

#[test]
fn every_kind_of_set_arrives_as_helm_reads_it() {
    for (helm, name) in [(Helm::V4, "flags"), (Helm::V3, "flags3")] {
        let Some(story) = Story::with_helm(helm, name, &["web", "flags"]) else { return };
        let ran = run(&story, &["apply"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let map =
            story.namespace.kubectl(&["get", "configmap", "flags", "--output", "jsonpath={.data.flags}"]);
        let flags: Value = serde_json::from_str(&map.unwrap()).unwrap();
        let expected = json!({
            "set": "a,b",
            "number": 7,
            "string": "7",
            "json": { "list": [1, 2] },
            "file": "ümläut, and = a comma\n",
            "literal": "a,b=c",
        });
        assert_eq!(flags, expected);
    }
}

#[test]
fn a_helm_that_waits_is_watched_all_the_same() {
    for (helm, name) in [(Helm::V4, "wait"), (Helm::V3, "wait3")] {
        let Some(story) = Story::with_helm(helm, name, &["web"]) else { return };
        with_options(&story, "wait: true, timeout: 1m");
        let ran = run(&story, &["apply", "--format", "json", "--session-id", name]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let frames = story.agent().export(name);
        let states = facts(&frames, "object");
        let is_ready = |state: &&&Value| {
            state["object"]["kind"] == "Deployment" && state["status"] == "OBJECT_STATUS_READY"
        };
        assert!(states.iter().any(|state| is_ready(&state)), "{states:#?}");
    }
}

#[test]
fn without_waiting_an_apply_ends_with_helm() {
    let Some(story) = Story::begin("nowait", &["web", "no-such-image"]) else { return };
    with_options(&story, "wait: false");
    let ran = run(&story, &["apply", "--session-id", "nowait"]);
    assert_eq!(ran.code, 0, "nobody asked whether its pods start: {ran:?}");
    let frames = story.agent().export("nowait");
    let phases = &facts(&frames, "started")[0]["phases"];
    assert!(!phases.to_string().contains("ROLLOUT"), "what is not reported is not announced: {phases}");
}

#[test]
fn a_cause_is_a_finding_while_helm_still_waits() {
    let Some(story) = Story::begin("early", &["web", "no-such-image"]) else { return };
    with_options(&story, "wait: true, timeout: 5m");
    let mut editor = story.editor();
    let started = apply(&mut editor, json!({ "release": "web" }));
    let found = findings(&mut editor, &story.workspace.uri(CONFIG), &started);
    assert!(found[0]["message"].as_str().unwrap().contains("containers[0].image"), "{found:#?}");
    assert_eq!(
        story.agent().session(&started.session)["status"],
        "STATUS_RUNNING",
        "long before the timeout"
    );
    let cancel = editor.execute("ktl.cancel", json!({}));
    editor.response(cancel).unwrap();
    let verdict = verdict(&mut editor, &started);
    assert!(verdict.contains("cancelled"), "{verdict}");
    editor.quit();
}

#[test]
fn atomic_and_fail_fast_end_soon_and_leave_nothing() {
    for (helm, name) in [(Helm::V4, "atomic"), (Helm::V3, "atomic3")] {
        let Some(story) = Story::with_helm(helm, name, &["web", "no-such-image"]) else { return };
        with_options(&story, "atomic: true, failFast: true, timeout: 5m");
        let ran = run(&story, &["apply", "--format", "json", "--session-id", name]);
        assert_eq!(ran.code, 1, "a failure, not a cancel: {ran:?}");
        let last: Value = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
        let ended = &last["fact"]["ended"];
        assert_eq!(ended["left_behind"]["release_status"], "none", "{ended}");
        assert_eq!(story.revisions("web").len(), 0, "helm undid what it had begun");
    }
}

#[test]
fn a_chart_without_a_configuration_is_a_release_of_its_own_name() {
    let Some(story) = Story::begin("bare", &["web"]) else { return };
    let namespace = story.namespace.name();
    story.namespace.kubectl(&["create", "namespace", namespace]).unwrap();
    into_namespace(&story);
    fs::remove_file(story.workspace.path(CONFIG)).unwrap();
    story.workspace.write("charts/web/values-two.yaml", "replicas: 2\n");
    let mut editor = story.editor();
    let started = apply(&mut editor, json!({ "values": ["values-two.yaml"] }));
    let verdict = verdict(&mut editor, &started);
    assert!(verdict.contains("done") && verdict.contains(namespace), "{verdict}");
    let replicas =
        story.namespace.kubectl(&["get", "deployment", "web", "--output", "jsonpath={.spec.replicas}"]);
    assert_eq!(replicas.unwrap(), "2");
    editor.quit();
}

/// Replaces the options of the release, and keeps the namespace made.
fn with_options(story: &Story, options: &str) {
    let text = story.workspace.text(CONFIG);
    let at = text.find("apply: {").expect("the fixture has options");
    story.workspace.write(CONFIG, &format!("{}apply: {{ createNamespace: true, {options} }}\n", &text[..at]));
}

/// Makes the story's namespace the one of the user's current context.
fn into_namespace(story: &Story) {
    let text = fs::read_to_string(story.kubeconfig()).unwrap();
    let mut config: Value = serde_json::from_str(&text).expect("the test cluster writes JSON");
    config["contexts"][0]["context"]["namespace"] = story.namespace.name().into();
    fs::write(story.kubeconfig(), config.to_string()).unwrap();
}
