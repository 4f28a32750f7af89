//! Sessions: how they begin, what they are about, how they end.

use super::{append, created, ended, finish, get, mask, new};
use crate::{
    session::{Meta, Owner, Repository, Seq, SessionId, Status, Tags, Timestamp},
    store::{Created, Report, SessionStore, Stock, StoreError, model},
};

pub(super) async fn lets_an_operation_take_over_an_id_that_only_has_metadata(store: &dyn SessionStore) {
    let id = SessionId::mint();
    let meta = Meta { requester: "ann".into(), ..Meta::default() };
    store.annotate(&id, mask(meta), mask(Tags::from([("team".into(), "shop".into())]))).await.unwrap();
    let Created::New(session) = store.create(new(&id, Owner::Agent)).await.unwrap() else { panic!("known") };
    assert_eq!((session.owner, session.meta.requester.as_str()), (Owner::Agent, "ann"));
    assert_eq!(session.tags["team"], "shop");
    assert!(matches!(store.create(new(&id, Owner::Agent)).await.unwrap(), Created::Known(_)));
}

pub(super) async fn counts_what_it_holds(store: &dyn SessionStore) {
    let before = store.stock().await.unwrap();
    created(store, Owner::Agent).await;
    ended(store, Owner::Agent, Status::Cancelled).await;
    let after = store.stock().await.unwrap();
    let more = |status| {
        let count = |stock: &Stock| stock.sessions.get(&status).copied().unwrap_or(0);
        count(&after) - count(&before)
    };
    assert_eq!(Status::ALL.map(more), [1, 0, 0, 1, 0]);
    assert!(after.bytes > 0);
}

pub(super) async fn says_whether_it_can_be_written(store: &dyn SessionStore) {
    let id = created(store, Owner::Agent).await;
    let before = get(store, &id).await;
    store.probe().await.unwrap();
    assert_eq!(get(store, &id).await, before);
    store.close().await.unwrap();
    assert!(matches!(store.probe().await, Err(StoreError::Closed)));
}

pub(super) async fn joins_a_known_session(store: &dyn SessionStore) {
    let id = created(store, Owner::Agent).await;
    let Created::Known(session) = store.create(new(&id, Owner::Agent)).await.unwrap() else { panic!("new") };
    assert_eq!(session, get(store, &id).await);
    assert_eq!(session.request.unwrap().digest, "d1");
}

pub(super) async fn ends_a_session_with_its_last_frame(store: &dyn SessionStore) {
    let id = ended(store, Owner::Agent, Status::Cancelled).await;
    let session = get(store, &id).await;
    assert_eq!((session.status, session.exit_code, session.message.as_str()), (Status::Cancelled, 3, "over"));
    assert!(session.completed > Timestamp(0) && session.head == Seq(1));
}

pub(super) async fn keeps_a_terminal_state(store: &dyn SessionStore) {
    let id = ended(store, Owner::Agent, Status::Done).await;
    finish(store, &id, Status::Error).await;
    assert_eq!(get(store, &id).await.status, Status::Done);
    let report = Report {
        status: Status::Error,
        exit_code: 2,
        message: mask("boom".to_owned()),
        completed: Timestamp(0),
    };
    let session = store.report(&id, report).await.unwrap();
    assert_eq!((session.status, session.exit_code, session.message.as_str()), (Status::Error, 2, "boom"));
}

pub(super) async fn keeps_the_time_of_an_end_as_it_was_reported(store: &dyn SessionStore) {
    let id = created(store, Owner::Publisher).await;
    for (said, kept) in [(0, 0), (7, 7), (5, 7)] {
        let report = Report {
            status: Status::Done,
            exit_code: 0,
            message: mask(String::new()),
            completed: Timestamp(said),
        };
        let session = store.report(&id, report).await.unwrap();
        assert_eq!(session.claimed, Timestamp(kept), "{said}");
        assert!(session.completed > Timestamp(0), "retention has to know");
    }
}

pub(super) async fn revives_a_lost_publisher(store: &dyn SessionStore) {
    for (owner, expected) in [(Owner::Publisher, Status::Running), (Owner::Agent, Status::Lost)] {
        let id = ended(store, owner, Status::Lost).await;
        store.append(append(&id, None, &["still here"])).await.unwrap();
        let session = get(store, &id).await;
        assert_eq!(session.status, expected);
        assert_eq!(session.completed == Timestamp(0), expected == Status::Running);
    }
}

pub(super) async fn keeps_sources_until_their_session_goes(store: &dyn SessionStore) {
    let id = ended(store, Owner::Agent, Status::Done).await;
    store.put_source(&id, "a.yaml", mask("one".to_owned()), "h1").await.unwrap();
    store.put_source(&id, "a.yaml", mask("two".to_owned()), "h2").await.unwrap();
    let source = store.source(&id, "a.yaml").await.unwrap().unwrap();
    assert_eq!((source.masked.as_str(), source.sha256.as_str()), ("two", "h2"));
    assert!(store.source(&id, "b.yaml").await.unwrap().is_none());
    store.delete(&id, false, "").await.unwrap();
    store.create(new(&id, Owner::Agent)).await.unwrap();
    assert!(store.source(&id, "a.yaml").await.unwrap().is_none());
}

pub(super) async fn gives_up_only_silent_publishers(store: &dyn SessionStore) {
    let (silent, open) = (created(store, Owner::Publisher).await, created(store, Owner::Publisher).await);
    let operation = created(store, Owner::Agent).await;
    assert!(store.give_up(Timestamp(1), vec![]).await.unwrap().is_empty());
    let lost = store.give_up(Timestamp(i64::MAX), vec![open.clone()]).await.unwrap();
    assert_eq!(lost, std::slice::from_ref(&silent));
    let session = get(store, &silent).await;
    assert_eq!((session.status, session.message.as_str()), (Status::Lost, "lost after sequence 0"));
    for id in [open, operation] {
        assert_eq!(get(store, &id).await.status, Status::Running);
    }
}

pub(super) async fn refuses_what_is_over_a_limit(store: &dyn SessionStore) {
    let id = created(store, Owner::Publisher).await;
    let tags: Tags = (0..65).map(|n| (n.to_string(), String::new())).collect();
    let many = store.annotate(&id, mask(Meta::default()), mask(tags)).await;
    assert!(matches!(many, Err(StoreError::TooLarge { what: "the number of tags", actual: 65, limit: 64 })));
    let long = Meta { chart: "x".repeat(9000), ..Meta::default() };
    assert!(matches!(
        store.annotate(&id, mask(long), mask(Tags::new())).await,
        Err(StoreError::TooLarge { .. })
    ));
    let large = store.append(append(&id, None, &["fine", &"x".repeat(4 << 20)])).await;
    assert!(matches!(large, Err(StoreError::TooLarge { what: "a frame in bytes", .. })), "{large:?}");
    assert!(matches!(store.append(append(&id, None, &[])).await, Err(StoreError::Invalid(_))));
    assert!(matches!(store.append(append(&id, Some(0), &["a"])).await, Err(StoreError::Invalid(_))));
    assert_eq!(get(store, &id).await.head, Seq(0), "a refused batch left something behind");
}

pub(super) async fn refuses_everything_once_closed(store: &dyn SessionStore) {
    let id = created(store, Owner::Agent).await;
    store.close().await.unwrap();
    assert!(matches!(store.append(append(&id, None, &["a"])).await, Err(StoreError::Closed)));
    assert!(matches!(store.session(&id).await, Err(StoreError::Closed)));
    assert!(store.close().await.is_ok());
}

pub(super) async fn keeps_all_of_what_a_session_is_about(store: &dyn SessionStore) {
    let id = created(store, Owner::Publisher).await;
    let text = |text: &str| text.to_owned();
    let meta = Meta {
        command: text("apply"),
        args: vec![text("--wait"), text("web")],
        requester: text("ann"),
        cluster: text("prod"),
        context: text("admin@prod"),
        namespace: text("shop"),
        release: text("web"),
        chart: text("./chart"),
        principal: text("token"),
        workspace: text("w1"),
        repository: Repository {
            remote: text("git.example/shop"),
            commit: text("c0ffee"),
            branch: text("main"),
            dirty: true,
        },
        versions: [(text("helm"), text("v4.0.1")), (text("client"), text("0.1.0"))].into(),
        agent: text("build-1"),
    };
    store.annotate(&id, mask(meta.clone()), mask(Tags::new())).await.unwrap();
    let frames = store.append(append(&id, None, &["a"])).await.unwrap();
    let session = get(store, &id).await;
    assert_eq!((&session.meta, session.head), (&meta, frames.last));
    assert!(session.bytes > 0 && session.damage.is_empty() && session.pin.is_none());
}

pub(super) async fn agrees_with_the_model(store: &dyn SessionStore) {
    for seed in 1..=12 {
        model::compare(store, seed, 300).await;
    }
}
