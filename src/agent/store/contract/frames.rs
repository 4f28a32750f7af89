//! Frames: their numbers, their producers, their pages.

use super::{append, created, get, new, read};
use crate::{
    session::{Cursor, Epoch, Owner, Seq, SessionId},
    store::{Append, Appended, Page, PageLimit, Producer, SessionStore, StoreError},
};

pub(super) async fn numbers_frames_from_one_without_gaps(store: &dyn SessionStore) {
    let id = created(store, Owner::Agent).await;
    let first = store.append(append(&id, None, &["a", "b"])).await.unwrap();
    let second = store.append(append(&id, None, &["c"])).await.unwrap();
    assert_eq!((first.first, first.last, second.first, second.last), (Seq(1), Seq(2), Seq(3), Seq(3)));
    let frames = read(store, &id, Cursor::START).await;
    assert_eq!(frames, [(1, "a".into()), (2, "b".into()), (3, "c".into())]);
    let stranger = store.append(append(&SessionId::mint(), None, &["x"])).await;
    assert!(matches!(stranger, Err(StoreError::NotFound(_))));
}

pub(super) async fn gives_a_repeat_its_first_answer(store: &dyn SessionStore) {
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

pub(super) async fn refuses_a_hole_of_a_producer(store: &dyn SessionStore) {
    let id = created(store, Owner::Agent).await;
    store.append(append(&id, Some(1), &["a"])).await.unwrap();
    let hole = store.append(append(&id, Some(3), &["c"])).await;
    assert!(matches!(hole, Err(StoreError::ProducerGap { expected: 2, got: 3, .. })), "{hole:?}");
    assert_eq!(get(store, &id).await.head, Seq(1), "a refused frame was stored");
}

pub(super) async fn stores_only_what_is_new_of_a_batch_that_overlaps(store: &dyn SessionStore) {
    let id = created(store, Owner::Agent).await;
    store.append(append(&id, Some(1), &["a", "b"])).await.unwrap();
    let more = store.append(append(&id, Some(2), &["b", "c"])).await.unwrap();
    assert_eq!((more.first, more.last, more.repeated), (Seq(2), Seq(3), false));
    assert_eq!(read(store, &id, Cursor::START).await.len(), 3);
}

pub(super) async fn starts_a_larger_epoch_when_a_deleted_id_comes_back(store: &dyn SessionStore) {
    let id = created(store, Owner::Publisher).await;
    let before = store.append(append(&id, Some(1), &["a"])).await.unwrap();
    assert!(store.delete(&id, false, "").await.unwrap() && !store.delete(&id, false, "").await.unwrap());
    store.create(new(&id, Owner::Publisher)).await.unwrap();
    let after = store.append(append(&id, Some(1), &["b"])).await.unwrap();
    assert!(after.epoch > before.epoch && after.first == Seq(1) && !after.repeated);
    assert_eq!(read(store, &id, Cursor::START).await, [(1, "b".into())]);
    // The id has changed its epoch, so a number alone means nothing any more.
    let bare = Cursor { epoch: Epoch(0), seq: Seq(1) };
    let page = store.page(&id, bare, PageLimit::default()).await.unwrap();
    assert!(matches!(page, Page::Foreign(_)));
}

pub(super) async fn reads_pages_within_their_limits(store: &dyn SessionStore) {
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

pub(super) async fn answers_a_foreign_cursor_with_the_heading(store: &dyn SessionStore) {
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

pub(super) async fn shuts_out_the_older_producer_of_a_name(store: &dyn SessionStore) {
    let id = created(store, Owner::Publisher).await;
    let of = |epoch| Producer { name: "p".into(), epoch };
    let numbered =
        |epoch, counter, text| Append { producer: of(epoch), ..append(&id, Some(counter), &[text]) };
    assert_eq!(store.claim(&id, &of(5)).await.unwrap(), 0);
    store.append(numbered(5, 1, "a")).await.unwrap();
    assert_eq!(store.claim(&id, &of(6)).await.unwrap(), 1, "the numbers of a name go on");
    // Neither something new nor a repeat, and not the name either.
    for counter in [1, 2] {
        let late = store.append(numbered(5, counter, "a")).await;
        assert!(matches!(late, Err(StoreError::Fenced { epoch: 5, newer: 6, .. })), "{late:?}");
    }
    let back = store.claim(&id, &of(5)).await;
    assert!(matches!(back, Err(StoreError::Fenced { epoch: 5, newer: 6, .. })), "{back:?}");
    store.append(numbered(6, 2, "b")).await.unwrap();
    store.append(numbered(7, 3, "c")).await.unwrap();
    assert!(store.append(numbered(6, 4, "d")).await.is_err(), "an append takes a name as a claim does");
    // Who has no epoch takes no part, and other names are others.
    store.append(numbered(0, 4, "d")).await.unwrap();
    store
        .append(Append { producer: Producer { name: "q".into(), epoch: 1 }, ..append(&id, None, &["e"]) })
        .await
        .unwrap();
    let texts: Vec<String> =
        read(store, &id, Cursor::START).await.into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts.concat(), "abcde");
    let refused = store.claim(&id, &Producer { name: "x".into(), epoch: u64::MAX }).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
}
