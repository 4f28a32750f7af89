//! Whether a store that was opened after a power cut still has what it had promised.

use std::collections::BTreeMap;

use ktl_agent::frame::{Body, Fact, Frame, Payload};
use ktl_agent::session::{Cursor, Seq, Session, SessionId};
use ktl_agent::store::{Page, PageLimit, SessionStore, StoreError};

use crate::load::{Answers, There, Told, batch, new};

/// What went wrong, in words; empty when nothing did.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Something that was acknowledged is not there.
    pub(crate) lost: Vec<String>,
    /// A number means another frame than before, or an epoch came again.
    pub(crate) reused: Vec<String>,
    /// The store could not be opened, or does not work on.
    pub(crate) refused: Vec<String>,
}

impl Verdict {
    pub(crate) fn is_clean(&self) -> bool {
        self.lost.is_empty() && self.reused.is_empty() && self.refused.is_empty()
    }
}

/// Compares, then goes on where the callers were.
pub(crate) async fn check(store: &dyn SessionStore, answers: &Answers) -> Verdict {
    let mut verdict = Verdict::default();
    for (id, told) in answers {
        if let Err(error) = check_session(store, id, told, &mut verdict).await {
            verdict.refused.push(format!("{id}: {error}"));
        }
    }
    verdict
}

async fn check_session(
    store: &dyn SessionStore,
    id: &SessionId,
    told: &Told,
    verdict: &mut Verdict,
) -> Result<(), StoreError> {
    let found = store.session(id).await?;
    match (told.there, found) {
        (There::Yes | There::Deleting, Some(session)) if session.epoch == told.epoch => {
            check_frames(store, &session, told, verdict).await?;
            go_on(store, &session, told, verdict).await
        }
        (There::Making, Some(session)) if session.epoch > told.epoch => Ok(()),
        (There::Making | There::Deleting | There::No, None) => {
            let again = store.create(new(id)).await?.into_session();
            if again.epoch <= told.epoch {
                verdict.reused.push(format!("{id}: epoch {:?} came after {:?}", again.epoch, told.epoch));
            }
            Ok(())
        }
        (there, found) => {
            let found = found.map(|session| session.epoch);
            verdict.lost.push(format!("{id}: there {there:?}, epoch {:?}, found {found:?}", told.epoch));
            Ok(())
        }
    }
}

async fn check_frames(
    store: &dyn SessionStore,
    session: &Session,
    told: &Told,
    verdict: &mut Verdict,
) -> Result<(), StoreError> {
    let id = &session.id;
    let frames = read(store, id).await?;
    for (seq, text) in &told.frames {
        match frames.get(seq) {
            Some((_, found)) if found == text => {}
            Some(_) => verdict.reused.push(format!("{id}: {seq} is another frame")),
            None => verdict.lost.push(format!("{id}: {seq} of {}", session.head)),
        }
    }
    let is_whole = frames.keys().map(|seq| seq.0).eq(1..=session.head.0);
    if !is_whole {
        verdict.lost.push(format!("{id}: {} frames below head {}", frames.len(), session.head));
    }
    if told.has_ended && !session.status.is_terminal() {
        verdict.lost.push(format!("{id}: its end"));
    }
    for (producer, said) in &told.producers {
        let kept: Vec<&String> =
            frames.values().filter(|(who, _)| who == producer).map(|(_, text)| text).collect();
        let is_prefix = said.texts.iter().take(kept.len()).eq(kept.iter().copied());
        if !is_prefix || kept.len() < said.acknowledged {
            let (kept, said) = (kept.len(), said.texts.len());
            verdict.lost.push(format!(
                "{id}: of {said} frames of {producer} {kept} are there, in order: {is_prefix}"
            ));
        }
        let counter = store.last_counter(id, producer).await?;
        if counter != kept.len() as u64 {
            verdict.lost.push(format!("{id}: {producer} has {} frames and counter {counter}", kept.len()));
        }
    }
    Ok(())
}

/// Each producer sends again what was not acknowledged; then everything must be there once.
async fn go_on(
    store: &dyn SessionStore,
    session: &Session,
    told: &Told,
    verdict: &mut Verdict,
) -> Result<(), StoreError> {
    let id = &session.id;
    for (producer, said) in told.producers.iter().filter(|_| !told.is_ending) {
        let rest = &said.texts[said.acknowledged..];
        if !rest.is_empty() {
            store.append(batch(id, producer, said.acknowledged as u64 + 1, rest)).await?;
        }
    }
    let frames = read(store, id).await?;
    for (producer, said) in told.producers.iter().filter(|_| !told.is_ending) {
        let kept = frames.values().filter(|(who, _)| who == producer).map(|(_, text)| text);
        if !kept.eq(&said.texts) {
            verdict.lost.push(format!("{id}: what {producer} sent again is not there once"));
        }
    }
    Ok(())
}

/// Every frame of a session: who said it, and what.
async fn read(
    store: &dyn SessionStore,
    id: &SessionId,
) -> Result<BTreeMap<Seq, (String, String)>, StoreError> {
    let (mut frames, mut after) = (BTreeMap::new(), Cursor::START);
    while let Page::Frames(_, page) = store.page(id, after, PageLimit::default()).await? {
        let Some(last) = page.last() else { break };
        after = last.cursor();
        frames.extend(page.iter().map(|frame| (frame.seq, (frame.producer.clone(), text(frame)))));
    }
    Ok(frames)
}

fn text(frame: &Frame) -> String {
    match &frame.payload {
        Payload::Fact(Fact { body: Some(Body::Line(line)) }) => line.text.clone(),
        other => format!("{other:?}"),
    }
}
