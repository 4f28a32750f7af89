//! What may be deleted, by whom, and what retention takes.

use std::time::Duration;

use super::{append, created, ended, finish, get, mask, read};
use crate::{
    session::{Cursor, Meta, Owner, Pin, Seq, SessionId, Status, Tags, Timestamp},
    store::{Keep, Page, PageLimit, Pruned, Retention, Rule, SessionStore, StoreError},
};

async fn prune(store: &dyn SessionStore, keep: &Retention) -> Vec<SessionId> {
    ids(&store.prune(keep, false).await.unwrap())
}

fn ids(pruned: &Pruned) -> Vec<SessionId> {
    pruned.condemned.iter().map(|condemned| condemned.session.id.clone()).collect()
}

async fn pin(store: &dyn SessionStore, id: &SessionId, until: Timestamp) {
    let pin = Pin { reason: "incident 7".into(), until, principal: "ann".into(), at: Timestamp::now() };
    assert_eq!(store.pin(id, Some(mask(pin.clone()))).await.unwrap().pin, Some(pin));
}

const NOTHING_STAYS: Retention = Retention {
    max_sessions: None,
    max_bytes: None,
    max_age: Some(Duration::ZERO),
    max_frames: None,
    rules: Vec::new(),
};

pub(super) async fn deletes_no_operation_that_runs(store: &dyn SessionStore) {
    let id = created(store, Owner::Agent).await;
    assert!(matches!(store.delete(&id, false, "").await, Err(StoreError::Busy(_))));
    finish(store, &id, Status::Done).await;
    assert!(store.delete(&id, false, "").await.unwrap());
    assert!(store.session(&id).await.unwrap().is_none());
    let gone = store.page(&id, Cursor::START, PageLimit::default()).await;
    assert!(matches!(gone, Err(StoreError::NotFound(_))));
}

pub(super) async fn prunes_the_oldest_end_first_and_nothing_that_runs(store: &dyn SessionStore) {
    let running = created(store, Owner::Agent).await;
    let mut finished = Vec::new();
    for _ in 0..4 {
        finished.push(ended(store, Owner::Agent, Status::Done).await);
    }
    let keep = Retention { max_sessions: Some(3), ..Retention::default() };
    assert_eq!(prune(store, &keep).await, finished[..2]);
    assert!(prune(store, &keep).await.is_empty());
    let nothing = Retention { max_age: Some(Duration::ZERO), ..Retention::default() };
    assert_eq!(prune(store, &nothing).await, finished[2..]);
    assert!(prune(store, &Retention { max_bytes: Some(0), ..Retention::default() }).await.is_empty());
    assert_eq!(get(store, &running).await.status, Status::Running);
}

pub(super) async fn deletes_what_is_pinned_only_by_force(store: &dyn SessionStore) {
    let id = ended(store, Owner::Agent, Status::Done).await;
    pin(store, &id, Timestamp(0)).await;
    assert_eq!(get(store, &id).await.pin.unwrap().principal, "ann");
    let refused = store.delete(&id, false, "bob").await.unwrap_err();
    assert!(matches!(refused, StoreError::Pinned { .. }), "{refused:?}");
    assert!(refused.to_string().contains("(incident 7): unpin it first"), "{refused}");
    assert!(prune(store, &NOTHING_STAYS).await.is_empty(), "retention took what is pinned");
    store.pin(&id, None).await.unwrap();
    assert!(store.delete(&id, false, "bob").await.unwrap());
    let (past, forced) = (ended(store, Owner::Agent, Status::Done).await, created(store, Owner::Agent).await);
    let late = Pin { reason: "until then".into(), until: Timestamp(2), at: Timestamp(1), ..Pin::default() };
    store.pin(&past, Some(mask(late))).await.unwrap();
    assert!(get(store, &past).await.pin.is_none(), "a pin that has let go still shows");
    assert!(store.delete(&past, false, "bob").await.unwrap());
    pin(store, &forced, Timestamp(i64::MAX)).await;
    assert!(store.delete(&forced, true, "bob").await.unwrap());
    let no_reason = store.pin(&forced, Some(mask(Pin::default()))).await;
    assert!(matches!(no_reason, Err(StoreError::Invalid(_))), "{no_reason:?}");
    let nobody = Pin { reason: "x".into(), at: Timestamp(1), ..Pin::default() };
    assert!(matches!(store.pin(&forced, Some(mask(nobody))).await, Err(StoreError::NotFound(_))));
}

pub(super) async fn remembers_what_was_deleted(store: &dyn SessionStore) {
    let asked = ended(store, Owner::Agent, Status::Error).await;
    let old = ended(store, Owner::Agent, Status::Done).await;
    let before = get(store, &asked).await;
    store.delete(&asked, false, "bob").await.unwrap();
    store.prune(&NOTHING_STAYS, false).await.unwrap();
    let rows = store.audit(10).await.unwrap();
    let [newer, older] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((&newer.id, newer.principal.as_str()), (&old, "retention"));
    assert!(newer.why.contains("it ended more than 0 ago"), "{}", newer.why);
    assert_eq!((&older.id, older.principal.as_str(), older.why.as_str()), (&asked, "bob", "requested"));
    assert_eq!((older.epoch, older.head, older.status), (before.epoch, before.head, Status::Error));
    assert!(older.at >= before.completed && older.at <= newer.at);
    assert_eq!(store.audit(1).await.unwrap().len(), 1);
}

pub(super) async fn takes_the_age_of_the_first_rule_that_matches(store: &dyn SessionStore) {
    let tags = |pairs: &[(&str, &str)]| -> Tags {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let mut made = Vec::new();
    for (status, pairs) in [
        (Status::Error, tags(&[("team", "shop")])),
        (Status::Done, tags(&[("ci", "1")])),
        (Status::Done, tags(&[("team", "shop"), ("ci", "1")])),
        (Status::Done, tags(&[])),
    ] {
        let id = ended(store, Owner::Agent, status).await;
        store.annotate(&id, mask(Meta::default()), mask(pairs)).await.unwrap();
        made.push(id);
    }
    let rule = |text: &str| text.parse::<Rule>().unwrap();
    let rules = vec![rule("keep=forever,tag.team=shop"), rule("keep=0,tag.ci=")];
    let keep = Retention { max_age: Some(Duration::from_hours(1)), rules, ..Retention::default() };
    let said = store.prune(&keep, true).await.unwrap();
    assert_eq!(
        said.condemned[0].reason.to_string(),
        "it ended more than 0 ago, which is all that rule 2 keeps"
    );
    assert_eq!(prune(store, &keep).await, made[1..2]);
    let rules = vec![Rule { tags: Tags::new(), status: vec![Status::Error], keep: Keep::Forever }];
    assert_eq!(prune(store, &Retention { rules, ..NOTHING_STAYS }).await, made[2..]);
    // A rule speaks of age; a count holds for all.
    let rules = vec![rule("keep=forever")];
    assert_eq!(
        prune(store, &Retention { max_sessions: Some(0), rules, ..Retention::default() }).await,
        made[..1]
    );
}

pub(super) async fn says_what_it_would_take_and_takes_nothing(store: &dyn SessionStore) {
    for _ in 0..5 {
        ended(store, Owner::Agent, Status::Done).await;
    }
    let rules = vec!["keep=0,status=error".parse::<Rule>().unwrap()];
    let keep = Retention { max_sessions: Some(2), max_frames: Some(0), rules, ..Retention::default() };
    let said = store.prune(&keep, true).await.unwrap();
    assert_eq!((said.condemned.len(), said.trimmed.len(), said.more), (3, 2, false));
    assert_eq!(said.condemned[0].reason.to_string(), "there are more than 2 sessions");
    assert!(said.freed > 0 && said.freed == said.condemned.iter().map(|it| it.bytes).sum::<u64>());
    assert_eq!(store.prune(&keep, true).await.unwrap(), said, "a dry run took something");
    assert!(store.audit(1).await.unwrap().is_empty());
    assert_eq!(prune(store, &keep).await, ids(&said));
}

pub(super) async fn takes_the_oldest_frames_of_a_session_that_runs(store: &dyn SessionStore) {
    let (busy, held) = (created(store, Owner::Agent).await, created(store, Owner::Agent).await);
    for id in [&busy, &held] {
        for n in 1..=5000_u64 {
            if n % 1000 == 0 {
                let texts: Vec<String> = (n - 999..=n).map(|n| n.to_string()).collect();
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                store.append(append(id, Some(n - 999), &texts)).await.unwrap();
            }
        }
    }
    pin(store, &held, Timestamp(0)).await;
    let keep = Retention { max_frames: Some(100), ..Retention::default() };
    let trimmed = store.prune(&keep, false).await.unwrap().trimmed;
    assert_eq!(
        trimmed.iter().map(|it| (&it.id, it.from, it.to)).collect::<Vec<_>>(),
        [(&busy, Seq(1), Seq(4900))]
    );
    let session = get(store, &busy).await;
    assert_eq!((session.first, session.head), (Seq(4901), Seq(5000)));
    assert_eq!(read(store, &busy, Cursor::START).await[0], (4901, "4901".into()));
    assert_eq!(get(store, &held).await.first, Seq(1));
    // The numbers of its producer and of its frames go on.
    let next = store.append(append(&busy, Some(5001), &["next"])).await.unwrap();
    assert_eq!(next.first, Seq(5001));
    let none = store.prune(&Retention { max_frames: Some(0), ..keep }, false).await.unwrap();
    assert_eq!(none.trimmed[0].to, Seq(5001));
    assert!(read(store, &busy, Cursor::START).await.is_empty());
    let page = store.page(&busy, Cursor::START, PageLimit::default()).await.unwrap();
    assert!(
        matches!(page, Page::Frames(heading, _) if heading.first == Seq(5002) && heading.head == Seq(5001))
    );
}
