//! The journal's promises to its followers, on a real store.

use futures::StreamExt as _;
use tempfile::TempDir;

use super::*;
use crate::{
    frame::{Body, Line, Payload, WireStatus},
    session::Seq,
    store::sqlite::SqliteStore,
};

struct Scratch {
    journal: Journal,
    folder: TempDir,
}

fn scratch() -> Scratch {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("sessions.db")).unwrap();
    Scratch { journal: Journal::new(Arc::new(store), MarkKey::random()), folder }
}

fn line(text: &str) -> Masked<Fact> {
    let line = Line { text: text.into(), ..Line::default() };
    Masker::new([]).mask(Fact { body: Some(Body::Line(line)) })
}

fn batch(texts: &[&str]) -> Batch {
    Batch { producer: "helm".into(), counter: None, facts: texts.iter().copied().map(line).collect() }
}

fn ended(status: WireStatus) -> Masked<Ended> {
    Masker::new([]).mask(Ended {
        status: status.into(),
        exit_code: 0,
        message: "over".into(),
        left_behind: None,
    })
}

async fn new_session(journal: &Journal, owner: Owner) -> SessionId {
    let id = SessionId::mint();
    let masker = journal.masker(&id, []);
    let (meta, tags) = (masker.mask(Meta::default()), masker.mask(Tags::new()));
    journal.create(NewSession { id: id.clone(), meta, tags, owner, request: None }).await.unwrap();
    id
}

fn texts(followed: &[Followed]) -> Vec<String> {
    let text = |item: &Followed| match item {
        Followed::Frame(frame) => match &frame.payload {
            Payload::Fact(Fact { body: Some(Body::Line(line)) }) => Some(line.text.clone()),
            _ => None,
        },
        _ => None,
    };
    followed.iter().filter_map(text).collect()
}

const LONG: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn an_early_and_a_late_follower_see_every_frame_once_and_in_order() {
    let Scratch { journal, folder: _folder } = scratch();
    let id = new_session(&journal, Owner::Agent).await;
    let early =
        tokio::spawn(journal.follow(&id, Cursor::START, LONG).map(Result::unwrap).collect::<Vec<_>>());
    let writer = {
        let (journal, id) = (journal.clone(), id.clone());
        tokio::spawn(async move {
            for n in 0..1500 {
                journal.append(&id, batch(&[&n.to_string()])).await.unwrap();
            }
            journal.finish(&id, "helm", None, ended(WireStatus::Done)).await.unwrap();
        })
    };
    tokio::time::sleep(Duration::from_millis(20)).await;
    let late = tokio::spawn(journal.follow(&id, Cursor::START, LONG).map(Result::unwrap).collect::<Vec<_>>());
    writer.await.unwrap();
    let expected: Vec<String> = (0..1500).map(|n| n.to_string()).collect();
    for follower in [early, late] {
        let seen = follower.await.unwrap();
        assert_eq!(texts(&seen), expected);
        assert_eq!(seen.iter().filter(|item| matches!(item, Followed::CaughtUp { .. })).count(), 1);
        assert!(matches!(seen.last(), Some(Followed::End { status: Status::Done, .. })));
    }
}

#[tokio::test]
async fn a_follower_resumes_after_its_cursor_and_is_told_of_a_foreign_one() {
    let Scratch { journal, folder: _folder } = scratch();
    let id = new_session(&journal, Owner::Agent).await;
    let appended = journal.append(&id, batch(&["a", "b", "c"])).await.unwrap();
    journal.finish(&id, "helm", None, ended(WireStatus::Done)).await.unwrap();
    let from = |cursor| journal.follow(&id, cursor, LONG).map(Result::unwrap).collect::<Vec<_>>();
    let epoch = appended.epoch;
    assert_eq!(texts(&from(Cursor { epoch, seq: Seq(1) }).await), ["b", "c"]);
    // A bare number counts, because this id never had another history.
    assert_eq!(texts(&from(Cursor { epoch: crate::session::Epoch(0), seq: Seq(2) }).await), ["c"]);
    for foreign in [Cursor { epoch, seq: Seq(99) }, Cursor { epoch: crate::session::Epoch(7), seq: Seq(1) }] {
        let resync = Followed::Resync { epoch, first: Seq(1), head: Seq(4) };
        assert_eq!(from(foreign).await, [resync]);
    }
}

#[tokio::test]
async fn silence_is_filled_with_the_head_and_a_tail_goes_on_after_the_end() {
    let Scratch { journal, folder: _folder } = scratch();
    let id = new_session(&journal, Owner::Publisher).await;
    journal.append(&id, batch(&["a"])).await.unwrap();
    let mut tail = std::pin::pin!(journal.tail(&id, Cursor::START, Duration::from_millis(10)));
    assert!(matches!(tail.next().await, Some(Ok(Followed::Frame(_)))));
    assert_eq!(tail.next().await.unwrap().unwrap(), Followed::CaughtUp { head: Seq(1) });
    assert_eq!(tail.next().await.unwrap().unwrap(), Followed::Heartbeat { head: Seq(1) });
    journal.finish(&id, "helm", None, ended(WireStatus::Done)).await.unwrap();
    journal.append(&id, batch(&["later"])).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        if let Some(Ok(Followed::Frame(frame))) = tail.next().await {
            seen.push(frame.seq);
        }
    }
    assert_eq!(seen, [Seq(2), Seq(3)]);
}

#[tokio::test]
async fn a_follower_of_a_deleted_session_is_told() {
    let Scratch { journal, folder: _folder } = scratch();
    let id = new_session(&journal, Owner::Publisher).await;
    let mut follower = std::pin::pin!(journal.follow(&id, Cursor::START, LONG));
    assert_eq!(follower.next().await.unwrap().unwrap(), Followed::CaughtUp { head: Seq(0) });
    assert!(journal.delete(&id, false, "").await.unwrap());
    assert!(matches!(follower.next().await, Some(Err(StoreError::NotFound(gone))) if gone == id));
    assert!(follower.next().await.is_none());
}

#[tokio::test]
async fn what_is_missing_is_told_where_it_would_have_been() {
    let Scratch { journal, folder } = scratch();
    let id = new_session(&journal, Owner::Agent).await;
    journal.append(&id, batch(&["a", "b", "c", "d", "e", "f"])).await.unwrap();
    journal.finish(&id, "helm", None, ended(WireStatus::Done)).await.unwrap();
    let file = rusqlite::Connection::open(folder.path().join("sessions.db")).unwrap();
    file.execute_batch("DELETE FROM frames WHERE seq IN (1, 2, 4, 7); UPDATE sessions SET first = 3")
        .unwrap();
    let seen: Vec<Followed> = journal.follow(&id, Cursor::START, LONG).map(Result::unwrap).collect().await;
    let told: Vec<String> = seen
        .iter()
        .map(|item| match item {
            Followed::Frame(frame) => frame.seq.to_string(),
            Followed::Gap { from, to, reason } => format!("{from}-{to} {reason}"),
            Followed::CaughtUp { head } => format!("caught up {head}"),
            Followed::End { status, .. } => status.word().to_owned(),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(told, ["1-2 retention", "3", "4-4 damaged", "5", "6", "7-7 damaged", "caught up 7", "done"]);
}

#[tokio::test]
async fn a_follower_is_told_what_retention_took_of_a_session_that_runs() {
    let Scratch { journal, folder: _folder } = scratch();
    let id = new_session(&journal, Owner::Agent).await;
    journal.append(&id, batch(&["a", "b", "c", "d"])).await.unwrap();
    let mut late = std::pin::pin!(journal.follow(&id, Cursor::START, LONG).map(Result::unwrap));
    let keep = Retention { max_frames: Some(1), ..Retention::default() };
    journal.prune(&keep, false).await.unwrap();
    let gap = Followed::Gap { from: Seq(1), to: Seq(3), reason: "retention" };
    assert_eq!(late.next().await, Some(gap));
    assert!(matches!(late.next().await, Some(Followed::Frame(frame)) if frame.seq == Seq(4)));
    assert_eq!(late.next().await, Some(Followed::CaughtUp { head: Seq(4) }));
    journal.append(&id, batch(&["e"])).await.unwrap();
    assert!(matches!(late.next().await, Some(Followed::Frame(frame)) if frame.seq == Seq(5)));
}
