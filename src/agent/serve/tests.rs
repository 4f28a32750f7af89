//! Peers that stall, trickle or are too many, over real sockets with short limits.

use std::{net::SocketAddr, time::Instant};

use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An empty SETTINGS frame.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
/// Much longer than the limits below, and short enough to wait for.
const LONG: Duration = Duration::from_secs(20);

const LIMITS: Limits = Limits {
    greeting: Duration::from_millis(200),
    head: Duration::from_millis(300),
    silence: Duration::from_millis(100),
    answer: Duration::from_millis(200),
    connections: 8,
};

struct Server {
    address: SocketAddr,
    shutdown: Shutdown,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.token.cancel();
    }
}

async fn server(limits: Limits, tls: Option<Arc<ServerConfig>>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::default();
    let router = Router::new().route("/", get(|| async { "hello" }));
    shutdown.tasks.spawn(serve(listener, router, tls, limits, shutdown.clone()));
    Server { address, shutdown }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

/// Everything until the server closes; fails when it does not.
async fn rest(mut stream: impl AsyncRead + Unpin) -> String {
    let mut all = Vec::new();
    // A connection that is reset is closed, too.
    let read = timeout(LONG, stream.read_to_end(&mut all)).await;
    assert!(read.is_ok(), "the connection is still open after {all:?}");
    String::from_utf8_lossy(&all).into_owned()
}

/// The head of an answer and its body of a known length.
async fn answer(stream: &mut TcpStream) -> String {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let count = timeout(LONG, stream.read(&mut buffer)).await.unwrap().unwrap();
        all.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&all).into_owned();
        if count == 0 || text.ends_with("hello") || text.ends_with('}') {
            return text;
        }
    }
}

#[tokio::test]
async fn a_peer_that_says_nothing_or_half_a_preface_is_dropped() {
    let server = server(LIMITS, None).await;
    for said in [&b""[..], &PREFACE[..1], &PREFACE[..17]] {
        let mut peer = server.connect().await;
        peer.write_all(said).await.unwrap();
        assert_eq!(rest(peer).await, "");
    }
}

#[tokio::test]
async fn a_peer_that_does_not_shake_hands_is_dropped() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let config = tls(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes(), None).unwrap();
    let server = server(LIMITS, Some(config)).await;
    for said in [&b""[..], &[22, 3, 1, 2, 0, 1]] {
        let mut peer = server.connect().await;
        peer.write_all(said).await.unwrap();
        rest(peer).await;
    }
}

#[tokio::test]
async fn a_head_that_trickles_is_not_waited_for() {
    let server = server(LIMITS, None).await;
    let (read, mut write) = server.connect().await.into_split();
    let trickle = async {
        write.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        // Fails as soon as the server has closed.
        while write.write_all(b"a").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let began = Instant::now();
    let (text, ()) = tokio::join!(rest(read), trickle);
    assert!(!text.contains("hello") && began.elapsed() >= LIMITS.head, "{text}");
}

#[tokio::test]
async fn a_request_over_http_1_is_answered_and_a_connection_at_rest_is_closed() {
    let server = server(LIMITS, None).await;
    let mut peer = server.connect().await;
    for _ in 0..2 {
        peer.write_all(GET).await.unwrap();
        assert!(answer(&mut peer).await.ends_with("hello"));
    }
    assert_eq!(rest(peer).await, "");
}

#[tokio::test]
async fn over_http_2_only_who_answers_stays() {
    let server = server(LIMITS, None).await;
    let mut dead = server.connect().await;
    dead.write_all(&[PREFACE, SETTINGS].concat()).await.unwrap();
    let mut alive = server.connect().await;
    alive.write_all(&[PREFACE, SETTINGS].concat()).await.unwrap();
    let answers = async {
        let mut pings = 0;
        while pings < 10 {
            let mut head = [0; 9];
            alive.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let mut payload = vec![0; length];
            alive.read_exact(&mut payload).await.unwrap();
            if head[3] == 6 && head[4] == 0 {
                pings += 1;
                alive.write_all(&[&[0, 0, 8, 6, 1, 0, 0, 0, 0], payload.as_slice()].concat()).await.unwrap();
            }
        }
    };
    let began = Instant::now();
    timeout(LONG, answers).await.expect("ten pings");
    assert!(began.elapsed() > LIMITS.silence + LIMITS.answer, "the other one had its time, too");
    rest(dead).await;
}

#[tokio::test]
async fn a_connection_too_many_is_told_so_and_the_next_one_is_served() {
    let limits = Limits { connections: 1, head: LONG, ..LIMITS };
    let server = server(limits, None).await;
    let mut first = server.connect().await;
    first.write_all(GET).await.unwrap();
    assert!(answer(&mut first).await.ends_with("hello"));
    let mut second = server.connect().await;
    second.write_all(GET).await.unwrap();
    let refused = rest(second).await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("limit of 1 connection"), "{refused}");
    let mut third = server.connect().await;
    third.write_all(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc\r\n\r\n").await.unwrap();
    let refused = rest(third).await;
    assert!(refused.contains("grpc-status: 14"), "{refused}");
    drop(first);
    let served = async {
        loop {
            let mut next = server.connect().await;
            next.write_all(GET).await.unwrap();
            if answer(&mut next).await.ends_with("hello") {
                break;
            }
        }
    };
    timeout(LONG, served).await.expect("a place that is free again");
}
