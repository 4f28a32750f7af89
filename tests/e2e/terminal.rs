//! The headless twin: the same operations in a terminal or CI, told apart by their exit codes.

use std::io::Read;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::agent::{assert_numbered, send, wait_for};
use crate::story::Story;

/// What a command printed, and its exit code.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `ktl-lsp` in the workspace to its end.
pub(crate) fn run(story: &Story, arguments: &[&str]) -> Ran {
    ran(story.program("ktl-lsp").args(arguments))
}

/// Runs a command to its end.
pub(crate) fn ran(command: &mut Command) -> Ran {
    finish(begun(command))
}

/// Starts `ktl-lsp` in the workspace and lets it run.
pub(crate) fn start(story: &Story, arguments: &[&str]) -> Child {
    begun(story.program("ktl-lsp").args(arguments))
}

fn begun(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"))
}

/// Waits for the end of a command.
pub(crate) fn finish(child: Child) -> Ran {
    let output = child.wait_with_output().expect("ktl-lsp can be waited for");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("ktl-lsp prints UTF-8");
    Ran {
        code: output.status.code().unwrap_or_else(|| panic!("ktl-lsp died: {}", output.status)),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

#[test]
fn an_apply_that_works_is_0_in_text_and_in_json() {
    let Some(story) = Story::begin("text", &["web"]) else { return };
    let text = run(&story, &["apply", "web", "--tag", "team=shop"]);
    assert_eq!(text.code, 0, "{text:?}");
    assert!(text.stdout.contains(story.namespace.name()), "cluster and namespace are always shown: {text:?}");
    assert!(text.stdout.contains("STATUS: deployed"), "{text:?}");

    let json = run(&story, &["apply", "--format", "json"]);
    assert_eq!(json.code, 0, "{json:?}");
    let lines: Vec<Value> = json
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}")))
        .collect();
    let id = lines[0]["sessionId"].as_str().expect("the id comes first");
    assert_eq!(lines[0]["url"], format!("{}/s/{id}", story.agent().address));
    assert_numbered(&lines[1..]);
    assert_eq!(lines.last().unwrap()["fact"]["ended"]["status"], "STATUS_DONE");
    assert_eq!(lines[1..], story.agent().export(id), "what was printed is what was recorded");

    let attached = run(&story, &["attach", id]);
    assert_eq!(attached.code, 0, "{attached:?}");
    assert!(attached.stdout.contains("STATUS: deployed"), "{attached:?}");
}

#[test]
fn an_apply_that_fails_is_1_and_shows_file_line_and_column() {
    let Some(story) = Story::begin("fails", &["web", "broken-values"]) else { return };
    let ran = run(&story, &["apply", "web"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    // The emoji before the colon counts as two UTF-16 units.
    assert!(ran.stdout.contains("values/dev.yaml:4:17"), "{ran:?}");
}

#[test]
fn what_cannot_start_is_2_and_says_why() {
    let Some(story) = Story::begin("cannot", &["web"]) else { return };
    for (arguments, words) in [
        (&["apply", "wep"][..], "did you mean \"web\"?"),
        (&["apply", "web", "--workspace", "/nonexistent"], "/nonexistent"),
        (&["apply", "web", "--agent", "http://127.0.0.1:1"], "127.0.0.1:1"),
        (&["attach", "no-such-session"], "no-such-session"),
    ] {
        let ran = run(&story, arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains(words), "{arguments:?}: {ran:?}");
    }
    story.workspace.write(".ktl.yaml", "releases:\n  - name: web\n    chart: ./charts/wbe\n");
    let ran = run(&story, &["apply"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(format!("{}{}", ran.stdout, ran.stderr).contains(".ktl.yaml:3:12"), "{ran:?}");
}

#[test]
fn ctrl_c_cancels_and_waits_for_the_last_frame() {
    for (name, signal) in [("int", Signal::INT), ("term", Signal::TERM)] {
        let Some(story) = Story::begin(name, &["web", "gated"]) else { return };
        let child = start(&story, &["apply", "web", "--format", "json"]);
        story.namespace.wait_for_gate();
        send(child.id(), signal);
        let ran = finish(child);
        assert_eq!(ran.code, 130, "{ran:?}");
        let last: Value = serde_json::from_str(ran.stdout.lines().last().unwrap_or_default()).unwrap();
        assert_eq!(last["fact"]["ended"]["status"], "STATUS_CANCELLED", "{ran:?}");
        assert_eq!(story.helms(), Vec::<u32>::new(), "helm is gone");
    }
}

#[test]
fn a_second_ctrl_c_leaves_at_once_and_the_agent_ends_the_run() {
    let Some(story) = Story::begin("twice", &["web", "gated"]) else { return };
    let mut child = start(&story, &["apply", "web", "--format", "json"]);
    story.namespace.wait_for_gate();
    let helm = story.helms();
    // A helm that does not hear its signal: the first Ctrl-C has to wait for it, the second has not.
    send(helm[0], Signal::STOP);
    send(child.id(), Signal::INT);
    let mut stderr = child.stderr.take().unwrap();
    let mut said = vec![0; 1];
    stderr.read_exact(&mut said).expect("it says that it cancels, and how to leave");
    send(child.id(), Signal::INT);
    let ran = finish(child);
    assert_eq!(ran.code, 130, "{ran:?}");
    let header: Value = serde_json::from_str(ran.stdout.lines().next().unwrap_or_default()).unwrap();
    let id = header["sessionId"].as_str().expect("an id").to_owned();
    assert_eq!(story.agent().session(&id)["status"], "STATUS_RUNNING", "it left before the end");
    send(helm[0], Signal::CONT);
    assert_eq!(story.agent().ended(&id)["status"], "STATUS_CANCELLED");
    wait_for("the end of helm", || story.helms().is_empty().then_some(()));
}
