//! Lists: filters, order, pages.

use super::{created, ended, get, mask};
use crate::{
    session::{Meta, Owner, Pin, Repository, SessionId, Status, Tags, Timestamp},
    store::{SessionQuery, SessionStore, TimeRange},
};

pub(super) async fn finds_sessions_by_what_they_are_about(store: &dyn SessionStore) {
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
    let of = |repository: Repository| Meta { repository, ..Meta::default() };
    let version = |helm: &str| Meta { versions: [("helm".into(), helm.into())].into(), ..Meta::default() };
    let commit = Repository { commit: "c1".into(), ..Repository::default() };
    let more = Meta { agent: "build-1".into(), repository: commit, ..version("v4") };
    store.annotate(&web, mask(more), mask(Tags::new())).await.unwrap();
    store.annotate(&db, mask(Meta::default()), mask(Tags::new())).await.unwrap();
    let held = Pin { reason: "audit".into(), at: Timestamp(1), ..Pin::default() };
    store.pin(&db, Some(mask(held))).await.unwrap();
    let past = Pin { until: Timestamp(2), reason: "until then".into(), at: Timestamp(1), ..Pin::default() };
    store.pin(&web, Some(mask(past))).await.unwrap();
    let tags_of = |keys: &[&str]| keys.iter().map(|key| ((*key).to_owned(), String::new())).collect::<Tags>();
    let text = |text: &str| SessionQuery { text: text.into(), ..SessionQuery::default() };
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
        ("text", text("WE"), vec![&web]),
        ("text of an id", text(&db.as_str()[20..]), vec![&db]),
        ("no text", text("%"), vec![]),
        ("commit", with(of(Repository { commit: "c1".into(), ..Repository::default() })), vec![&web]),
        ("dirty", with(of(Repository { dirty: true, ..Repository::default() })), vec![]),
        ("version", with(version("v4")), vec![&web]),
        ("other version", with(version("v3")), vec![]),
        ("agent", with(Meta { agent: "build-1".into(), ..Meta::default() }), vec![&web]),
        ("two tags", SessionQuery { tags: tags_of(&["team", "pr"]), ..query() }, vec![]),
        ("pinned", SessionQuery { pinned: Some(true), ..query() }, vec![&db]),
        ("not pinned", SessionQuery { pinned: Some(false), ..query() }, vec![&web]),
    ] {
        let found = store.list(query).await.unwrap().sessions;
        assert_eq!(found.iter().map(|session| &session.id).collect::<Vec<_>>(), expected, "{name}");
    }
}

pub(super) async fn finds_sessions_by_when_they_were(store: &dyn SessionStore) {
    let done = ended(store, Owner::Agent, Status::Done).await;
    let running = created(store, Owner::Agent).await;
    let (done, running) = (get(store, &done).await, get(store, &running).await);
    let range = |from: Timestamp, to: Timestamp| TimeRange { from, to };
    let open = Timestamp(0);
    let query = SessionQuery::default;
    for (name, query, expected) in [
        ("seen since", SessionQuery { last_seen: range(running.last_seen, open), ..query() }, vec![&running]),
        ("seen until", SessionQuery { last_seen: range(open, done.last_seen), ..query() }, vec![&done]),
        (
            "seen in the future",
            SessionQuery { last_seen: range(Timestamp(i64::MAX), open), ..query() },
            vec![],
        ),
        ("created at", SessionQuery { created: range(done.created, done.created), ..query() }, vec![&done]),
        (
            "created since",
            SessionQuery { created: range(done.created, open), ..query() },
            vec![&running, &done],
        ),
        ("ended since", SessionQuery { completed: range(Timestamp(1), open), ..query() }, vec![&done]),
        ("ended until", SessionQuery { completed: range(open, Timestamp(i64::MAX)), ..query() }, vec![&done]),
        ("ended before", SessionQuery { completed: range(open, Timestamp(1)), ..query() }, vec![]),
    ] {
        let found = store.list(query).await.unwrap().sessions;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{name}");
    }
}

pub(super) async fn pages_through_every_list_without_a_repeat(store: &dyn SessionStore) {
    for n in 0..23 {
        let id = ended(store, Owner::Publisher, [Status::Done, Status::Error][n % 2]).await;
        let meta = Meta { release: ["web", "db", "web"][n % 3].into(), ..Meta::default() };
        let tags = Tags::from([("team".into(), ["shop", "core"][n / 12].into())]);
        store.annotate(&id, mask(meta), mask(tags)).await.unwrap();
    }
    let release = Meta { release: "web".into(), ..Meta::default() };
    let tags = Tags::from([("team".into(), "shop".into())]);
    let query = SessionQuery::default;
    for (name, query, expected) in [
        ("all", query(), 23),
        ("release", SessionQuery { meta: release, ..query() }, 15),
        ("tag", SessionQuery { tags, ..query() }, 12),
        ("state", SessionQuery { status: vec![Status::Error], ..query() }, 11),
        ("states", SessionQuery { status: vec![Status::Lost, Status::Error, Status::Done], ..query() }, 23),
    ] {
        let whole = store.list(SessionQuery { limit: 100, ..query.clone() }).await.unwrap();
        assert_eq!((whole.sessions.len(), whole.next), (expected, None), "{name}");
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.list(SessionQuery { limit: 4, after, ..query.clone() }).await.unwrap();
            found.extend(page.sessions);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, whole.sessions, "{name}");
        assert!(found.is_sorted_by(|a, b| a.last_seen > b.last_seen), "{name}");
    }
}

/// The Go agent filters the latest thousand in memory.
pub(super) async fn looks_at_all_sessions_and_not_at_the_latest_thousand(store: &dyn SessionStore) {
    let old = SessionId::mint();
    let meta = Meta { release: "Old".into(), command: "ktl apply".into(), ..Meta::default() };
    store.annotate(&old, mask(meta), mask(Tags::new())).await.unwrap();
    for _ in 0..1010 {
        store.annotate(&SessionId::mint(), mask(Meta::default()), mask(Tags::new())).await.unwrap();
    }
    let meta = Meta { release: "oLD".into(), command: "APPLY".into(), ..Meta::default() };
    let found = store.list(SessionQuery { meta, loose: true, ..SessionQuery::default() }).await.unwrap();
    assert_eq!(found.sessions.iter().map(|session| &session.id).collect::<Vec<_>>(), [&old]);
}
