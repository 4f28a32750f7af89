//! `ktl-agent import`: what a Go agent kept, under its own numbers and times, without its secrets.

use std::{fs, path::Path, process::Command};

use ktl_proto::api::v1::{
    LogLine, MirrorExportRequest, MirrorFrame, MirrorGetSessionRequest, MirrorSession, MirrorSessionState,
    mirror_frame::Payload,
};
use prost::Message as _;
use serde_json::Value;

use crate::support::{Agent, Data};

/// A file as the Go agent makes it, its sessions `s1` (done, the first two frames trimmed, one lost) and `a b`.
fn go_file(path: &Path) {
    let file = rusqlite::Connection::open(path).unwrap();
    file.execute_batch(
        "PRAGMA journal_mode=WAL;
         CREATE TABLE ktl_mirror_sessions (session_id TEXT PRIMARY KEY, created_at_ns INTEGER NOT NULL,
           last_seen_ns INTEGER NOT NULL, last_sequence INTEGER NOT NULL, command TEXT, args_json TEXT,
           requester TEXT, cluster TEXT, kube_context TEXT, namespace TEXT, release TEXT, chart TEXT, tags_json TEXT,
           state INTEGER NOT NULL DEFAULT 0, exit_code INTEGER NOT NULL DEFAULT 0,
           error_message TEXT NOT NULL DEFAULT '', completed_at_ns INTEGER NOT NULL DEFAULT 0);
         CREATE TABLE ktl_mirror_frames (id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL,
           sequence INTEGER NOT NULL, received_ns INTEGER NOT NULL, frame_proto BLOB NOT NULL,
           UNIQUE(session_id, sequence));
         INSERT INTO ktl_mirror_sessions VALUES ('s1', 1700000000000000001, 1700000000000000009, 602, 'ktl apply',
           '[\"--set\",\"db.password=hunter2-canary\"]', 'ann', NULL, 'kc', 'shop', 'web', './web',
           '{\"team\":\"core\"}', 2, 130, 'canceled', 1700000000000000008);
         INSERT INTO ktl_mirror_sessions (session_id, created_at_ns, last_seen_ns, last_sequence)
           VALUES ('a b', 1, 2, 0);",
    )
    .unwrap();
    for sequence in (3..=602_i64).filter(|sequence| *sequence != 500) {
        let line = LogLine { raw: format!("line {sequence} password=hunter2-canary"), ..LogLine::default() };
        let frame = MirrorFrame {
            session_id: "s1".into(),
            producer: "logs".into(),
            sequence: sequence.unsigned_abs(),
            received_unix_nano: 1_700_000_000_000_000_005,
            payload: Some(Payload::Log(line)),
        };
        let insert = "INSERT INTO ktl_mirror_frames (session_id, sequence, received_ns, frame_proto) VALUES ('s1', ?, ?, ?)";
        file.execute(insert, (sequence, frame.received_unix_nano, frame.encode_to_vec())).unwrap();
    }
}

fn import(file: &Path, data: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ktl-agent"));
    let output = command.arg("import").arg(file).arg("--data").arg(data).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

async fn lines(agent: &Agent, id: &str) -> Vec<Value> {
    let export = MirrorExportRequest { session_id: id.into(), ..Default::default() };
    let mut chunks = agent.mirror().await.export(export).await.unwrap().into_inner();
    let mut text = String::new();
    while let Some(chunk) = chunks.message().await.unwrap() {
        text.push_str(std::str::from_utf8(&chunk.data).unwrap());
    }
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn session(agent: &Agent, id: &str) -> MirrorSession {
    let request = MirrorGetSessionRequest { session_id: id.into() };
    agent.mirror().await.get_session(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn what_a_go_agent_kept_comes_over_masked() {
    let (data, home) = (Data::new(), tempfile::tempdir().unwrap());
    let file = home.path().join("m.sqlite");
    go_file(&file);
    let before = fs::read(&file).unwrap();
    let (code, said) = import(&file, &data.path());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("s1: 1 frames are missing in the file"), "{said}");
    assert!(said.contains("\"a b\": not imported: session id has ' ' at character 2"), "{said}");
    assert_eq!(fs::read(&file).unwrap(), before, "the Go agent's file was changed");
    // Once more changes nothing: all of it is there.
    assert_eq!(import(&file, &data.path()).0, Some(0));

    let agent = Agent::start(&data);
    let found = session(&agent, "s1").await;
    let (status, meta) = (found.status.unwrap(), found.meta.unwrap());
    assert_eq!(
        (found.created_unix_nano, found.last_seen_unix_nano),
        (1_700_000_000_000_000_001, 1_700_000_000_000_000_009)
    );
    assert_eq!((status.state(), status.exit_code), (MirrorSessionState::Done, 130));
    assert_eq!(
        (meta.command.as_str(), meta.kube_context.as_str(), found.tags["team"].as_str()),
        ("ktl apply", "kc", "core")
    );
    let frames = lines(&agent, "s1").await;
    // The numbers begin where they did; behind the lost frame they move up.
    assert_eq!((frames.len(), found.last_sequence), (599, 601));
    assert_eq!(
        (&frames[0]["sequence"], &frames[0]["received_unix_nano"]),
        (&"3".into(), &"1700000000000000005".into())
    );
    assert!(frames[598]["log"]["raw"].as_str().unwrap().starts_with("line 602 "), "{}", frames[598]);
    for (path, bytes) in data.bytes() {
        let shows = bytes.windows(14).any(|window| window == b"hunter2-canary");
        assert!(!shows, "{path} holds a secret");
    }
}

#[test]
fn only_a_file_of_a_go_agent_is_imported() {
    let (data, home) = (Data::new(), tempfile::tempdir().unwrap());
    for (name, text) in [
        ("none", None),
        ("notes", Some("these are the notes of a person, and no database")),
        ("empty", Some("")),
    ] {
        let file = home.path().join(name);
        if let Some(text) = text {
            fs::write(&file, text).unwrap();
        }
        let (code, said) = import(&file, &data.path());
        assert_eq!(code, Some(1), "{name}: {said}");
        assert!(said.contains("is no store of the Go ktl-agent") && !data.path().exists(), "{name}: {said}");
    }
}
