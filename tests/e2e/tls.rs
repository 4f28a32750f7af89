//! Who may be told the token: an agent whose certificate is vouched for, or one on this very machine. Needs no cluster.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::json;
use tempfile::TempDir;

use crate::agent::OwnAgent;
use crate::editor::Editor;
use crate::profile;
use crate::story::{binaries, program_of};
use crate::terminal::{Ran, ran};

const TOKEN: &str = "the-token-of-a-secured-agent-0123456789";

/// A user with a workspace, and the address of an agent that wants a token.
struct User {
    home: TempDir,
    address: String,
}

impl User {
    fn of(address: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("workspace")).unwrap();
        fs::write(home.path().join("token"), TOKEN).unwrap();
        Self { home, address: address.to_owned() }
    }

    fn workspace(&self) -> PathBuf {
        self.home.path().join("workspace")
    }

    /// Writes the agent's address and token file into `.ktl.yaml`, with more lines of the block.
    fn configure(&self, more: &str) {
        let token = self.home.path().join("token");
        let block = format!("agent:\n  address: {}\n  tokenFile: {}\n{more}", self.address, token.display());
        fs::write(self.workspace().join(".ktl.yaml"), block).unwrap();
    }

    fn program(&self) -> Command {
        let mut command = program_of(self.home.path(), "ktl-lsp");
        command.current_dir(self.workspace());
        command
    }

    /// Asks the agent for its sessions, as `.ktl.yaml` says.
    fn list(&self) -> Ran {
        ran(self.program().args(["sessions", "list"]))
    }
}

/// An agent with a certificate for `name`; its authority is in `authority.pem` beside its data.
fn secured(name: &str) -> (TempDir, OwnAgent) {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    write_certificate(folder.path(), name);
    fs::write(file("token"), TOKEN).unwrap();
    let mut command = Command::new(binaries().join("ktl-agent"));
    command.args(["--listen", "127.0.0.1:0", "--token-file"]).arg(file("token"));
    command.arg("--tls-cert").arg(file("agent.pem")).arg("--tls-key").arg(file("agent.key"));
    let agent = OwnAgent::start(&mut command, &file("data"), TOKEN);
    assert!(agent.agent.address.starts_with("https://127.0.0.1:"), "{}", agent.agent.address);
    (folder, agent)
}

fn write_certificate(folder: &Path, name: &str) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    fs::write(folder.join("authority.pem"), authority.self_signed(&authority_key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap();
    fs::write(folder.join("agent.pem"), certificate.signed_by(&key, &issuer).unwrap().pem()).unwrap();
    fs::write(folder.join("agent.key"), key.serialize_pem()).unwrap();
}

fn authority_of(folder: &TempDir) -> String {
    folder.path().join("authority.pem").display().to_string()
}

#[track_caller]
fn assert_let_in(ran: &Ran) {
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("no sessions yet"), "{ran:?}");
}

#[track_caller]
fn assert_distrusted(ran: &Ran, address: &str) {
    assert_eq!(ran.code, 2, "{ran:?}");
    let said = &ran.stderr;
    assert!(said.contains("certificate") && said.contains(address), "{ran:?}");
    assert!(said.contains("agent.tls.ca"), "it says what to do: {ran:?}");
    assert!(!said.contains("is not verified"), "nobody asked for that: {ran:?}");
}

#[test]
fn a_certificate_is_believed_when_its_authority_is_named_and_only_then() {
    let (folder, own) = secured("127.0.0.1");
    let stranger = tempfile::tempdir().unwrap();
    write_certificate(stranger.path(), "127.0.0.1");
    let user = User::of(&own.agent.address);
    user.configure(&format!("  tls: {{ ca: {} }}\n", authority_of(&folder)));
    assert_let_in(&user.list());
    user.configure("");
    assert_distrusted(&user.list(), &own.agent.address);
    user.configure(&format!("  tls: {{ ca: {} }}\n", authority_of(&stranger)));
    assert_distrusted(&user.list(), &own.agent.address);
}

#[test]
fn a_certificate_is_for_the_host_that_was_asked_for_or_the_name_in_the_settings() {
    let (folder, own) = secured("ktl.example");
    let user = User::of(&own.agent.address);
    let trusting = |more: &str| format!("  tls: {{ ca: {}{more} }}\n", authority_of(&folder));
    user.configure(&trusting(""));
    assert_distrusted(&user.list(), &own.agent.address);
    user.configure(&trusting(", serverName: ktl.example"));
    assert_let_in(&user.list());
}

#[test]
fn an_unverified_certificate_is_accepted_only_when_the_user_says_so_and_is_shown() {
    let (_folder, own) = secured("127.0.0.1");
    let user = User::of(&own.agent.address);
    let shown = format!("the certificate of {} is not verified", own.agent.address);
    // A folder that somebody else wrote cannot ask for it.
    user.configure("  tls: { insecureSkipVerify: true }\n");
    assert_distrusted(&user.list(), &own.agent.address);
    user.configure("");
    for (value, is_told) in [("false", false), ("true", true)] {
        let mut command = user.program();
        command.env("KTL_REMOTE_TLS_INSECURE_SKIP_VERIFY", value).args(["sessions", "list"]);
        let ran = ran(&mut command);
        assert_eq!(ran.code == 0, is_told, "{value}: {ran:?}");
        assert_eq!(ran.stderr.contains(&shown), is_told, "{value}: {ran:?}");
    }

    let mut editor = Editor::start_command(&mut user.program());
    let tls = json!({ "insecureSkipVerify": true });
    editor.initialize(json!({
        "processId": std::process::id(),
        "capabilities": profile::vscode(),
        "initializationOptions": { "agent": { "tls": tls } },
        "workspaceFolders": [{ "uri": format!("file://{}", user.workspace().display()), "name": "w" }],
    }));
    let request = editor.execute("ktl.showSessions", json!({}));
    editor.message(&shown);
    editor.response(request).expect("the sessions are listed");
    editor.message("no sessions");
    editor.quit();
}

#[test]
fn a_token_never_leaves_in_clear_for_another_machine() {
    // Nobody looks at names of loopback here: the kernel leads this address to this machine, a reader of settings sees
    // one that is not loopback.
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    port.set_nonblocking(true).unwrap();
    let user = User::of(&format!("http://0.0.0.0:{}", port.local_addr().unwrap().port()));
    user.configure("");
    let refused = user.list();
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("in clear") && refused.stderr.contains("https"), "{refused:?}");
    assert!(!refused.stderr.contains(TOKEN), "{refused:?}");
    assert!(port.accept().is_err(), "refused, and yet somebody came");
}

#[test]
fn a_certificate_and_a_key_that_are_no_pair_keep_an_agent_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    write_certificate(folder.path(), "127.0.0.1");
    let file = |name: &str| folder.path().join(name);
    fs::write(file("other.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    for (cert, key, words) in [
        ("agent.pem", "other.key", "do not fit"),
        ("agent.key", "agent.key", "--tls-cert"),
        ("agent.pem", "agent.pem", "--tls-key"),
        ("agent.pem", "none.key", "none.key"),
    ] {
        let mut command = Command::new(binaries().join("ktl-agent"));
        command.args(["--listen", "127.0.0.1:0", "--data"]).arg(file("data"));
        command.arg("--tls-cert").arg(file(cert)).arg("--tls-key").arg(file(key));
        let ran = ran(&mut command);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
        assert!(ran.stderr.contains(words), "{words}: {ran:?}");
    }
}
