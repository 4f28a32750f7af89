//! Stories as the public agent told them on a real cluster: the same phases, in the same order.

use std::{fs, path::Path};

use super::*;
use crate::{
    frame::{Fact, LeftBehind},
    session::{Epoch, Seq},
};

/// `name state` of every phase, and the kinds of everything else, of a recorded apply.
fn recorded(name: &str) -> (Vec<String>, Vec<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/public-api/applies.jsonl");
    let text = fs::read_to_string(path).unwrap();
    let applies = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let apply = applies.into_iter().find(|apply| apply["name"] == name).unwrap();
    let events: Vec<Value> =
        apply["events"].as_array().unwrap().iter().map(|event| event["json"].clone()).collect();
    shape(&events)
}

/// The pending phases, whose order means nothing, and the rest in order.
fn shape(events: &[Value]) -> (Vec<String>, Vec<String>) {
    let words =
        events.iter().filter(|event| !event.is_null()).map(|event| match event["kind"].as_str().unwrap() {
            "phase" => format!(
                "{} {}",
                event["phase"]["name"].as_str().unwrap(),
                event["phase"]["state"].as_str().unwrap()
            ),
            kind => kind.to_owned(),
        });
    let (mut pending, rest): (Vec<_>, Vec<_>) = words.partition(|words| words.ends_with("pending"));
    pending.sort();
    (pending, rest)
}

fn story(waits: bool, dry_run: bool) -> Story {
    Story {
        release: "web".into(),
        namespace: "trace".into(),
        chart: "web".into(),
        version: "0.1.0".into(),
        waits,
        dry_run,
        began: Timestamp(1),
        times: BTreeMap::new(),
        is_install: false,
        notes: None,
        end: None,
    }
}

fn phase(name: PhaseName, state: PhaseState) -> Body {
    Body::Phase(Phase { name: name.into(), state: state.into(), ..Phase::default() })
}

fn stdout(text: &str) -> Body {
    Body::Line(Line { source: LineSource::Stdout.into(), text: text.into(), ..Line::default() })
}

fn ended(status: WireStatus, message: &str, release: &str) -> Body {
    let left_behind = Some(LeftBehind { release_status: release.into(), ..LeftBehind::default() });
    Body::Ended(Ended { status: status.into(), message: message.into(), left_behind, ..Ended::default() })
}

/// Everything that is said of these facts, one second apart.
fn tell(story: &mut Story, bodies: Vec<Body>) -> Vec<Value> {
    let mut events = Story::pending();
    for (at, body) in (0..).zip(bodies) {
        events.extend(story.see(&Frame {
            epoch: Epoch(1),
            seq: Seq(1),
            at: Timestamp(1_700_000_000_000_000_000 + at * 1_000_000_000),
            producer: "helm".into(),
            payload: Payload::Fact(Fact { body: Some(body) }),
        }));
    }
    events.iter().map(|event| serde_json::from_str(&event.json).unwrap()).collect()
}

use PhaseName::{Render, Rollout, Upgrade};
use PhaseState::{Failed, Running, Skipped, Succeeded};

fn until_helm() -> Vec<Body> {
    [(Render, Running), (Render, Succeeded), (Upgrade, Running), (Rollout, Running)]
        .map(|(name, state)| phase(name, state))
        .into()
}

#[test]
fn an_install_is_told_as_the_public_agent_told_it() {
    let mut story = story(true, false);
    let mut facts = until_helm();
    facts.extend([
        stdout("Release \"web\" does not exist. Installing it now."),
        stdout("NAME: web"),
        stdout("NOTES:"),
        stdout("Have fun."),
        phase(Upgrade, Succeeded),
        phase(Rollout, Succeeded),
        ended(WireStatus::Done, "", "deployed"),
    ]);
    let events = tell(&mut story, facts);
    assert_eq!(shape(&events), recorded("apply/install"));
    assert!(matches!(story.end(), Some(Ok(()))));
    let summary = &events.last().unwrap()["summary"];
    assert_eq!((&summary["status"], &summary["notes"]), (&"deployed".into(), &"Have fun.".into()));
    assert_eq!(
        (&summary["phaseDurations"]["install"], &summary["phaseDurations"]["diff"]),
        (&"4s".into(), &"0s".into())
    );
    assert!(events.iter().skip(6).all(|event| event["kind"] != "phase" || event["ts"] == ""));
}

#[test]
fn an_upgrade_and_a_dry_run_are_told_as_the_public_agent_told_them() {
    let mut upgrade = story(true, false);
    let mut facts = until_helm();
    facts.extend([
        phase(Upgrade, Succeeded),
        phase(Rollout, Succeeded),
        ended(WireStatus::Done, "", "deployed"),
    ]);
    assert_eq!(shape(&tell(&mut upgrade, facts)), recorded("apply/upgrade"));
    let mut dry = story(true, true);
    let facts = [(Render, Running), (Render, Succeeded), (Upgrade, Running), (Upgrade, Succeeded)];
    let mut facts: Vec<Body> = facts.map(|(name, state)| phase(name, state)).into();
    facts.push(ended(WireStatus::Done, "", "none"));
    let events = tell(&mut dry, facts);
    assert_eq!(shape(&events), recorded("apply/dry-run"));
    assert_eq!(events.last().unwrap()["summary"]["status"], "pending-install");
}

#[test]
fn a_failure_ends_with_a_status_and_no_summary() {
    let mut failed = story(true, false);
    let mut facts = until_helm();
    facts.extend([
        Body::Phase(Phase {
            message: "boom".into(),
            name: Upgrade.into(),
            state: Failed.into(),
            ..Phase::default()
        }),
        phase(Rollout, Skipped),
        ended(WireStatus::Error, "boom", "failed"),
    ]);
    assert_eq!(shape(&tell(&mut failed, facts)), recorded("apply/image-becomes-a-map"));
    let Some(Err(status)) = failed.end() else { panic!("it ended well") };
    assert_eq!((status.code(), status.message()), (tonic::Code::Unknown, "helm upgrade: boom"));
    let mut missing = story(true, false);
    let facts =
        vec![phase(Render, Running), phase(Render, Failed), ended(WireStatus::Error, "no chart", "none")];
    assert_eq!(shape(&tell(&mut missing, facts)), recorded("apply/missing-chart"));
    assert_eq!(missing.end().unwrap().unwrap_err().message(), "no chart");
}

#[test]
fn a_finding_is_a_line_with_its_place() {
    let place = crate::frame::Place { file: "values.yaml".into(), line: 3, column: 7, ..Default::default() };
    let finding = Finding {
        message: "no".into(),
        place: Some(place),
        severity: Severity::Error.into(),
        ..Default::default()
    };
    let events = tell(&mut story(true, false), vec![Body::Finding(finding)]);
    assert_eq!(events.last().unwrap()["log"]["message"], "values.yaml:3:7: no");
    assert_eq!(events.last().unwrap()["log"]["level"], "error");
}
