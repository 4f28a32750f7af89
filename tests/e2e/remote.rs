//! An agent that the user configured: it knows clusters by name, and wants its token.

use serde_json::{Value, json};

use crate::agent::OwnAgent;
use crate::story::{Story, apply, assert_logged, verdict};
use crate::terminal::{finish, run, start};

const TOKEN: &str = "the-token-of-a-remote-agent-0123456789";

/// An agent that knows the test cluster as `staging`.
fn remote(story: &Story, listen: &str) -> OwnAgent {
    let kubeconfig: Value = serde_json::from_slice(&std::fs::read(story.kubeconfig()).unwrap()).unwrap();
    let context = kubeconfig["current-context"].as_str().expect("a current context");
    let cluster = format!("name=staging,kubeconfig={},context={context}", story.kubeconfig().display());
    let token_file = story.home().join("token");
    std::fs::write(&token_file, TOKEN).unwrap();
    let mut command = story.program("ktl-agent");
    command.args(["--listen", listen, "--cluster", &cluster, "--token-file"]).arg(token_file);
    OwnAgent::start(&mut command, &story.home().join("remote"), TOKEN)
}

/// Makes the workspace apply to this cluster of the agent.
fn configure(story: &Story, remote: &OwnAgent, cluster: &str) {
    let config = format!(
        "agent:\n  address: {}\n  tokenFile: {}\n{}    cluster: {{ name: {cluster} }}\n",
        remote.agent.address,
        story.home().join("token").display(),
        story.workspace.text(".ktl.yaml"),
    );
    story.workspace.write(".ktl.yaml", &config);
}

#[test]
fn a_configured_agent_applies_to_a_cluster_that_it_knows_by_name() {
    let Some(story) = Story::begin("remote", &["web"]) else { return };
    let remote = remote(&story, "127.0.0.1:0");
    configure(&story, &remote, "staging");
    let ran = run(&story, &["apply", "web"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("staging"), "{ran:?}");
    assert!(!story.state().exists(), "no local agent was started");

    configure(&story, &remote, "production");
    let unknown = run(&story, &["apply", "web"]);
    assert_eq!(unknown.code, 2, "{unknown:?}");
    assert!(unknown.stderr.contains("production") && unknown.stderr.contains("staging"), "{unknown:?}");

    std::fs::write(story.home().join("token"), "another token").unwrap();
    let stranger = run(&story, &["sessions", "list"]);
    assert_eq!(stranger.code, 2, "{stranger:?}");
    assert!(stranger.stderr.contains("token") && !stranger.stderr.contains(TOKEN), "{stranger:?}");
}

#[test]
fn what_editor_and_terminal_were_told_is_what_is_recorded_however_often_the_agent_was_killed() {
    let Some(story) = Story::begin("retold", &["web", "gated"]) else { return };
    let mut own = remote(&story, "127.0.0.1:0");
    configure(&story, &own, "staging");
    let listen = own.agent.address.trim_start_matches("http://").to_owned();
    let mut editor = story.editor();
    let started = apply(&mut editor, json!({ "release": "web" }));
    story.namespace.wait_for_gate();
    let terminal = start(&story, &["attach", &started.session, "--format", "json"]);
    let helm = story.helms();
    for round in 0..3 {
        // Killed, not asked; in the last round while helm goes on printing.
        drop(own);
        if round == 2 {
            story.namespace.open_gate();
        }
        own = remote(&story, &listen);
        editor.receive("window/logMessage", |params| params["message"] == "the agent is back");
        assert!(round == 2 || story.helms() == helm, "the same helm goes on");
    }
    let verdict = verdict(&mut editor, &started);
    assert!(verdict.contains("done"), "{verdict}");

    let frames = own.agent.export(&started.session);
    assert_logged(&mut editor, "web", &started.session, &frames);
    editor.quit();
    let terminal = finish(terminal);
    assert_eq!(terminal.code, 0, "{terminal:?}");
    let printed: Vec<Value> =
        terminal.stdout.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(printed, frames, "every frame once, in order");
}
