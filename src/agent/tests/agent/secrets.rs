//! Canaries: secrets planted in everything that a client can send, then looked for in every file and every answer.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ktl_proto::api::v1::{
    DeployEvent, LogLine, MirrorFrame, MirrorSessionMeta, MirrorSessionState, MirrorSessionStatus,
    MirrorSetSessionMetaRequest, MirrorSetSessionStatusRequest, mirror_frame::Payload,
};

use crate::support::{Agent, Data, publish};

const CANARY: &str = "canary-7f3a9c21e4";

fn carriers() -> Vec<Payload> {
    let encoded = STANDARD.encode(CANARY);
    let secret =
        format!("apiVersion: v1\nkind: Secret\ndata:\n  any: {encoded}\nstringData:\n  other: {CANARY}\n");
    let json = serde_json::json!({
        "kind": "diff",
        "diff": { "text": secret, "applied": format!("{{\"kind\":\"Secret\",\"data\":{{\"a\":\"{encoded}\"}}}}") },
        "password": CANARY,
    });
    let lines = [
        format!("helm upgrade web . --set db.password={CANARY},replicas=2"),
        format!("cloning https://me:{CANARY}@git.example.com/x.git"),
        format!("Authorization: Bearer {CANARY}"),
        format!("REGISTRY_TOKEN={CANARY} docker login"),
        secret,
    ];
    let lines = lines
        .into_iter()
        .map(|raw| Payload::Log(LogLine { rendered: raw.clone(), raw, ..LogLine::default() }));
    let deploy = Payload::Deploy(DeployEvent { json: json.to_string() });
    let raw = Payload::Raw(format!("api_key: {CANARY}\n").into_bytes());
    lines.chain([deploy, raw]).collect()
}

#[tokio::test]
async fn no_planted_secret_is_in_any_file_or_answer() {
    let data = Data::new();
    let agent = Agent::start(&data);
    let mut mirror = agent.mirror().await;
    let frames = carriers().into_iter().map(|payload| MirrorFrame {
        session_id: "s".into(),
        payload: Some(payload),
        ..MirrorFrame::default()
    });
    let sent = carriers().len();
    assert_eq!(publish(&mut mirror, frames.collect()).await.unwrap().len(), sent);
    let meta = MirrorSessionMeta {
        command: format!("ktl apply --token {CANARY}"),
        args: vec!["--remote-token".into(), CANARY.into(), format!("--set=x.secret={CANARY}")],
        ..MirrorSessionMeta::default()
    };
    let tags = HashMap::from([("ci-token".to_owned(), CANARY.to_owned())]);
    let request = MirrorSetSessionMetaRequest { session_id: "s".into(), meta: Some(meta), tags };
    let shown = mirror.set_session_meta(request).await.unwrap().into_inner();
    let status = MirrorSessionStatus {
        state: MirrorSessionState::Error.into(),
        error_message: format!("cannot patch: password: {CANARY}\npassword={CANARY}"),
        ..MirrorSessionStatus::default()
    };
    let request = MirrorSetSessionStatusRequest { session_id: "s".into(), status: Some(status) };
    let ended = mirror.set_session_status(request).await.unwrap().into_inner();

    let mut places = data.bytes();
    places.push(("answers".into(), format!("{shown:?} {ended:?}").into_bytes()));
    for path in ["/api/v1/sessions", "/api/v1/sessions/s", "/api/v1/sessions/s/export"] {
        places.push((path.into(), agent.get(path).await.body.into_bytes()));
    }
    places.push((
        "events".into(),
        agent.events("/api/v1/sessions/s/events", &[], "event: end").await.into_bytes(),
    ));
    for (place, bytes) in &places {
        for needle in [CANARY, &STANDARD.encode(CANARY)] {
            assert_eq!(around(bytes, needle), None, "{needle} is in {place}");
        }
    }
    // The search itself works, and what is no secret is there.
    let (_, export) = places.iter().find(|(place, _)| place.ends_with("export")).unwrap();
    assert!(around(export, "replicas=2").is_some() && around(export, "git.example.com").is_some());
}

/// Where the bytes hold this text, with what stands before it.
fn around(bytes: &[u8], needle: &str) -> Option<String> {
    let at = bytes.windows(needle.len()).position(|part| part == needle.as_bytes())?;
    Some(String::from_utf8_lossy(&bytes[at.saturating_sub(80)..at + needle.len()]).into_owned())
}
