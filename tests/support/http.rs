//! One HTTP request over a plain socket: small enough to see every byte that a test sends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long an answer may take, streams included.
const PATIENCE: Duration = Duration::from_mins(1);

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    /// The status code.
    pub(crate) status: u16,
    /// The headers, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The body until the server closed the connection.
    pub(crate) body: String,
}

impl Response {
    /// The first header of a name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// Asks `http://address/path`. The `Host` header is the address unless `headers` say another.
#[track_caller]
pub(crate) fn request(
    method: &str,
    address: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response {
    let address = address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // HTTP/1.0: the answer ends with the connection, and nothing is chunked.
    let own_host = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
    let host = (!own_host).then(|| format!("Host: {address}\r\n"));
    let line = |(name, value): &(&str, &str)| [name, ": ", value, "\r\n"].concat();
    let headers: String = headers.iter().map(line).collect();
    let head = format!(
        "{method} {path} HTTP/1.0\r\n{}{headers}Content-Length: {}\r\n\r\n",
        host.unwrap_or_default(),
        body.len()
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap_or_else(|error| panic!("{method} {path}: {error}"));
    parse(&String::from_utf8_lossy(&answer))
}

fn parse(answer: &str) -> Response {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP in {answer:?}"));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    Response {
        status: status.unwrap_or_else(|| panic!("no status in {head:?}")),
        headers: lines.filter_map(header).collect(),
        body: body.to_owned(),
    }
}
