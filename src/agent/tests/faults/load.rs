//! What is asked of a store until the power goes, and what it had answered by then.
//!
//! Only an answer that came before the cut counts. What was asked and not answered may have happened or not.

use std::collections::BTreeMap;

use futures::future::join_all;
use ktl_agent::frame::{Body, Fact, Line};
use ktl_agent::mask::{Masked, Masker};
use ktl_agent::session::{Epoch, Meta, Owner, Seq, SessionId, Status, Tags};
use ktl_agent::store::{Append, End, NewSession, Producer, Retention, SessionStore, StoreError};

use crate::disk::Disk;
use crate::random::Random;

const SESSIONS: usize = 3;
const PRODUCERS: usize = 3;
const ROUNDS: usize = 40;
const LARGEST_BATCH: usize = 48;

/// Everything that was asked and answered, by session.
pub(crate) type Answers = BTreeMap<SessionId, Told>;

/// Whether a session must be there after the cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum There {
    Yes,
    /// It was asked to be made, after `epoch` where it was there before.
    Making,
    /// It was asked to be deleted.
    Deleting,
    No,
}

/// One session, as its caller knows it.
pub(crate) struct Told {
    pub(crate) there: There,
    /// The last history that it was said to have; 0 for none.
    pub(crate) epoch: Epoch,
    pub(crate) frames: BTreeMap<Seq, String>,
    pub(crate) producers: BTreeMap<String, Said>,
    /// Its end was asked for, so nothing more is said.
    pub(crate) is_ending: bool,
    pub(crate) has_ended: bool,
}

/// What one producer said: all of it, and how much was acknowledged.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) texts: Vec<String>,
    pub(crate) acknowledged: usize,
}

/// Asks until the power goes, or enough was asked.
pub(crate) async fn drive(store: &dyn SessionStore, disk: &Disk, seed: u64) -> Result<Answers, StoreError> {
    let mut load = Load { store, disk, random: Random::new(seed), answers: Answers::new(), words: 0 };
    for number in 0..SESSIONS {
        let id =
            SessionId::parse(&format!("session-{number}")).map_err(|e| StoreError::Invalid(e.to_string()))?;
        load.create(&id).await?;
    }
    for _ in 0..ROUNDS {
        if disk.is_cut() {
            break;
        }
        load.ask().await?;
    }
    Ok(load.answers)
}

/// The batch that a producer sends, numbered from `counter`.
pub(crate) fn batch(id: &SessionId, producer: &str, counter: u64, texts: &[String]) -> Append {
    let payloads = texts.iter().map(|text| line(text).into_payload()).collect();
    Append {
        session: id.clone(),
        producer: Producer::from(producer),
        counter: Some(counter),
        payloads,
        end: None,
    }
}

/// A session to be.
pub(crate) fn new(id: &SessionId) -> NewSession {
    let masker = Masker::new([]);
    let (meta, tags) = (masker.mask(Meta::default()), masker.mask(Tags::new()));
    NewSession { id: id.clone(), meta, tags, owner: Owner::Publisher, request: None }
}

fn line(text: &str) -> Masked<Fact> {
    let line = Line { text: text.to_owned(), ..Line::default() };
    Masker::new([]).mask(Fact { body: Some(Body::Line(line)) })
}

struct Load<'a> {
    store: &'a dyn SessionStore,
    disk: &'a Disk,
    random: Random,
    answers: Answers,
    words: u64,
}

impl Load<'_> {
    async fn ask(&mut self) -> Result<(), StoreError> {
        let ids: Vec<SessionId> = self.answers.keys().cloned().collect();
        let id = &ids[self.random.at(ids.len())];
        let (there, is_ending) =
            self.answers.get(id).map_or((There::No, false), |told| (told.there, told.is_ending));
        match (self.random.below(10), there, is_ending) {
            (_, There::No, _) => self.create(id).await,
            (0, _, false) => self.finish(id).await,
            (0..=3, _, true) => self.delete(id).await,
            (1, ..) => self.keep_house().await,
            _ => self.append(&ids).await,
        }
    }

    async fn create(&mut self, id: &SessionId) -> Result<(), StoreError> {
        let epoch = self.answers.get(id).map(|told| told.epoch).unwrap_or_default();
        let (frames, producers) = (BTreeMap::new(), BTreeMap::new());
        let told =
            Told { there: There::Making, epoch, frames, producers, is_ending: false, has_ended: false };
        self.answers.insert(id.clone(), told);
        let made = self.store.create(new(id)).await;
        if let (false, Some(told)) = (self.disk.is_cut(), self.answers.get_mut(id)) {
            (told.there, told.epoch) = (There::Yes, made?.into_session().epoch);
        }
        Ok(())
    }

    async fn delete(&mut self, id: &SessionId) -> Result<(), StoreError> {
        let Some(told) = self.answers.get_mut(id) else { return Ok(()) };
        told.there = There::Deleting;
        let deleted = self.store.delete(id, true, "test").await;
        if !self.disk.is_cut() {
            deleted?;
            told.there = There::No;
        }
        Ok(())
    }

    /// What happens beside the callers: blocks are packed, and what was deleted makes room.
    async fn keep_house(&mut self) -> Result<(), StoreError> {
        let packed = self.store.pack().await;
        let pruned = self.store.prune(&Retention::default(), false).await;
        if !self.disk.is_cut() {
            packed?;
            pruned?;
        }
        Ok(())
    }

    async fn finish(&mut self, id: &SessionId) -> Result<(), StoreError> {
        let text = self.text();
        let Some(told) = self.answers.get_mut(id) else { return Ok(()) };
        told.is_ending = true;
        let said = told.producers.entry("end".to_owned()).or_default();
        said.texts.push(text);
        let mut append = batch(id, "end", 1, &said.texts);
        let message = Masker::new([]).mask(String::new());
        append.end = Some(End { status: Status::Done, exit_code: 0, message });
        let answer = self.store.append(append).await;
        if !self.disk.is_cut() {
            let first = answer?.first;
            said.acknowledged = 1;
            told.frames.extend(said.texts.first().map(|text| (first, text.clone())));
            told.has_ended = true;
        }
        Ok(())
    }

    /// Several producers at once, so that commits are shared.
    async fn append(&mut self, ids: &[SessionId]) -> Result<(), StoreError> {
        let mut asked = BTreeMap::new();
        for _ in 0..=self.random.at(6) {
            let id = ids[self.random.at(ids.len())].clone();
            let producer = format!("producer-{}", self.random.at(PRODUCERS));
            let texts: Vec<String> = (0..=self.random.at(LARGEST_BATCH)).map(|_| self.text()).collect();
            let told = self.answers.get(&id);
            if told.is_some_and(|told| told.there == There::Yes && !told.is_ending) {
                asked.entry((id, producer)).or_insert(texts);
            }
        }
        let mut calls = Vec::new();
        for ((id, producer), texts) in asked {
            let Some(told) = self.answers.get_mut(&id) else { continue };
            let said = told.producers.entry(producer.clone()).or_default();
            let append = batch(&id, &producer, said.texts.len() as u64 + 1, &texts);
            said.texts.extend(texts.iter().cloned());
            let (call, disk) = (self.store.append(append), self.disk);
            calls.push(async move {
                let answer = call.await;
                (id, producer, texts, disk.is_cut(), answer)
            });
        }
        for (id, producer, texts, is_late, answer) in join_all(calls).await {
            let told = self.answers.get_mut(&id).filter(|_| !is_late);
            let Some(told) = told else { continue };
            let answer = answer?;
            told.frames.extend((answer.first.0..=answer.last.0).map(Seq).zip(texts));
            if let Some(said) = told.producers.get_mut(&producer) {
                said.acknowledged = said.texts.len();
            }
        }
        Ok(())
    }

    /// A text that no other frame has, short or as long as several pages.
    fn text(&mut self) -> String {
        self.words += 1;
        let length = if self.random.below(20) == 0 { self.random.at(12_000) } else { self.random.at(200) };
        format!("{} {}", self.words, "x".repeat(length))
    }
}
