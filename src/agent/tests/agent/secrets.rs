//! Canaries: secrets planted in everything that a client can send, then looked for in every file and every answer.

use std::{collections::HashMap, fs};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use ktl_proto::{
    api::v1::{
        BuildEvent, BuildResult, DeployEvent, LogLine, MirrorExportRequest, MirrorFrame, MirrorSessionMeta,
        MirrorSessionState, MirrorSessionStatus, MirrorSetSessionMetaRequest, MirrorSetSessionStatusRequest,
        VerifyEvent, VerifyFinding, build_event, mirror_frame::Payload, verify_event,
    },
    control::v1::{Fact, Finding, Note, fact::Body},
};

use crate::support::{Agent, Data, publish, recorded};

const CANARY: &str = "canary-7f3a9c21e4";

/// Every form of the canary, as it is spoken; how many characters at its start and its end hold neighbors too.
fn forms() -> Vec<(String, usize)> {
    let hex: String = CANARY.bytes().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let mut forms = vec![(CANARY.to_owned(), 0), (hex.to_uppercase(), 0), (hex, 0)];
    for before in ["", "x", "xy"] {
        let text = format!("{before}{CANARY} and more");
        forms.push((STANDARD.encode(&text), 4));
        forms.push((URL_SAFE.encode(&text), 4));
    }
    forms
}

/// Of a secret that two frames share at most five bytes may be seen, so eight in a row of any place in it are too many.
fn needles() -> Vec<String> {
    let mut needles = Vec::new();
    for (form, around) in forms() {
        let length = if around == 0 { form.len() } else { CANARY.len() * 4 / 3 };
        let inner = &form.as_bytes()[around..length];
        needles.extend(inner.windows(8).map(|window| String::from_utf8(window.to_vec()).unwrap()));
    }
    needles
}

fn line(raw: &str) -> Payload {
    Payload::Log(LogLine { rendered: raw.into(), raw: raw.into(), ..LogLine::default() })
}

/// What gives the canary away by its place. Each goes to a session of its own, so that none learns from another.
fn carriers() -> Vec<Vec<Payload>> {
    let encoded = STANDARD.encode(CANARY);
    let secret =
        format!("apiVersion: v1\nkind: Secret\ndata:\n  any: {encoded}\nstringData:\n  other: {CANARY}\n");
    let applied = format!("{{\"data\":{{\"a\":\"{encoded}\"}},\"kind\":\"Secret\"}}");
    let diff = serde_json::json!({ "kind": "diff", "diff": { "text": secret, "applied": applied } });
    let patch = format!(
        "cannot patch \"web\" with kind Secret: error found in #10 byte of ...|ny\":\"{CANARY}\"|..., bigger context ...|{applied}|..."
    );
    let build = |body| Payload::Build(BuildEvent { timestamp_unix_nano: 1, body: Some(body) });
    let verify = |body| Payload::Verify(VerifyEvent { timestamp_unix_nano: 1, body: Some(body) });
    let fact = |body| Payload::Control(Fact { body: Some(body) });
    let deploy = |json: String| Payload::Deploy(DeployEvent { json });
    let finding = VerifyFinding {
        message: format!("literal password: {CANARY}"),
        location: format!("https://me:{CANARY}@git.example.com/x"),
        ..VerifyFinding::default()
    };
    let result = BuildResult {
        error: format!("cannot push: https://me:{CANARY}@ghcr.io"),
        tags: vec![format!("ghcr.io/x?token={CANARY}")],
        ..BuildResult::default()
    };
    vec![
        vec![line(&format!("helm upgrade web . --set db.password={CANARY},replicas=2"))],
        vec![line(&format!("cloning https://me:{CANARY}@git.example.com/x.git"))],
        vec![line(&format!("Authorization: Bearer {CANARY}"))],
        vec![line(&format!("REGISTRY_TOKEN={CANARY} docker login"))],
        vec![line(&secret)],
        secret.lines().map(line).collect(),
        vec![deploy(diff.to_string())],
        vec![deploy(serde_json::json!({ "log": { "message": patch }, "password": CANARY }).to_string())],
        vec![line(&patch)],
        vec![Payload::Raw(format!("api_key: {CANARY}\n").into_bytes())],
        vec![Payload::Raw([b"\xff\xfe token=", CANARY.as_bytes(), b" \xff"].concat())],
        vec![
            Payload::Raw(format!("password={}", &CANARY[..9]).into()),
            Payload::Raw(format!("{} x", &CANARY[9..]).into()),
        ],
        vec![build(build_event::Body::Result(result))],
        vec![build(build_event::Body::Log(LogLine {
            raw: format!("--build-arg NPM_TOKEN={CANARY}"),
            ..LogLine::default()
        }))],
        vec![verify(verify_event::Body::Finding(finding))],
        vec![verify(verify_event::Body::Json(format!(
            "{{\"env\":[{{\"name\":\"DB_PASSWORD\",\"value\":\"{CANARY}\"}}]}}"
        )))],
        vec![fact(Body::Note(Note { text: format!("token: {CANARY}"), ..Note::default() }))],
        vec![fact(Body::Finding(Finding { message: secret.clone(), ..Finding::default() }))],
    ]
}

/// The canary as the session knows it, in every form, in color, and over the borders of frames.
fn spoken() -> Vec<Payload> {
    let known = line(&format!("kind: Secret\nstringData:\n  any: {CANARY}\n"));
    let forms = forms().into_iter().map(|(form, _)| line(&format!("it is {form} again")));
    let color = Payload::Log(LogLine {
        raw: format!("it is {}\u{1b}[31m{}", &CANARY[..7], &CANARY[7..]),
        rendered: format!("pod | it is {}\u{1b}[31m{}", &CANARY[..7], &CANARY[7..]),
        ..LogLine::default()
    });
    let split = (1..CANARY.len()).flat_map(|at| [line(&CANARY[..at]), line(&CANARY[at..])]);
    let bytes = CANARY.bytes().map(|byte| Payload::Raw(vec![byte]));
    [known, color].into_iter().chain(forms).chain(split).chain(bytes).collect()
}

/// Publishes to a session and says everything else about it too; what the agent answered.
async fn plant(agent: &Agent, session: &str, payloads: Vec<Payload>) -> String {
    let mut mirror = agent.mirror().await;
    let count = payloads.len();
    let frames = payloads.into_iter().map(|payload| MirrorFrame {
        session_id: session.into(),
        payload: Some(payload),
        ..MirrorFrame::default()
    });
    assert_eq!(publish(&mut mirror, frames.collect()).await.unwrap().len(), count);
    let meta = MirrorSessionMeta {
        command: format!("ktl apply --token {CANARY}"),
        args: vec!["--remote-token".into(), CANARY.into(), format!("--set=x.secret={CANARY}")],
        chart: format!("https://me:{CANARY}@charts.example.com/web"),
        ..MirrorSessionMeta::default()
    };
    let tags = HashMap::from([
        ("ci-token".to_owned(), CANARY.to_owned()),
        ("run".to_owned(), format!("https://ci/?token={CANARY}")),
    ]);
    let request = MirrorSetSessionMetaRequest { session_id: session.into(), meta: Some(meta), tags };
    let shown = mirror.set_session_meta(request).await.unwrap().into_inner();
    let status = MirrorSessionStatus {
        state: MirrorSessionState::Error.into(),
        error_message: format!("cannot patch: password: {CANARY}\npassword={CANARY}"),
        ..MirrorSessionStatus::default()
    };
    let request = MirrorSetSessionStatusRequest { session_id: session.into(), status: Some(status) };
    let ended = mirror.set_session_status(request).await.unwrap().into_inner();
    let request = MirrorExportRequest { session_id: session.into(), ..MirrorExportRequest::default() };
    let mut export = mirror.export(request).await.unwrap().into_inner();
    let mut exported = String::new();
    while let Some(chunk) = export.message().await.unwrap() {
        exported.push_str(&String::from_utf8_lossy(&chunk.data));
    }
    format!("{shown:?} {ended:?} {exported} {:?}", recorded(agent, session).await)
}

#[tokio::test]
async fn no_planted_secret_is_in_any_file_or_answer() {
    let data = Data::new();
    let agent = Agent::start(&data);
    let mut places = Vec::new();
    for (number, payloads) in carriers().into_iter().chain([spoken()]).enumerate() {
        let session = format!("s{number}");
        places.push((
            format!("the answers about {session}"),
            plant(&agent, &session, payloads).await.into_bytes(),
        ));
        let api = format!("/api/v1/sessions/{session}");
        for path in [api.clone(), format!("{api}/export")] {
            places.push((path.clone(), agent.get(&path).await.body.into_bytes()));
        }
        let events = format!("{api}/events");
        places.push((events.clone(), agent.events(&events, &[], "event: end").await.into_bytes()));
    }
    places.push(("the list".into(), agent.get("/api/v1/sessions").await.body.into_bytes()));
    places.extend(data.bytes());
    places.push(("the log".into(), fs::read(data.log()).unwrap()));
    for (place, bytes) in &places {
        for needle in needles() {
            assert_eq!(around(bytes, &needle), None, "{needle} is in {place}");
        }
    }
    // The search itself works, and what is no secret is there.
    let (_, export) = places.iter().find(|(place, _)| place.ends_with("s0/export")).unwrap();
    assert!(around(export, "replicas=2").is_some(), "{}", String::from_utf8_lossy(export));
    assert!(
        places.iter().any(|(place, bytes)| place.ends_with("sessions.db") && !bytes.is_empty()),
        "no database"
    );
}

/// Where the bytes hold this text, with what stands before it.
fn around(bytes: &[u8], needle: &str) -> Option<String> {
    let at = bytes.windows(needle.len()).position(|part| part == needle.as_bytes())?;
    Some(String::from_utf8_lossy(&bytes[at.saturating_sub(80)..at + needle.len()]).into_owned())
}
