//! A store in a hundred lines, to compare the real ones with: whatever a random sequence of calls is answered there
//! has to be answered here. A failure names its seed and replays from it.

use std::collections::BTreeMap;

use super::{
    Append, Created, End, Page, PageLimit, Report, SessionStore, StoreError,
    contract::{append, mask, new, text},
};
use crate::session::{Cursor, Epoch, Event, Owner, Seq, SessionId, Status, Timestamp};

#[derive(Default)]
struct Model {
    sessions: BTreeMap<SessionId, Modeled>,
    last_epochs: BTreeMap<SessionId, Epoch>,
}

struct Modeled {
    owner: Owner,
    has_request: bool,
    status: Status,
    epoch: Epoch,
    reborn: bool,
    /// The producer's number, where it has one, and the text.
    frames: Vec<(Option<u64>, String)>,
}

/// A xorshift generator: the same numbers for the same seed, on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn flip(&mut self) -> bool {
        self.below(2) == 0
    }

    fn status(&mut self) -> Status {
        Status::ALL[usize::try_from(self.below(5)).unwrap()]
    }
}

/// Makes `steps` random calls on a few sessions and compares every answer.
pub(super) async fn compare(store: &dyn SessionStore, seed: u64, steps: u64) {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut model = Model::default();
    let ids: Vec<SessionId> = (0..3).map(|n| SessionId::parse(&format!("m{seed}-{n}")).unwrap()).collect();
    for step in 0..steps {
        let id = &ids[usize::try_from(random.below(3)).unwrap()];
        let call = random.below(10);
        let (expected, answer) = match call {
            0 => model.create(store, id, if random.flip() { Owner::Agent } else { Owner::Publisher }).await,
            1 => model.delete(store, id).await,
            2 => model.report(store, id, random.status()).await,
            3 => {
                let cursor = model.some_cursor(id, &mut random);
                model.page(store, id, cursor).await
            }
            _ => {
                let batch = model.some_append(id, step, &mut random);
                model.append(store, batch).await
            }
        };
        assert_eq!(answer, expected, "seed {seed}, step {step}, call {call}, session {id}");
    }
}

impl Model {
    async fn create(&mut self, store: &dyn SessionStore, id: &SessionId, owner: Owner) -> (String, String) {
        let answer = store.create(new(id, owner)).await.unwrap();
        let word = if matches!(answer, Created::New(_)) { "new" } else { "known" };
        let session = answer.into_session();
        let expected = match self.sessions.get_mut(id) {
            Some(known) if owner == Owner::Publisher || !known.is_bare() => "known",
            Some(bare) => {
                (bare.owner, bare.has_request) = (Owner::Agent, true);
                "new"
            }
            None => {
                self.insert(id, owner, session.epoch);
                "new"
            }
        };
        (expected.into(), word.into())
    }

    fn insert(&mut self, id: &SessionId, owner: Owner, epoch: Epoch) {
        let last = self.last_epochs.insert(id.clone(), epoch);
        assert!(last.is_none_or(|last| last < epoch), "an epoch of {id} was used twice: {last:?}, {epoch:?}");
        let has_request = owner == Owner::Agent;
        let (status, reborn) = (Status::Running, last.is_some());
        self.sessions
            .insert(id.clone(), Modeled { owner, has_request, status, epoch, reborn, frames: Vec::new() });
    }

    async fn delete(&mut self, store: &dyn SessionStore, id: &SessionId) -> (String, String) {
        let answer = match store.delete(id).await {
            Ok(deleted) => deleted.to_string(),
            Err(error) => kind(&error),
        };
        let runs = |known: &Modeled| known.owner == Owner::Agent && known.status == Status::Running;
        let expected = if self.sessions.get(id).is_some_and(runs) {
            "busy".into()
        } else {
            self.sessions.remove(id).is_some().to_string()
        };
        (expected, answer)
    }

    async fn report(&mut self, store: &dyn SessionStore, id: &SessionId, status: Status) -> (String, String) {
        let (exit_code, message, completed) = (0, mask(String::new()), Timestamp(0));
        let answer = store.report(id, Report { status, exit_code, message, completed }).await;
        if !self.sessions.contains_key(id) {
            self.insert(id, Owner::Publisher, answer.as_ref().unwrap().epoch);
        }
        let known = self.sessions.get_mut(id).unwrap();
        let expected = if known.owner == Owner::Agent && known.status == Status::Running {
            "busy".into()
        } else {
            known.status = known.status.after(Event::Reported(status), known.owner);
            known.status.word().to_owned()
        };
        (expected, answer.map_or_else(|error| kind(&error), |session| session.status.word().into()))
    }

    fn some_append(&self, id: &SessionId, step: u64, random: &mut Random) -> Append {
        let last = self.sessions.get(id).map_or(0, Modeled::last_counter);
        // Around the next number: repeats, overlaps, and now and then a hole.
        let counter = random.flip().then(|| (last + random.below(4)).saturating_sub(1).max(1));
        let texts: Vec<String> = (0..=random.below(3)).map(|n| format!("{step}.{n}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let end = (random.below(8) == 0).then(|| random.status());
        let end = end.map(|status| End { status, exit_code: 0, message: mask(String::new()) });
        Append { end, ..append(id, counter, &texts) }
    }

    async fn append(&mut self, store: &dyn SessionStore, batch: Append) -> (String, String) {
        let expected =
            self.sessions.get_mut(&batch.session).map_or("not found".into(), |known| known.append(&batch));
        let answer = match store.append(batch).await {
            Ok(appended) => format!("{}..{} {}", appended.first, appended.last, appended.repeated),
            Err(error) => kind(&error),
        };
        (expected, answer)
    }

    fn some_cursor(&self, id: &SessionId, random: &mut Random) -> Cursor {
        let known = self.sessions.get(id);
        let head = known.map_or(0, |known| known.frames.len() as u64);
        let epoch = known.map_or(0, |known| known.epoch.0);
        let epoch = [epoch, 0, epoch + 1, 7][usize::try_from(random.below(4)).unwrap()];
        Cursor { epoch: Epoch(epoch), seq: Seq(random.below(head + 3)) }
    }

    async fn page(&self, store: &dyn SessionStore, id: &SessionId, after: Cursor) -> (String, String) {
        let answer = match store.page(id, after, PageLimit::default()).await {
            Ok(Page::Foreign(heading)) => format!("foreign {}", heading.head),
            Ok(Page::Frames(heading, frames)) => {
                let texts: Vec<&str> = frames.iter().map(|frame| text(&frame.payload)).collect();
                format!("{} {texts:?}", heading.status.word())
            }
            Err(error) => kind(&error),
        };
        (self.sessions.get(id).map_or("not found".into(), |known| known.page(after)), answer)
    }
}

impl Modeled {
    fn is_bare(&self) -> bool {
        self.frames.is_empty()
            && !self.has_request
            && self.owner == Owner::Publisher
            && self.status == Status::Running
    }

    fn last_counter(&self) -> u64 {
        self.frames.iter().filter_map(|(counter, _)| *counter).max().unwrap_or(0)
    }

    fn number_of(&self, counter: u64) -> usize {
        self.frames.iter().position(|(known, _)| *known == Some(counter)).unwrap() + 1
    }

    fn append(&mut self, batch: &Append) -> String {
        let last = self.last_counter();
        if batch.counter.is_some_and(|counter| counter > last + 1) {
            return format!("gap {}", last + 1);
        }
        let mut numbers = Vec::new();
        let mut stored = false;
        for (at, payload) in batch.payloads.iter().enumerate() {
            let counter = batch.counter.map(|counter| counter + at as u64);
            if let Some(counter) = counter.filter(|counter| *counter <= last) {
                numbers.push(self.number_of(counter));
                continue;
            }
            self.frames.push((counter, text(payload.get()).to_owned()));
            numbers.push(self.frames.len());
            stored = true;
        }
        if stored {
            let event = batch.end.as_ref().map_or(Event::Frame, |end| Event::Ended(end.status));
            self.status = self.status.after(event, self.owner);
        }
        format!("{}..{} {}", numbers[0], numbers[numbers.len() - 1], !stored)
    }

    fn page(&self, after: Cursor) -> String {
        let head = self.frames.len() as u64;
        let bare = after.epoch == Epoch(0) && (!self.reborn || after.seq == Seq(0));
        if (after.epoch != self.epoch && !bare) || after.seq.0 > head {
            return format!("foreign {head}");
        }
        let texts: Vec<&str> = self
            .frames
            .iter()
            .skip(usize::try_from(after.seq.0).unwrap())
            .map(|(_, text)| text.as_str())
            .collect();
        format!("{} {texts:?}", self.status.word())
    }
}

fn kind(error: &StoreError) -> String {
    match error {
        StoreError::NotFound(_) => "not found".into(),
        StoreError::Busy(_) => "busy".into(),
        StoreError::ProducerGap { expected, .. } => format!("gap {expected}"),
        other => panic!("{other}"),
    }
}
