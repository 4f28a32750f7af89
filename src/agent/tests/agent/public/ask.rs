//! A recorded call, asked again over the wire: gRPC by descriptor, HTTP and events by hand.

use std::{fmt::Write as _, sync::LazyLock, time::Duration};

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::MetadataMap,
    transport::Channel,
};

use super::{Call, PublicAgent, TOKEN, mask};
use crate::support::Answer;

/// After so long nothing more is expected of a stream that never ends.
const SILENCE: Duration = Duration::from_millis(1500);
/// After so long something that is expected is not coming.
const LATE: Duration = Duration::from_secs(20);

/// The methods, by the beginnings of the names of their calls.
const METHODS: [(&str, &str); 12] = [
    ("auth/", "AgentInfoService/GetInfo"),
    ("get/", "MirrorService/GetSession"),
    ("list/", "MirrorService/ListSessions"),
    ("publish/", "MirrorService/Publish"),
    ("meta/", "MirrorService/SetSessionMeta"),
    ("status/", "MirrorService/SetSessionStatus"),
    ("export/", "MirrorService/Export"),
    ("subscribe/", "MirrorService/Subscribe"),
    ("delete/", "MirrorService/DeleteSession"),
    ("logs/", "LogService/StreamLogs"),
    ("apply/", "DeployService/Apply"),
    ("verify/", "VerifyService/Verify"),
];

/// The answer in the shape of the recording.
pub(super) async fn ask(agent: &PublicAgent, call: &Call) -> Value {
    match call.name.split_once('/').unwrap().0 {
        "http" => http(agent, &call.request).await,
        "sse" => events(agent, call).await,
        _ => grpc(agent, call).await,
    }
}

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(ktl_proto::DESCRIPTORS).unwrap());

async fn grpc(agent: &PublicAgent, call: &Call) -> Value {
    let (_, path) = METHODS.iter().find(|(prefix, _)| call.name.starts_with(prefix)).unwrap();
    let (service, name) = path.split_once('/').unwrap();
    let service = POOL.get_service_by_name(&format!("ktl.api.v1.{service}")).unwrap();
    let method = service.methods().find(|method| method.name() == name).unwrap();
    let expected = call.answer.as_array().map_or(1, Vec::len);
    let messages = stream(agent, call, &method, expected).await;
    match (method.is_server_streaming(), name) {
        (true, "Export") => messages.into_iter().flat_map(lines).collect(),
        (true, _) => Value::Array(messages),
        (false, _) => messages.into_iter().next().unwrap(),
    }
}

/// As many messages as are expected, and the status behind them.
async fn stream(agent: &PublicAgent, call: &Call, method: &MethodDescriptor, expected: usize) -> Vec<Value> {
    let channel = Channel::from_shared(agent.grpc.clone()).unwrap().connect().await.unwrap();
    let mut client = Grpc::new(channel);
    client.ready().await.unwrap();
    let mut request = call.request.clone();
    mask::unmask(&mut request);
    let inputs = if request.is_array() { request.as_array().unwrap().clone() } else { vec![request] };
    let inputs = inputs.into_iter().map(|input| DynamicMessage::deserialize(method.input(), input).unwrap());
    let mut request = Request::new(tokio_stream::iter(inputs.collect::<Vec<_>>()));
    authorize(&call.name, request.metadata_mut());
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name()).parse().unwrap();
    let mut messages = match client.streaming(request, path, Dynamic(method.output())).await {
        Ok(response) => response.into_inner(),
        Err(status) => return vec![refusal(&status)],
    };
    let mut all = Vec::new();
    while all.len() < expected || !method.is_server_streaming() {
        match timeout(if all.is_empty() { LATE } else { SILENCE }, messages.message()).await {
            Ok(Ok(Some(message))) => all.push(to_json(&message)),
            Ok(Ok(None)) => break,
            Ok(Err(status)) => {
                all.push(refusal(&status));
                break;
            }
            // What the recording's client said when its patience was over.
            Err(_) => {
                all.push(
                    json!({ "code": "DEADLINE_EXCEEDED", "details": "Stream removed (Deadline Exceeded)" }),
                );
                break;
            }
        }
    }
    all
}

/// The token as the calls of `auth/` send it; all others send it right.
fn authorize(name: &str, metadata: &mut MetadataMap) {
    let pairs: &[(&'static str, &str)] = match name {
        "auth/no-token" => &[],
        "auth/wrong-token" => &[("authorization", "Bearer nope")],
        "auth/bare-token" => &[("authorization", TOKEN)],
        "auth/x-ktl-token" => &[("x-ktl-token", TOKEN)],
        "auth/wrong-hides-right" => &[("authorization", "Bearer nope"), ("x-ktl-token", TOKEN)],
        "auth/lower-bearer" => &[("authorization", "bearer s3")],
        _ => &[("authorization", "Bearer s3")],
    };
    for (name, value) in pairs {
        metadata.insert(*name, value.parse().unwrap());
    }
}

fn refusal(status: &Status) -> Value {
    let code = format!("{:?}", status.code());
    let upper = code.char_indices().flat_map(|(at, c)| {
        let dash = (at > 0 && c.is_uppercase()).then_some('_');
        dash.into_iter().chain([c.to_ascii_uppercase()])
    });
    json!({ "code": upper.collect::<String>(), "details": status.message() })
}

fn to_json(message: &DynamicMessage) -> Value {
    let options = SerializeOptions::new().use_proto_field_name(true);
    message.serialize_with_options(serde_json::value::Serializer, &options).unwrap()
}

/// The lines of an export chunk; a status stays what it is.
fn lines(chunk: Value) -> Vec<Value> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let Some(data) = chunk["data"].as_str() else { return vec![chunk] };
    let text = String::from_utf8(STANDARD.decode(data).unwrap()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Messages that are known by their descriptor only.
struct Dynamic(MessageDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self(self.0.clone())
    }

    fn decoder(&mut self) -> Self {
        Self(self.0.clone())
    }
}

impl Encoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, message: DynamicMessage, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        message.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let message = DynamicMessage::decode(self.0.clone(), buffer);
        message.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

async fn http(agent: &PublicAgent, request: &Value) -> Value {
    let mut stream = send(agent, request, request["authorized"].as_bool().unwrap()).await;
    let mut bytes = Vec::new();
    timeout(LATE, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
    let answer = Answer::parse(&bytes);
    let content = answer.header("content-type").unwrap_or_default().to_owned();
    let mut headers = json!({});
    for name in ["access-control-allow-origin", "content-type"] {
        if let Some(value) = answer.header(name) {
            headers[name] = value.into();
        }
    }
    let body: Value = match content.split(';').next().unwrap() {
        "application/json" => answer.json(),
        "application/x-ndjson" => {
            answer.body.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect()
        }
        _ => answer.body.into(),
    };
    json!({ "status": answer.status, "headers": headers, "body": body })
}

/// Events up to the one that the recording ended with.
async fn events(agent: &PublicAgent, call: &Call) -> Value {
    let expected = call.answer["events"].as_array().unwrap();
    let mut stream = send(agent, &call.request, true).await;
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    let reading = async {
        loop {
            let read = stream.read(&mut buffer).await.unwrap();
            text.push_str(&String::from_utf8_lossy(&buffer[..read]));
            // Chunk sizes stand between the events; they are on lines of their own.
            let known = ["event: frame", "event: ping", "retry: "].map(|word| text.matches(word).count());
            let whole = known.iter().sum::<usize>() >= expected.len() && text.ends_with("\n\n\r\n");
            if read == 0 || whole {
                break;
            }
        }
    };
    timeout(LATE, reading).await.unwrap_or_else(|_| panic!("{}: no more events", call.name));
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    let content = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap();
    let status: u16 = head[9..12].parse().unwrap();
    let events: Vec<Value> =
        if status == 200 { body.split("\n\n").filter_map(event).collect() } else { Vec::new() };
    json!({ "status": status, "content-type": content, "events": events })
}

fn event(block: &str) -> Option<Value> {
    let mut event = json!({});
    for line in block.lines() {
        let Some((name, value)) = line.split_once(": ") else { continue };
        let parsed = serde_json::from_str::<Value>(value).ok().filter(Value::is_object);
        event[name] = parsed.filter(|_| name == "data").unwrap_or_else(|| value.into());
    }
    event.as_object().is_some_and(|fields| !fields.is_empty()).then_some(event)
}

async fn send(agent: &PublicAgent, request: &Value, is_authorized: bool) -> TcpStream {
    let host = agent.http.strip_prefix("http://").unwrap();
    let (method, path) = (request["method"].as_str().unwrap_or("GET"), request["path"].as_str().unwrap());
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    let headers = request["headers"].as_object().unwrap();
    if is_authorized && !headers.contains_key("Authorization") {
        text.push_str("authorization: Bearer s3\r\n");
    }
    for (name, value) in headers {
        write!(text, "{name}: {}\r\n", value.as_str().unwrap()).unwrap();
    }
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(format!("{text}\r\n").as_bytes()).await.unwrap();
    stream
}
