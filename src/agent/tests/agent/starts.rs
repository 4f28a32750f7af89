//! One id, one run: whoever asks, however often, and whether or not they stay for the answer.

use std::time::Duration;

use futures::future::join_all;
use ktl_proto::control::v1::{Cluster, GetRequest, InfoRequest, Status, fact::Body};
use tonic::Code;

use crate::story::{Story, bodies, end, never, start};

/// A cluster that is known and not there.
const NOWHERE: &str = "clusters: [{ name: c, cluster: { server: 'https://127.0.0.1:1' } }]
users: [{ name: u, user: { token: of-nobody } }]
contexts: [{ name: nowhere, context: { cluster: c, user: u } }]
current-context: nowhere
";

#[tokio::test]
async fn of_many_starts_with_one_id_one_runs_and_the_others_join() {
    let Some(story) = Story::begin("many") else { return };
    let starts = (0..8).map(|_| start(story.agent(), story.request("many-1", |_| {})));
    let answers: Vec<_> = join_all(starts).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| !answer.joined).count(), 1, "{answers:#?}");
    let frames = story.follow("many-1", never).await;
    assert_eq!(bodies(&frames).filter(|body| matches!(body, Body::Started(_))).count(), 1);
    let ended = end(&frames);
    assert_eq!((ended.status(), ended.left_behind.unwrap().revision), (Status::Done, 1));
    assert!(
        start(story.agent(), story.request("many-1", |_| {})).await.unwrap().joined,
        "also after the end"
    );
}

#[tokio::test]
async fn of_two_requests_with_one_id_the_first_runs_and_the_other_is_told_the_difference() {
    let Some(story) = Story::begin("differ") else { return };
    let request = |atomic: bool| story.request("differ-1", |apply| apply.atomic = atomic);
    let starts = (0..8).map(|n| start(story.agent(), request(n % 2 == 0)));
    let (begun, refused): (Vec<_>, Vec<_>) = join_all(starts).await.into_iter().partition(Result::is_ok);
    assert_eq!((begun.len(), refused.len()), (4, 4), "{refused:#?}");
    for refused in refused {
        let status = refused.unwrap_err();
        assert_eq!(status.code(), Code::AlreadyExists, "{status:?}");
        assert!(status.message().contains("apply.atomic was"), "{status:?}");
    }
    let ended = end(&story.follow("differ-1", never).await);
    assert_eq!((ended.status(), ended.left_behind.unwrap().revision), (Status::Done, 1));
}

/// The connection goes at every point of a start that a client can hit: before it is sent, while it is decided, after.
#[tokio::test]
async fn a_start_whose_caller_vanishes_runs_to_its_end_or_was_never_there() {
    let Some(mut story) = Story::begin("vanish") else { return };
    // Helm fails soon here: it is the starts that are tried.
    let kubeconfig = story.data.path().with_file_name("nowhere");
    std::fs::write(&kubeconfig, NOWHERE).unwrap();
    story.args.extend(["--cluster".to_owned(), format!("name=nowhere,kubeconfig={}", kubeconfig.display())]);
    story.restart_agent();
    let request = |id: &str| {
        let mut request = story.request(id, |apply| apply.release = id.to_owned());
        request.cluster = Some(Cluster { name: "nowhere".to_owned(), ..Cluster::default() });
        request
    };
    start(story.agent(), request("vanish-0")).await.unwrap();
    let ids: Vec<String> = (1..=24).map(|n| format!("vanish-{n}")).collect();
    for (id, patience) in ids.iter().zip((0_u64..).step_by(250)) {
        let mut client = story.agent().operations().await;
        let answer = tokio::time::timeout(Duration::from_micros(patience), client.start(request(id))).await;
        drop((answer, client));
    }
    start(story.agent(), request("vanish-last")).await.unwrap();
    story.follow("vanish-last", never).await;
    settled(&story).await;
    let mut there = 0;
    for id in ids.iter().map(String::as_str).chain(["vanish-0", "vanish-last"]) {
        let asked = GetRequest { session_id: id.to_owned() };
        if let Err(status) = story.agent().sessions().await.get(asked).await {
            assert_eq!(status.code(), Code::NotFound, "{status:?}");
            continue;
        }
        there += 1;
        let frames = story.follow(id, never).await;
        assert_eq!(end(&frames).status(), Status::Error, "{id}");
        assert_eq!(bodies(&frames).filter(|body| matches!(body, Body::Started(_))).count(), 1, "{id}");
    }
    eprintln!("{there} of {} starts came through", ids.len() + 2);
    settled(&story).await;
}

/// Waits until nothing runs, and nothing is left of what ran.
async fn settled(story: &Story) {
    let runs = story.data.path().join("runs");
    let wait = async {
        loop {
            let info = story.agent().agent().await.info(InfoRequest {}).await.unwrap().into_inner();
            if info.running == 0 && std::fs::read_dir(&runs).unwrap().next().is_none() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("something runs that nobody knows");
}
