//! Nothing is lost when one of the processes dies in the middle of an apply.

use rustix::process::Signal;
use serde_json::json;

use crate::agent::{Agent, kill, processes_naming, send, wait_for};
use crate::story::{Story, apply, facts, findings, verdict};

const CONFIG: &str = ".ktl.yaml";

#[test]
fn an_editor_that_is_killed_loses_nothing_and_the_next_one_finds_the_session() {
    let Some(story) = Story::begin("editor", &["web", "gated", "no-such-image"]) else { return };
    let mut first = story.editor();
    let started = apply(&mut first, json!({ "release": "web" }));
    story.namespace.wait_for_gate();
    first.kill();

    let mut second = story.editor();
    second.receive("$/progress", |params| params["value"]["kind"] == "begin");
    story.namespace.open_gate();
    let verdict = verdict(&mut second, &started);
    assert!(verdict.contains("failed"), "{verdict}");
    let found = findings(&mut second, &story.workspace.uri(CONFIG), &started);
    story.workspace.assert_found(CONFIG, &found);

    let agent = story.agent();
    assert_eq!(agent.session(&started.session)["status"], "STATUS_ERROR");
    let frames = agent.export(&started.session);
    assert_eq!(facts(&frames, "started").len(), 1, "one run, whoever watched");
    assert_eq!(facts(&frames, "ended").len(), 1);
    second.quit();
}

#[test]
fn an_agent_that_is_killed_is_started_again_and_the_run_ends_in_its_session() {
    the_run_outlives_its_agent("agent", Signal::KILL);
}

#[test]
fn an_agent_that_is_asked_to_end_leaves_the_work_to_the_next_one() {
    the_run_outlives_its_agent("asked", Signal::TERM);
}

fn the_run_outlives_its_agent(name: &str, signal: Signal) {
    let Some(story) = Story::begin(name, &["web", "gated"]) else { return };
    let mut editor = story.editor();
    let started = apply(&mut editor, json!({ "release": "web" }));
    story.namespace.wait_for_gate();
    let helm = story.helms();
    assert_eq!(helm.len(), 1, "one helm works");
    let before = story.agent();
    send(before.pid, signal);
    let after = wait_for_another(&story, &before);
    assert_eq!(story.helms(), helm, "the same helm goes on");
    story.namespace.open_gate();
    let verdict = verdict(&mut editor, &started);
    assert!(verdict.contains("done"), "{verdict}");
    assert_ran_once(&story, &after, &started.session);
    editor.quit();
}

#[test]
fn helm_may_end_while_no_agent_is_there() {
    let Some(story) = Story::begin("alone", &["web", "gated"]) else { return };
    let mut first = story.editor();
    let started = apply(&mut first, json!({ "release": "web" }));
    story.namespace.wait_for_gate();
    first.kill();
    kill(story.agent().pid);
    story.namespace.open_gate();
    wait_for("the end of helm", || story.helms().is_empty().then_some(()));

    let mut second = story.editor();
    let verdict = verdict(&mut second, &started);
    assert!(verdict.contains("done"), "{verdict}");
    assert_ran_once(&story, &story.agent(), &started.session);
    second.quit();
}

#[test]
fn a_run_whose_processes_are_all_gone_is_lost_and_says_what_it_left() {
    let Some(story) = Story::begin("lost", &["web", "gated"]) else { return };
    let mut first = story.editor();
    let started = apply(&mut first, json!({ "release": "web" }));
    story.namespace.wait_for_gate();
    first.kill();
    // As a reboot does: the agent first, so that it cannot see the others go.
    let before = story.agent();
    kill(before.pid);
    let home = story.home().display().to_string();
    for (pid, _) in processes_naming(&home).into_iter().chain(processes_naming(story.namespace.name())) {
        kill(pid);
    }

    let second = story.editor();
    let agent = wait_for_another(&story, &before);
    let session = agent.ended(&started.session);
    assert_eq!(session["status"], "STATUS_LOST", "{session}");
    let frames = agent.export(&started.session);
    let notes = facts(&frames, "note");
    let note = |kind: &str| notes.iter().find(|note| note["kind"] == kind);
    assert!(note("NOTE_KIND_LOST").is_some(), "{notes:#?}");
    let found = note("NOTE_KIND_RELEASE_FOUND").unwrap_or_else(|| panic!("{notes:#?}"));
    assert!(found["text"].as_str().is_some_and(|text| text.contains("pending-install")), "{found}");
    second.kill();
}

/// The agent that an editor started in the place of one that died.
fn wait_for_another(story: &Story, before: &Agent) -> Agent {
    wait_for("another agent", || Agent::of_state(&story.state()).filter(|agent| agent.pid != before.pid))
}

#[track_caller]
fn assert_ran_once(story: &Story, agent: &Agent, session: &str) {
    assert_eq!(agent.session(session)["status"], "STATUS_DONE");
    let frames = agent.export(session);
    let notes = facts(&frames, "note");
    assert!(notes.iter().any(|note| note["kind"] == "NOTE_KIND_ADOPTED"), "{notes:#?}");
    assert_eq!(facts(&frames, "started").len(), 1);
    assert_eq!(facts(&frames, "ended").len(), 1);
    let deployed = facts(&frames, "line");
    let deployed = deployed.iter().filter(|line| line["text"] == "STATUS: deployed").count();
    assert_eq!(deployed, 1, "helm's lines arrive once, whoever reads them");
    assert_eq!(story.revisions("web").len(), 1, "helm ran once");
}
