//! The Go `ktl` and `ktl-agent` themselves, where somebody has built them: `KTL_GO_BIN` names their folder, and the gate
//! runs these when it is given. No registry has them, so they are ignored otherwise. What was found with them is in the
//! other suites, which need neither.

use std::{
    env,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use ktl_proto::api::v1::{MirrorListSessionsRequest, MirrorSession, MirrorSessionState};

use crate::story::{CHART, Story};
use crate::support::{Agent, Data, TOKEN};

/// A Go program.
pub(crate) fn go_program(name: &str) -> PathBuf {
    let folder = env::var_os("KTL_GO_BIN").expect("KTL_GO_BIN names the folder of the Go programs");
    PathBuf::from(folder).join(name)
}

/// The Go CLI against an agent, in an empty home.
struct Cli {
    program: PathBuf,
    agent: String,
    home: tempfile::TempDir,
}

impl Cli {
    fn new(agent: &Agent) -> Self {
        let (program, home) = (go_program("ktl"), tempfile::tempdir().unwrap());
        Self { program, agent: format!("127.0.0.1:{}", agent.port), home }
    }

    fn run(&self, token: &str, args: &[&str]) -> (Option<i32>, String, String) {
        let args = args.iter().map(|arg| if *arg == "AGENT" { &self.agent } else { *arg });
        let output: Output = Command::new(&self.program)
            .args(args)
            .current_dir(self.home.path())
            .env_remove("KUBECONFIG")
            .envs([("HOME", self.home.path().to_str().unwrap()), ("KTL_REMOTE_TOKEN", token)])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }
}

async fn sessions(agent: &Agent) -> Vec<MirrorSession> {
    let listed = agent.mirror().await.list_sessions(MirrorListSessionsRequest::default()).await;
    listed.unwrap().into_inner().sessions
}

#[tokio::test]
#[ignore = "needs KTL_GO_BIN"]
async fn the_go_cli_is_answered_in_its_own_words_and_recorded() {
    let data = Data::new();
    let agent = Agent::start(&data);
    let cli = Cli::new(&agent);
    let logs = ["logs", "web-.*", "--remote-agent", "AGENT", "-n", "demo", "--follow=false"];
    let (code, _, said) = cli.run("wrong", &logs);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("code = Unauthenticated desc = invalid authentication token"), "{said}");
    for (args, session, command) in [
        (&logs[..], "remote-logs-", "ktl logs"),
        (
            &["delete", "--release", "r1", "-n", "demo", "--remote-agent", "AGENT"],
            "remote-deploy-",
            "ktl delete",
        ),
        (&["build", ".", "--remote-build", "AGENT", "-t", "acme/x:dev"], "remote-build-", "ktl build"),
    ] {
        std::fs::write(cli.home.path().join("Dockerfile"), "FROM scratch\n").unwrap();
        let (code, _, said) = cli.run(TOKEN, args);
        assert!(code == Some(1) && said.contains("code = Unimplemented"), "{command}: {code:?} {said}");
        let found = sessions(&agent).await.remove(0);
        let (meta, status) = (found.meta.unwrap(), found.status.unwrap());
        assert!(found.session_id.starts_with(session), "{}", found.session_id);
        assert_eq!((meta.command.as_str(), status.state()), (command, MirrorSessionState::Error));
        assert!(!meta.requester.is_empty() && meta.args.contains(&args[0].to_owned()), "{meta:?}");
    }
}

#[tokio::test]
#[ignore = "needs KTL_GO_BIN"]
async fn the_go_cli_applies_through_this_agent() {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in CHART {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let Some(mut story) = Story::begin("go") else { return };
    story.args.extend(["--allow-path".to_owned(), folder.path().to_str().unwrap().to_owned()]);
    story.restart_agent();
    let cli = Cli::new(story.agent());
    let chart = folder.path().join("web");
    let apply = |chart: &str| {
        let namespace = story.namespace.as_str();
        let common = ["apply", "--chart", chart, "--release", "web", "-n", namespace, "--create-namespace"];
        cli.run(TOKEN, &[&common[..], &["--remote-agent", "AGENT", "--timeout", "60s"]].concat())
    };
    let (code, _, said) = apply("/etc");
    assert!(code == Some(1) && said.contains("--allow-path"), "{code:?} {said}");
    let (code, said, log) = apply(chart.to_str().unwrap());
    assert_eq!(
        (code, said.trim()),
        (Some(0), format!("Release web ({}): deployed", story.namespace).as_str()),
        "{log}"
    );
    assert!(log.contains("phase install -> succeeded") && !log.contains("t0p-s3cret-word"), "{log}");
}
