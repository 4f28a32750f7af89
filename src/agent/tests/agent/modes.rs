//! An agent whose disk is full, or whose process has no file descriptor left: it says so, goes on reading, and recovers
//! without a restart.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use ktl_proto::control::v1::follow_event::Event;
use tonic::Code;

use crate::support::{Agent, Data, frame, publish, recorded};

/// A file system of its own, of a few megabytes; gone with this value.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]).arg(at).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn skipped(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
    eprintln!("skipped: {why}");
}

#[tokio::test]
async fn a_full_disk_refuses_frames_with_a_reason_and_takes_them_again_when_there_is_space() {
    let data = Data::new();
    let Some(disk) = Disk::mount(&data.path()) else {
        return skipped("no file system could be mounted: this test needs root");
    };
    let agent = Agent::start(&data);
    let mut mirror = agent.mirror().await;
    publish(&mut mirror, vec![frame("s", "one")]).await.unwrap();
    let filler = disk.0.join("filler");
    let mut size = 6 << 20;
    while size > 1024 {
        // As much as there is, in smaller and smaller pieces.
        let before = fs::read(&filler).unwrap_or_default();
        let more = [before, vec![0; size]].concat();
        if fs::write(&filler, more).is_err() {
            size /= 2;
        }
    }
    let large = "x".repeat(200_000);
    let refused = publish(&mut mirror, vec![frame("s", &large)]).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert!(refused.message().contains("is full: free some space"), "{}", refused.message());
    // What is there is read over every door.
    assert_eq!(recorded(&agent, "s").await.len(), 2);
    assert_eq!(agent.get("/api/v1/sessions/s").await.json()["head"], "1");
    fs::remove_file(&filler).unwrap();
    let acks = publish(&mut mirror, vec![frame("s", &large)]).await.unwrap();
    assert_eq!(acks[0].sequence, 2, "a number was lost or used twice");
    let events = recorded(&agent, "s").await;
    let frames = events.iter().filter(|event| matches!(event.event, Some(Event::Frame(_)))).count();
    assert_eq!(frames, 2);
    drop(agent);
    drop(disk);
}

#[tokio::test]
async fn without_a_file_descriptor_what_is_connected_goes_on() {
    let data = Data::new();
    let agent = Agent::start(&data);
    let mut mirror = agent.mirror().await;
    let mut sessions = agent.sessions().await;
    publish(&mut mirror, vec![frame("s", "one")]).await.unwrap();
    let limit = |soft: &str| {
        let pid = agent.child.id().to_string();
        let done = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={soft}:")]).status();
        done.is_ok_and(|status| status.success())
    };
    if !limit("8") {
        return skipped("prlimit is missing or not allowed");
    }
    let acks = publish(&mut mirror, vec![frame("s", "two")]).await.unwrap();
    assert_eq!(acks[0].sequence, 2);
    let request = ktl_proto::control::v1::GetRequest { session_id: "s".into() };
    assert_eq!(sessions.get(request).await.unwrap().into_inner().head, 2);
    assert!(limit("1024"));
    assert_eq!(recorded(&agent, "s").await.len(), 3);
}
