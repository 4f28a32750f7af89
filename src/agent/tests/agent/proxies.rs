//! Event streams behind what stands between an agent and a browser: the real nginx as it comes, and a proxy that cuts
//! every connection after a while.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener as StdListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

use crate::support::{Agent, Data, TOKEN, frame, publish};

/// nginx in front of an agent, with its own defaults: it buffers answers and speaks HTTP/1.0 to the agent.
struct Nginx {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Nginx {
    /// `None` where there is no nginx; with `CI=true` that is a failure.
    async fn start(agent: &Agent) -> Option<Self> {
        let Some(program) = find("nginx") else {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "there is no nginx: install nginx-light");
            eprintln!("skipped: there is no nginx; `apt-get install nginx-light` brings it");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let port = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let config = folder.path().join("nginx.conf");
        fs::write(&config, settings(folder.path(), port, agent.port)).unwrap();
        let log = folder.path().join("error.log");
        let child = Command::new(program)
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&config)
            .arg("-e")
            .arg(&log)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let nginx = Self { child, port, _folder: folder };
        for _ in 0..200 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok() {
                return Some(nginx);
            }
            sleep(Duration::from_millis(25)).await;
        }
        panic!("nginx does not answer: {}", fs::read_to_string(log).unwrap_or_default());
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// One process, all files below `folder`, buffering on.
fn settings(folder: &Path, port: u16, agent: u16) -> String {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {}/{name};\n", folder.display()))
        .concat();
    format!(
        "daemon off; master_process off; pid {0}/pid; events {{ }}\n\
         http {{ access_log off; proxy_buffering on;\n{temporary}\
         server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{agent}; }} }} }}\n",
        folder.display()
    )
}

/// A proxy that cuts every connection after `life`, wherever it is.
async fn cutting(to: u16, life: Duration) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut far = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await.unwrap();
                let _ = timeout(life, copy_bidirectional(&mut near, &mut far)).await;
            });
        }
    });
    port
}

/// A reader as a browser is one: it takes whole events, and comes back with the last id when it was cut. It speaks
/// HTTP/1.0, so that nobody puts chunks around what it reads.
struct Reader {
    port: u16,
    /// The port of the agent: its name for whoever comes directly.
    host: u16,
    last: String,
    seen: Vec<u64>,
    arrivals: Vec<Instant>,
    connections: u32,
}

impl Reader {
    fn new(port: u16, host: u16) -> Self {
        Self { port, host, last: String::new(), seen: Vec::new(), arrivals: Vec::new(), connections: 0 }
    }

    async fn until(&mut self, frames: usize) {
        let reading = async {
            while self.seen.len() < frames {
                self.connections += 1;
                self.connection(frames).await;
            }
        };
        timeout(Duration::from_secs(30), reading).await.unwrap();
    }

    async fn connection(&mut self, frames: usize) {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.unwrap();
        let last =
            if self.last.is_empty() { String::new() } else { format!("last-event-id: {}\r\n", self.last) };
        let path = "/api/v1/sessions/s/events?heartbeat_ms=1000";
        let host = self.host;
        let head =
            format!("GET {path} HTTP/1.0\r\nhost: 127.0.0.1:{host}\r\nx-ktl-token: {TOKEN}\r\n{last}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut text, mut buffer) = (String::new(), [0; 2048]);
        while self.seen.len() < frames {
            match stream.read(&mut buffer).await {
                Ok(read) if read > 0 => text.push_str(&String::from_utf8_lossy(&buffer[..read])),
                _ => return,
            }
            while let Some((event, rest)) = text.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                if let (Some(id), Some(data)) = (field("id: "), field("data: ")) {
                    let data: Value = serde_json::from_str(data).unwrap();
                    self.arrivals.push(Instant::now());
                    self.seen.push(data["seq"].as_str().unwrap().parse().unwrap());
                    id.clone_into(&mut self.last);
                }
                text = rest.to_owned();
            }
        }
    }
}

#[tokio::test]
async fn behind_nginx_with_buffering_on_a_frame_arrives_at_once() {
    let data = Data::new();
    let agent = Agent::start(&data);
    let Some(nginx) = Nginx::start(&agent).await else { return };
    let mut mirror = agent.mirror().await;
    publish(&mut mirror, vec![frame("s", "0")]).await.unwrap();
    let mut reader = Reader::new(nginx.port, agent.port);
    let publishing = async {
        let mut sent = Vec::new();
        for n in 1..=5 {
            sleep(Duration::from_millis(150)).await;
            publish(&mut mirror, vec![frame("s", &n.to_string())]).await.unwrap();
            sent.push(Instant::now());
        }
        sent
    };
    let ((), sent) = tokio::join!(reader.until(6), publishing);
    for (arrival, sent) in reader.arrivals[1..].iter().zip(sent) {
        let late = arrival.saturating_duration_since(sent);
        assert!(late < Duration::from_secs(1), "a frame waited {late:?} in nginx");
    }
    assert_eq!((reader.seen, reader.connections), ((1..=6).collect(), 1));
}

#[tokio::test]
async fn behind_a_proxy_that_cuts_nothing_is_lost_or_repeated() {
    let data = Data::new();
    let agent = Agent::start(&data);
    let nginx = Nginx::start(&agent).await;
    let mut mirror = agent.mirror().await;
    publish(&mut mirror, vec![frame("s", "0")]).await.unwrap();
    let far = nginx.as_ref().map_or(agent.port, |nginx| nginx.port);
    let mut reader = Reader::new(cutting(far, Duration::from_millis(120)).await, agent.port);
    let publishing = async {
        for n in 1..400 {
            publish(&mut mirror, vec![frame("s", &"x".repeat(n * 7 % 900))]).await.unwrap();
            sleep(Duration::from_millis(2)).await;
        }
    };
    let ((), ()) = tokio::join!(reader.until(400), publishing);
    assert_eq!(reader.seen, (1..=400).collect::<Vec<_>>());
    assert!(reader.connections > 2, "nothing was cut");
}
