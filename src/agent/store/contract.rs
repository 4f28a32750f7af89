//! What every store promises, once, for each store that there is.

use std::time::Duration;

use tempfile::TempDir;

use super::{
    Append, Appended, Created, End, NewSession, Page, PageLimit, Report, Retention, SessionQuery,
    SessionStore, StoreError, model, sqlite::SqliteStore,
};
use crate::{
    frame::{Body, Fact, Line, Payload},
    mask::{Masked, Masker},
    session::{Cursor, Epoch, Meta, Owner, RequestRecord, Seq, Session, SessionId, Status, Tags, Timestamp},
};

/// Runs every claim against a fresh store.
macro_rules! contract {
    ($store:ident => $scratch:expr) => {
        contract!(@ $store, $scratch,
            numbers_frames_from_one_without_gaps
            gives_a_repeat_its_first_answer
            refuses_a_hole_of_a_producer
            stores_only_what_is_new_of_a_batch_that_overlaps
            starts_a_larger_epoch_when_a_deleted_id_comes_back
            lets_an_operation_take_over_an_id_that_only_has_metadata
            joins_a_known_session
            ends_a_session_with_its_last_frame
            keeps_a_terminal_state
            revives_a_lost_publisher
            reads_pages_within_their_limits
            answers_a_foreign_cursor_with_the_heading
            finds_sessions_by_what_they_are_about
            deletes_no_operation_that_runs
            keeps_sources_until_their_session_goes
            prunes_the_oldest_end_first_and_nothing_that_runs
            gives_up_only_silent_publishers
            refuses_what_is_over_a_limit
            agrees_with_the_model
            refuses_everything_once_closed
        );
    };
    (@ $store:ident, $scratch:expr, $($claim:ident)*) => {
        mod $store {
            $(
                #[tokio::test]
                async fn $claim() {
                    let scratch = $scratch;
                    super::$claim(&scratch.store).await;
                }
            )*
        }
    };
}

contract!(sqlite => super::Scratch::sqlite());

pub(super) struct Scratch<S> {
    pub(super) store: S,
    _folder: TempDir,
}

impl Scratch<SqliteStore> {
    fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { store: SqliteStore::open(&folder.path().join("sessions.db")).unwrap(), _folder: folder }
    }
}

pub(super) fn mask<T: crate::mask::Maskable>(value: T) -> Masked<T> {
    Masker::new([]).mask(value)
}

pub(super) fn line(text: &str) -> Masked<Payload> {
    mask(Fact { body: Some(Body::Line(Line { text: text.into(), ..Line::default() })) }).into_payload()
}

pub(super) fn text(payload: &Payload) -> &str {
    match payload {
        Payload::Fact(Fact { body: Some(Body::Line(line)) }) => &line.text,
        other => panic!("not a line: {other:?}"),
    }
}

pub(super) fn new(id: &SessionId, owner: Owner) -> NewSession {
    let request = RequestRecord { digest: "d1".into(), canonical: "{}".into() };
    NewSession {
        id: id.clone(),
        meta: mask(Meta::default()),
        tags: mask(Tags::new()),
        owner,
        request: (owner == Owner::Agent).then(|| mask(request)),
    }
}

pub(super) fn append(id: &SessionId, counter: Option<u64>, texts: &[&str]) -> Append {
    let payloads = texts.iter().copied().map(line).collect();
    Append { session: id.clone(), producer: "p".into(), counter, payloads, end: None }
}

async fn created(store: &dyn SessionStore, owner: Owner) -> SessionId {
    let id = SessionId::mint();
    assert!(matches!(store.create(new(&id, owner)).await.unwrap(), Created::New(_)));
    id
}

async fn ended(store: &dyn SessionStore, owner: Owner, status: Status) -> SessionId {
    let id = created(store, owner).await;
    finish(store, &id, status).await;
    id
}

async fn finish(store: &dyn SessionStore, id: &SessionId, status: Status) -> Appended {
    let end = End { status, exit_code: 3, message: mask("over".to_owned()) };
    store.append(Append { end: Some(end), ..append(id, None, &["end"]) }).await.unwrap()
}

async fn get(store: &dyn SessionStore, id: &SessionId) -> Session {
    store.session(id).await.unwrap().unwrap()
}

async fn read(store: &dyn SessionStore, id: &SessionId, after: Cursor) -> Vec<(u64, String)> {
    match store.page(id, after, PageLimit::default()).await.unwrap() {
        Page::Frames(_, frames) => {
            frames.iter().map(|frame| (frame.seq.0, text(&frame.payload).to_owned())).collect()
        }
        Page::Foreign(heading) => panic!("a foreign cursor: {heading:?}"),
    }
}

async fn numbers_frames_from_one_without_gaps(store: &dyn SessionStore) {
    let id = created(store, Owner::Agent).await;
    let first = store.append(append(&id, None, &["a", "b"])).await.unwrap();
    let second = store.append(append(&id, None, &["c"])).await.unwrap();
    assert_eq!((first.first, first.last, second.first, second.last), (Seq(1), Seq(2), Seq(3), Seq(3)));
    let frames = read(store, &id, Cursor::START).await;
    assert_eq!(frames, [(1, "a".into()), (2, "b".into()), (3, "c".into())]);
    let stranger = store.append(append(&SessionId::mint(), None, &["x"])).await;
    assert!(matches!(stranger, Err(StoreError::NotFound(_))));
}

async fn gives_a_repeat_its_first_answer(store: &dyn SessionStore) {
    let id = created(store, Owner::Agent).await;
    store.append(append(&id, None, &["x"])).await.unwrap();
    let first = store.append(append(&id, Some(1), &["a", "b"])).await.unwrap();
    store.append(append(&id, None, &["y"])).await.unwrap();
    let again = store.append(append(&id, Some(1), &["a", "b"])).await.unwrap();
    assert_eq!(again, Appended { repeated: true, ..first });
    assert_eq!(store.last_counter(&id, "p").await.unwrap(), 2);
    assert_eq!(store.last_counter(&id, "other").await.unwrap(), 0);
    assert_eq!(get(store, &id).await.head, Seq(4));
}

async fn refuses_a_hole_of_a_producer(store: &dyn SessionStore) {
    let id = created(store, Owner::Agent).await;
    store.append(append(&id, Some(1), &["a"])).await.unwrap();
    let hole = store.append(append(&id, Some(3), &["c"])).await;
    assert!(matches!(hole, Err(StoreError::ProducerGap { expected: 2, got: 3, .. })), "{hole:?}");
    assert_eq!(get(store, &id).await.head, Seq(1), "a refused frame was stored");
}

async fn stores_only_what_is_new_of_a_batch_that_overlaps(store: &dyn SessionStore) {
    let id = created(store, Owner::Agent).await;
    store.append(append(&id, Some(1), &["a", "b"])).await.unwrap();
    let more = store.append(append(&id, Some(2), &["b", "c"])).await.unwrap();
    assert_eq!((more.first, more.last, more.repeated), (Seq(2), Seq(3), false));
    assert_eq!(read(store, &id, Cursor::START).await.len(), 3);
}

async fn starts_a_larger_epoch_when_a_deleted_id_comes_back(store: &dyn SessionStore) {
    let id = created(store, Owner::Publisher).await;
    let before = store.append(append(&id, Some(1), &["a"])).await.unwrap();
    assert!(store.delete(&id).await.unwrap() && !store.delete(&id).await.unwrap());
    store.create(new(&id, Owner::Publisher)).await.unwrap();
    let after = store.append(append(&id, Some(1), &["b"])).await.unwrap();
    assert!(after.epoch > before.epoch && after.first == Seq(1) && !after.repeated);
    assert_eq!(read(store, &id, Cursor::START).await, [(1, "b".into())]);
    // The id has changed its epoch, so a number alone means nothing any more.
    let bare = Cursor { epoch: Epoch(0), seq: Seq(1) };
    let page = store.page(&id, bare, PageLimit::default()).await.unwrap();
    assert!(matches!(page, Page::Foreign(_)));
}

async fn lets_an_operation_take_over_an_id_that_only_has_metadata(store: &dyn SessionStore) {
    let id = SessionId::mint();
    let meta = Meta { requester: "ann".into(), ..Meta::default() };
    store.annotate(&id, mask(meta), mask(Tags::from([("team".into(), "shop".into())]))).await.unwrap();
    let Created::New(session) = store.create(new(&id, Owner::Agent)).await.unwrap() else { panic!("known") };
    assert_eq!((session.owner, session.meta.requester.as_str()), (Owner::Agent, "ann"));
    assert_eq!(session.tags["team"], "shop");
    assert!(matches!(store.create(new(&id, Owner::Agent)).await.unwrap(), Created::Known(_)));
}

async fn joins_a_known_session(store: &dyn SessionStore) {
    let id = created(store, Owner::Agent).await;
    let Created::Known(session) = store.create(new(&id, Owner::Agent)).await.unwrap() else { panic!("new") };
    assert_eq!(session, get(store, &id).await);
    assert_eq!(session.request.unwrap().digest, "d1");
}

async fn ends_a_session_with_its_last_frame(store: &dyn SessionStore) {
    let id = ended(store, Owner::Agent, Status::Cancelled).await;
    let session = get(store, &id).await;
    assert_eq!((session.status, session.exit_code, session.message.as_str()), (Status::Cancelled, 3, "over"));
    assert!(session.completed > Timestamp(0) && session.head == Seq(1));
}

async fn keeps_a_terminal_state(store: &dyn SessionStore) {
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

async fn revives_a_lost_publisher(store: &dyn SessionStore) {
    for (owner, expected) in [(Owner::Publisher, Status::Running), (Owner::Agent, Status::Lost)] {
        let id = ended(store, owner, Status::Lost).await;
        store.append(append(&id, None, &["still here"])).await.unwrap();
        let session = get(store, &id).await;
        assert_eq!(session.status, expected);
        assert_eq!(session.completed == Timestamp(0), expected == Status::Running);
    }
}

async fn reads_pages_within_their_limits(store: &dyn SessionStore) {
    let id = created(store, Owner::Agent).await;
    let large = "x".repeat(1000);
    store.append(append(&id, None, &[&large, &large, &large, "small"])).await.unwrap();
    for (frames, bytes, expected) in
        [(2, 1 << 20, 2), (100, 1500, 2), (100, 1, 1), (0, 0, 1), (100, 1 << 20, 4)]
    {
        let page = store.page(&id, Cursor::START, PageLimit { frames, bytes }).await.unwrap();
        let Page::Frames(heading, found) = page else { panic!("foreign") };
        assert_eq!((found.len(), heading.head), (expected, Seq(4)), "{frames} frames, {bytes} bytes");
    }
}

async fn answers_a_foreign_cursor_with_the_heading(store: &dyn SessionStore) {
    let id = created(store, Owner::Agent).await;
    let epoch = store.append(append(&id, None, &["a"])).await.unwrap().epoch;
    for cursor in [
        Cursor { epoch, seq: Seq(2) },
        Cursor { epoch: Epoch(epoch.0 + 1), seq: Seq(1) },
        Cursor { epoch: Epoch(epoch.0 - 1), seq: Seq(0) },
        Cursor { epoch: Epoch(0), seq: Seq(u64::MAX) },
    ] {
        let page = store.page(&id, cursor, PageLimit::default()).await.unwrap();
        assert!(matches!(page, Page::Foreign(heading) if heading.head == Seq(1)), "{cursor}");
    }
    assert!(read(store, &id, Cursor { epoch, seq: Seq(1) }).await.is_empty());
}

async fn finds_sessions_by_what_they_are_about(store: &dyn SessionStore) {
    let about = |release: &str, command: &str| Meta {
        release: release.into(),
        command: command.into(),
        args: vec!["--x".into(), "1".into()],
        ..Meta::default()
    };
    let tags = |team: &str| mask(Tags::from([("team".into(), team.into())]));
    let (web, db) = (SessionId::mint(), SessionId::mint());
    store.annotate(&web, mask(about("web", "ktl apply")), tags("it's")).await.unwrap();
    store.annotate(&db, mask(about("db", "ktl plan")), tags("core")).await.unwrap();
    let query = SessionQuery::default;
    let with = |meta: Meta| SessionQuery { meta, ..query() };
    let tagged =
        |key: &str, value: &str| SessionQuery { tags: Tags::from([(key.into(), value.into())]), ..query() };
    let both = vec![&db, &web];
    for (name, query, expected) in [
        ("all, the last seen first", query(), both.clone()),
        ("limit", SessionQuery { limit: 1, ..query() }, vec![&db]),
        ("release", with(Meta { release: "web".into(), ..Meta::default() }), vec![&web]),
        ("exact command", with(Meta { command: "apply".into(), ..Meta::default() }), vec![]),
        (
            "loose",
            SessionQuery { loose: true, ..with(Meta { command: "APPLY".into(), ..Meta::default() }) },
            vec![&web],
        ),
        ("args", with(Meta { args: vec!["--x".into()], ..Meta::default() }), both.clone()),
        ("other args", with(Meta { args: vec!["1".into()], ..Meta::default() }), vec![]),
        ("tag", tagged("team", "it's"), vec![&web]),
        ("tag key", tagged("team", ""), both.clone()),
        ("no tag", tagged("pr", ""), vec![]),
        ("status", SessionQuery { status: vec![Status::Done, Status::Lost], ..query() }, vec![]),
        ("owner", SessionQuery { owner: Some(Owner::Publisher), ..query() }, both.clone()),
        ("future", SessionQuery { since: Timestamp(i64::MAX), ..query() }, vec![]),
        ("past", SessionQuery { until: Timestamp(1), ..query() }, vec![]),
    ] {
        let found = store.list(query).await.unwrap();
        assert_eq!(found.iter().map(|session| &session.id).collect::<Vec<_>>(), expected, "{name}");
    }
}

async fn deletes_no_operation_that_runs(store: &dyn SessionStore) {
    let id = created(store, Owner::Agent).await;
    assert!(matches!(store.delete(&id).await, Err(StoreError::Busy(_))));
    finish(store, &id, Status::Done).await;
    assert!(store.delete(&id).await.unwrap());
    assert!(store.session(&id).await.unwrap().is_none());
    let gone = store.page(&id, Cursor::START, PageLimit::default()).await;
    assert!(matches!(gone, Err(StoreError::NotFound(_))));
}

async fn keeps_sources_until_their_session_goes(store: &dyn SessionStore) {
    let id = ended(store, Owner::Agent, Status::Done).await;
    store.put_source(&id, "a.yaml", mask("one".to_owned()), "h1").await.unwrap();
    store.put_source(&id, "a.yaml", mask("two".to_owned()), "h2").await.unwrap();
    let source = store.source(&id, "a.yaml").await.unwrap().unwrap();
    assert_eq!((source.masked.as_str(), source.sha256.as_str()), ("two", "h2"));
    assert!(store.source(&id, "b.yaml").await.unwrap().is_none());
    store.delete(&id).await.unwrap();
    store.create(new(&id, Owner::Agent)).await.unwrap();
    assert!(store.source(&id, "a.yaml").await.unwrap().is_none());
}

async fn prunes_the_oldest_end_first_and_nothing_that_runs(store: &dyn SessionStore) {
    let running = created(store, Owner::Agent).await;
    let mut finished = Vec::new();
    for _ in 0..4 {
        finished.push(ended(store, Owner::Agent, Status::Done).await);
    }
    let keep = Retention { max_sessions: Some(3), ..Retention::default() };
    assert_eq!(store.prune(keep).await.unwrap(), finished[..2]);
    assert!(store.prune(keep).await.unwrap().is_empty());
    let nothing = Retention { max_age: Some(Duration::ZERO), ..Retention::default() };
    assert_eq!(store.prune(nothing).await.unwrap(), finished[2..]);
    assert!(store.prune(Retention { max_bytes: Some(0), ..Retention::default() }).await.unwrap().is_empty());
    assert_eq!(get(store, &running).await.status, Status::Running);
}

async fn gives_up_only_silent_publishers(store: &dyn SessionStore) {
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

async fn refuses_what_is_over_a_limit(store: &dyn SessionStore) {
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

async fn agrees_with_the_model(store: &dyn SessionStore) {
    for seed in 1..=8 {
        model::compare(store, seed, 250).await;
    }
}

async fn refuses_everything_once_closed(store: &dyn SessionStore) {
    let id = created(store, Owner::Agent).await;
    store.close().await.unwrap();
    assert!(matches!(store.append(append(&id, None, &["a"])).await, Err(StoreError::Closed)));
    assert!(matches!(store.session(&id).await, Err(StoreError::Closed)));
    assert!(store.close().await.is_ok());
}
