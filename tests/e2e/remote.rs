//! An agent that the user configured: it knows clusters by name, and wants its token.

use serde_json::Value;

use crate::agent::OwnAgent;
use crate::story::Story;
use crate::terminal::run;

const TOKEN: &str = "the-token-of-a-remote-agent-0123456789";

#[test]
fn a_configured_agent_applies_to_a_cluster_that_it_knows_by_name() {
    let Some(story) = Story::begin("remote", &["web"]) else { return };
    let kubeconfig: Value = serde_json::from_slice(&std::fs::read(story.kubeconfig()).unwrap()).unwrap();
    let context = kubeconfig["current-context"].as_str().expect("a current context");
    let cluster = format!("name=staging,kubeconfig={},context={context}", story.kubeconfig().display());
    let token_file = story.home().join("token");
    std::fs::write(&token_file, TOKEN).unwrap();
    let mut command = story.program("ktl-agent");
    command.args(["--listen", "127.0.0.1:0", "--cluster", &cluster, "--token-file"]).arg(&token_file);
    let remote = OwnAgent::start(&mut command, &story.home().join("remote"), TOKEN);

    let config = |name: &str| {
        format!(
            "agent:\n  address: {}\n  tokenFile: {}\n{}    cluster: {{ name: {name} }}\n",
            remote.agent.address,
            token_file.display(),
            story.workspace.text(".ktl.yaml"),
        )
    };
    story.workspace.write(".ktl.yaml", &config("staging"));
    let ran = run(&story, &["apply", "web"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("staging"), "{ran:?}");
    assert!(!story.state().exists(), "no local agent was started");

    story.workspace.write(".ktl.yaml", &config("production"));
    let unknown = run(&story, &["apply", "web"]);
    assert_eq!(unknown.code, 2, "{unknown:?}");
    assert!(unknown.stderr.contains("production") && unknown.stderr.contains("staging"), "{unknown:?}");

    std::fs::write(&token_file, "another token").unwrap();
    let stranger = run(&story, &["sessions", "list"]);
    assert_eq!(stranger.code, 2, "{stranger:?}");
    assert!(stranger.stderr.contains("token") && !stranger.stderr.contains(TOKEN), "{stranger:?}");
}
