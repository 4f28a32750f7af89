//! The shim as a process: lines, exits, and signals to everything behind it. The commands are small scripts; what is
//! tried here is the shim.

use std::{
    fs,
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use ktl_agent::shim::{Command, Exit, Process, Record, Stream, Tail, Tailed, write_json};
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    /// A folder in which this script is to be run.
    fn of(script: &str) -> Self {
        Self::with(script, 5)
    }

    fn with(script: &str, grace_seconds: u64) -> Self {
        let home = tempfile::tempdir().unwrap();
        let args = vec!["-c".to_owned(), script.to_owned()];
        let (program, folder) = ("/bin/sh".into(), home.path().to_owned());
        let command = Command { program, args, folder, stdout: None, grace_seconds };
        write_json(&home.path().join("command.json"), &command).unwrap();
        Self(home)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn start(&self) -> Child {
        let mut shim = std::process::Command::new(env!("CARGO_BIN_EXE_ktl-agent"));
        shim.arg("shim").arg("--run").arg(self.path());
        let child = shim.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        self.process();
        child
    }

    fn process(&self) -> Process {
        wait_for("shim.json", || serde_json::from_slice(&fs::read(self.path().join("shim.json")).ok()?).ok())
    }

    /// Every record from after `after` on, and the exit.
    async fn tail(&self, after: u64) -> (Vec<Record>, Exit) {
        let mut tail = Tail::new(self.path(), after);
        let mut all = Vec::new();
        loop {
            let next = tokio::time::timeout(Duration::from_secs(20), tail.next()).await.unwrap().unwrap();
            match next {
                Tailed::Records(first, records) => {
                    assert_eq!(first, after + all.len() as u64 + 1, "a record has its number for ever");
                    all.extend(records);
                }
                Tailed::Exit(exit) => return (all, exit),
                Tailed::Gone => panic!("the shim left no exit"),
            }
        }
    }

    async fn wait_for_line(&self, text: &str) {
        let mut tail = Tail::new(self.path(), 0);
        while let Tailed::Records(_, records) = tail.next().await.unwrap() {
            if records.iter().any(|record| record.text == text) {
                return;
            }
        }
        panic!("{text:?} was never printed");
    }
}

fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        if let Some(found) = found() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("no {what}");
}

#[tokio::test]
async fn every_line_is_there_while_it_is_written_and_after() {
    let folder =
        Folder::of("for n in 1 2 3; do echo out $n; echo err $n >&2; sleep 0.05; done; printf rest; exit 3");
    let mut shim = folder.start();
    let (records, exit) = folder.tail(0).await;
    let of = |stream: Stream| records.iter().filter(move |it| it.stream == stream).map(|it| it.text.as_str());
    assert_eq!(of(Stream::Stdout).collect::<Vec<_>>(), ["out 1", "out 2", "out 3", "rest"]);
    assert_eq!(of(Stream::Stderr).collect::<Vec<_>>(), ["err 1", "err 2", "err 3"]);
    assert_eq!((exit.code, exit.records, exit.asked), (Some(3), 7, false));
    let (later, _) = folder.tail(5).await;
    assert_eq!(later, records[5..]);
    assert_eq!(Tail::stderr(folder.path()).unwrap(), "err 1\nerr 2\nerr 3\n");
    assert!(shim.wait().unwrap().success());
}

#[tokio::test]
async fn a_folder_runs_once_whoever_asks() {
    let folder = Folder::of("echo ran >> ran; sleep 0.3");
    let mut shims = [folder.start(), folder.start(), folder.start()];
    folder.tail(0).await;
    for shim in &mut shims {
        shim.wait().unwrap();
    }
    folder.start().wait().unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("ran")).unwrap(), "ran\n");
}

#[tokio::test]
async fn asking_reaches_the_command_and_everything_it_started() {
    let folder =
        Folder::of("trap 'echo stopping; exit 7' INT; sleep 300 & echo $! > child; echo ready; wait");
    let mut shim = folder.start();
    folder.wait_for_line("ready").await;
    let child: i32 = fs::read_to_string(folder.path().join("child")).unwrap().trim().parse().unwrap();
    let sleeper = Process::of(child).unwrap();
    assert!(folder.process().terminate());
    let (records, exit) = folder.tail(1).await;
    assert_eq!(records[0].text, "stopping");
    assert_eq!((exit.code, exit.asked), (Some(7), true));
    shim.wait().unwrap();
    wait_for("end of the child", || (!sleeper.is_alive()).then_some(()));
}

#[tokio::test]
async fn a_command_that_does_not_listen_is_killed_after_its_grace() {
    let folder = Folder::with("trap '' INT TERM; echo ready; while :; do sleep 0.1; done", 1);
    let mut shim = folder.start();
    folder.wait_for_line("ready").await;
    let asked = Instant::now();
    folder.process().terminate();
    let (_, exit) = folder.tail(1).await;
    assert_eq!((exit.code, exit.signal, exit.asked), (None, Some(9), true));
    assert!(asked.elapsed() >= Duration::from_millis(900), "{:?}", asked.elapsed());
    shim.wait().unwrap();
}

#[tokio::test]
async fn a_child_that_keeps_the_pipes_does_not_keep_the_shim() {
    let folder = Folder::of("sleep 300 & echo done");
    let mut shim = folder.start();
    let (records, exit) = folder.tail(0).await;
    assert_eq!((records.len(), exit.code), (1, Some(0)));
    shim.wait().unwrap();
}

#[tokio::test]
async fn a_command_that_cannot_start_is_an_exit_with_its_reason() {
    let folder = Folder::of("");
    let (program, folder_path) = ("/nonexistent/helm".into(), folder.path().to_owned());
    let command = Command { program, args: Vec::new(), folder: folder_path, stdout: None, grace_seconds: 1 };
    write_json(&folder.path().join("command.json"), &command).unwrap();
    let mut shim = folder.start();
    let (_, exit) = folder.tail(0).await;
    let error = exit.error.unwrap();
    assert!(error.contains("/nonexistent/helm"), "{error}");
    shim.wait().unwrap();
}

#[tokio::test]
async fn the_shim_is_alone_in_its_session() {
    let folder = Folder::of("cat /proc/self/stat; sleep 0.2");
    let mut shim = folder.start();
    let process = folder.process();
    let (records, _) = folder.tail(0).await;
    let (_, fields) = records[0].text.rsplit_once(") ").unwrap();
    let fields: Vec<i32> = fields.split(' ').skip(1).take(3).map(|field| field.parse().unwrap()).collect();
    let [_, group, session] = fields[..] else { panic!("{fields:?}") };
    assert_eq!(session, process.pid, "a session of the shim's own");
    assert_ne!(group, process.pid, "a group of the command's own");
    shim.wait().unwrap();
}
