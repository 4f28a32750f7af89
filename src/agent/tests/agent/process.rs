//! Start, end, and who may have the folder.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::support::{Agent, Data, command, frame, publish};

fn refused(mut command: Command) -> (Option<i32>, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_second_agent_on_a_folder_names_the_first() {
    let data = Data::new();
    let first = Agent::start(&data);
    let (code, said) = refused(command(&data.path()));
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("pid {}", first.child.id())), "{said}");
}

#[test]
fn off_loopback_an_agent_without_a_token_does_not_start() {
    let data = Data::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ktl-agent"));
    command.args(["--listen", "0.0.0.0:0", "--data"]).arg(data.path());
    let (code, said) = refused(command);
    assert_eq!(code, Some(2));
    assert!(said.contains("--token-file"), "{said}");
    assert!(!data.path().exists(), "it made its folder before it refused");
}

#[test]
fn a_file_that_is_something_else_is_refused_untouched() {
    let data = Data::new();
    fs::create_dir_all(data.path()).unwrap();
    let file = data.path().join("sessions.db");
    fs::write(&file, "these are the notes of a person, and no database").unwrap();
    let (code, said) = refused(command(&data.path()));
    assert_eq!(code, Some(1));
    assert!(said.contains("is not a store of ktl-agent"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "these are the notes of a person, and no database");
}

/// As the Go agent makes it, and as a Go agent that was killed leaves it: with its last words in the WAL.
#[test]
fn a_file_of_the_go_agent_is_refused_untouched() {
    let data = Data::new();
    fs::create_dir_all(data.path()).unwrap();
    let file = data.path().join("go.sqlite");
    let go = rusqlite::Connection::open(&file).unwrap();
    go.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0;
         CREATE TABLE ktl_mirror_sessions (session_id TEXT PRIMARY KEY);
         INSERT INTO ktl_mirror_sessions VALUES ('s1');",
    )
    .unwrap();
    let bytes = |name: &str| fs::read(data.path().join(name)).unwrap();
    let before = (bytes("go.sqlite"), bytes("go.sqlite-wal"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_ktl-agent"));
    command.args(["-listen", "127.0.0.1:0", "-mirror-store"]).arg(&file);
    let (code, said) = refused(command);
    assert_eq!(code, Some(1));
    let next = format!("`ktl-agent import {} --data DIR`", file.display());
    assert!(said.contains(&next), "{said}");
    assert!(before == (bytes("go.sqlite"), bytes("go.sqlite-wal")), "it was changed");
    assert!(!data.path().join("go.sqlite.agent").exists(), "it made its folder before it refused");
    drop(go);
}

#[test]
fn the_folder_and_its_files_are_the_owners_alone() {
    let data = Data::new();
    let _agent = Agent::start(&data);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data.path()), 0o700);
    for entry in fs::read_dir(data.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }
}

#[tokio::test]
async fn sigterm_ends_open_streams_within_the_grace() {
    let data = Data::new();
    let mut agent = Agent::start(&data);
    let mut mirror = agent.mirror().await;
    publish(&mut mirror, vec![frame("s", "one")]).await.unwrap();
    let request = ktl_proto::control::v1::FollowRequest { session_id: "s".into(), ..Default::default() };
    let mut follower = agent.sessions().await.follow(request).await.unwrap().into_inner();
    assert!(follower.message().await.unwrap().is_some());
    let asked = Instant::now();
    let pid = agent.child.id().to_string();
    assert!(Command::new("kill").arg(pid).status().unwrap().success());
    while let Ok(Some(_)) = follower.message().await {}
    let status = agent.child.wait().unwrap();
    assert!(
        status.success() && asked.elapsed() < Duration::from_secs(8),
        "{status} after {:?}",
        asked.elapsed()
    );
}

#[test]
fn an_idle_agent_ends_by_itself() {
    let data = Data::new();
    let mut agent = Agent::start_with(&data, &["--idle-exit", "1"]);
    let began = Instant::now();
    while agent.child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < Duration::from_secs(20), "it is still there");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(agent.child.wait().unwrap().success());
}
