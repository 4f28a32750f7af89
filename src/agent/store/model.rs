//! A store in a hundred lines, to compare the real ones with: whatever a random sequence of calls is answered there
//! has to be answered here. A failure names its seed and replays from it.

mod random;
mod sessions;

use std::{collections::BTreeMap, time::Duration};

use self::{random::Random, sessions::Modeled};
use super::{
    Append, Created, End, Keep, Page, PageLimit, Producer, Report, Retention, Rule, SessionQuery,
    SessionStore, StoreError,
    contract::{append, mask, new, text},
};
use crate::session::{Cursor, Epoch, Event, Meta, Owner, Pin, Seq, SessionId, Status, Tags, Timestamp};

/// Expected and answered.
type Both = (String, String);

struct Model<'store> {
    store: &'store dyn SessionStore,
    random: Random,
    ids: Vec<SessionId>,
    /// In the order of their creation.
    sessions: Vec<Modeled>,
    last_epochs: BTreeMap<SessionId, Epoch>,
    deleted: Vec<String>,
    step: u64,
}

/// Makes `steps` random calls on a few sessions and compares every answer. The store is empty before and after.
pub(super) async fn compare(store: &dyn SessionStore, seed: u64, steps: u64) {
    let ids: Vec<SessionId> = (0..4).map(|n| SessionId::parse(&format!("m{seed}-{n}")).unwrap()).collect();
    let mut model = Model {
        store,
        random: Random::new(seed),
        ids: ids.clone(),
        sessions: Vec::new(),
        last_epochs: BTreeMap::new(),
        deleted: Vec::new(),
        step: 0,
    };
    for step in 1..=steps {
        model.step = step;
        let (call, (expected, answer)) = model.call().await;
        assert_eq!(answer, expected, "seed {seed}, step {step}, {call}");
    }
    for id in ids {
        store.delete(&id, true, "").await.unwrap();
    }
}

impl Model<'_> {
    async fn call(&mut self) -> (String, Both) {
        let id = self.ids[self.random.at(4)].clone();
        match self.random.below(21) {
            0 | 1 => (format!("create {id}"), self.create(&id).await),
            2 => (format!("delete {id}"), self.delete(&id).await),
            3 => (format!("report {id}"), self.report(&id).await),
            4 => (format!("annotate {id}"), self.annotate(&id).await),
            5 => (format!("pin {id}"), self.pin(&id).await),
            6 => (format!("claim {id}"), self.claim(&id).await),
            7 => (format!("give up {id}"), self.give_up(&id).await),
            8 => ("prune".into(), self.prune().await),
            9 => ("list".into(), self.list().await),
            10 => ("audit".into(), self.audit().await),
            11 => (format!("session {id}"), self.session(&id).await),
            20 => {
                // Nothing that can be asked is answered differently after it.
                self.store.pack().await.unwrap();
                ("pack".into(), Both::default())
            }
            12 | 13 => (format!("page {id}"), self.page(&id).await),
            _ => (format!("append {id}"), self.append(&id).await),
        }
    }

    fn known(&mut self, id: &SessionId) -> Option<&mut Modeled> {
        self.sessions.iter_mut().find(|known| known.id == *id)
    }

    async fn create(&mut self, id: &SessionId) -> Both {
        let owner = if self.random.flip() { Owner::Agent } else { Owner::Publisher };
        let answer = self.store.create(new(id, owner)).await.unwrap();
        let word = if matches!(answer, Created::New(_)) { "new" } else { "known" };
        let (epoch, step) = (answer.into_session().epoch, self.step);
        let expected = match self.known(id) {
            Some(known) if owner == Owner::Publisher || !known.is_bare() => "known",
            Some(bare) => {
                (bare.owner, bare.has_request, bare.seen) = (Owner::Agent, true, step);
                "new"
            }
            None => {
                self.insert(id, owner, epoch);
                "new"
            }
        };
        (expected.into(), word.into())
    }

    fn insert(&mut self, id: &SessionId, owner: Owner, epoch: Epoch) {
        let last = self.last_epochs.insert(id.clone(), epoch);
        assert!(last.is_none_or(|last| last < epoch), "an epoch of {id} was used twice: {last:?}, {epoch:?}");
        self.sessions.push(Modeled {
            id: id.clone(),
            owner,
            has_request: owner == Owner::Agent,
            status: Status::Running,
            epoch,
            reborn: last.is_some(),
            frames: Vec::new(),
            trimmed: 0,
            fence: 0,
            pinned: false,
            team: None,
            seen: self.step,
            completed: 0,
        });
    }

    async fn delete(&mut self, id: &SessionId) -> Both {
        let force = self.random.below(4) == 0;
        let answer = said(self.store.delete(id, force, "model").await);
        let expected = match self.known(id) {
            Some(known) if !force && known.owner == Owner::Agent && known.status == Status::Running => {
                "busy".into()
            }
            Some(known) if !force && known.pinned => "pinned".into(),
            Some(_) => {
                self.forget(id);
                "true".into()
            }
            None => "false".into(),
        };
        (expected, answer)
    }

    fn forget(&mut self, id: &SessionId) {
        self.deleted.push(id.to_string());
        self.sessions.retain(|known| known.id != *id);
    }

    async fn report(&mut self, id: &SessionId) -> Both {
        let status = self.random.status();
        let (exit_code, message, completed) = (0, mask(String::new()), Timestamp(0));
        let answer = self.store.report(id, Report { status, exit_code, message, completed }).await;
        if self.known(id).is_none() {
            self.insert(id, Owner::Publisher, answer.as_ref().unwrap().epoch);
        }
        let step = self.step;
        let known = self.known(id).unwrap();
        let expected = if known.owner == Owner::Agent && known.status == Status::Running {
            "busy".into()
        } else {
            known.seen = step;
            known.happened(Event::Reported(status), step);
            known.status.word().to_owned()
        };
        (expected, said(answer.map(|session| session.status.word())))
    }

    async fn annotate(&mut self, id: &SessionId) -> Both {
        let team = self.random.team().to_owned();
        let tags = Tags::from([("team".into(), team.clone())]);
        let answer = self.store.annotate(id, mask(Meta::default()), mask(tags)).await.unwrap();
        if self.known(id).is_none() {
            self.insert(id, Owner::Publisher, answer.epoch);
        }
        let step = self.step;
        let known = self.known(id).unwrap();
        (known.seen, known.team) = (step, Some(team.clone()));
        (team, answer.tags["team"].clone())
    }

    async fn pin(&mut self, id: &SessionId) -> Both {
        let pin = self.random.flip().then(|| Pin { reason: "x".into(), at: Timestamp(1), ..Pin::default() });
        let pinned = pin.is_some();
        let answer = self.store.pin(id, pin.map(mask)).await.map(|session| session.pin.is_some());
        let expected = self.known(id).map_or("not found".into(), |known| {
            known.pinned = pinned;
            pinned.to_string()
        });
        (expected, said(answer))
    }

    async fn claim(&mut self, id: &SessionId) -> Both {
        let producer = Producer { name: "p".into(), epoch: self.random.below(4) };
        let answer = said(self.store.claim(id, &producer).await);
        let expected = self.known(id).map_or("not found".into(), |known| {
            known.fence(producer.epoch).unwrap_or_else(|| known.last_counter().to_string())
        });
        (expected, answer)
    }

    async fn give_up(&mut self, id: &SessionId) -> Both {
        let except = self.ids.iter().filter(|other| *other != id).cloned().collect();
        let lost = self.store.give_up(Timestamp(i64::MAX), except).await.unwrap();
        let step = self.step;
        let expected = self.known(id).is_some_and(|known| {
            let given_up = known.owner == Owner::Publisher && known.status == Status::Running;
            if given_up {
                known.happened(Event::Ended(Status::Lost), step);
            }
            given_up
        });
        (expected.to_string(), (!lost.is_empty()).to_string())
    }

    async fn append(&mut self, id: &SessionId) -> Both {
        let last = self.known(id).map_or(0, |known| known.last_counter());
        let (random, step) = (&mut self.random, self.step);
        // Around the next number: repeats, overlaps, and now and then a hole.
        let counter = random.flip().then(|| (last + random.below(4)).saturating_sub(1).max(1));
        let texts: Vec<String> = (0..=random.below(3)).map(|n| format!("{step}.{n}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let end = (random.below(8) == 0).then(|| random.status());
        let end = end.map(|status| End { status, exit_code: 0, message: mask(String::new()) });
        let epoch = if random.below(4) == 0 { random.below(4) } else { 0 };
        let producer = Producer { name: "p".into(), epoch };
        let batch = Append { producer, end, ..append(id, counter, &texts) };
        let expected = self.known(id).map_or("not found".into(), |known| known.append(&batch, step));
        let answer = self.store.append(batch).await;
        (expected, said(answer.map(|it| format!("{}..{} {}", it.first, it.last, it.repeated))))
    }

    async fn page(&mut self, id: &SessionId) -> Both {
        let (head, epoch) = self.known(id).map_or((0, 0), |known| (known.head(), known.epoch.0));
        let epoch = [epoch, 0, epoch + 1, 7][self.random.at(4)];
        let after = Cursor { epoch: Epoch(epoch), seq: Seq(self.random.below(head + 3)) };
        let answer = self.store.page(id, after, PageLimit::default()).await.map(|page| match page {
            Page::Foreign(heading) => format!("foreign {}", heading.head),
            Page::Frames(heading, frames) => {
                let texts: Vec<&str> = frames.iter().map(|frame| text(&frame.payload)).collect();
                format!("{} {texts:?}", heading.status.word())
            }
        });
        (self.known(id).map_or("not found".into(), |known| known.page(after)), said(answer))
    }

    async fn session(&mut self, id: &SessionId) -> Both {
        let answer = self.store.session(id).await.unwrap().map(|it| {
            let pinned = it.pin.is_some();
            format!("{} {}..{} {pinned}", it.status.word(), it.first, it.head)
        });
        let expected = self
            .known(id)
            .map(|it| format!("{} {}..{} {}", it.status.word(), it.trimmed + 1, it.head(), it.pinned));
        (expected.unwrap_or_default(), answer.unwrap_or_default())
    }

    async fn list(&mut self) -> Both {
        let mut query = SessionQuery { limit: 1 + self.random.at(3), ..SessionQuery::default() };
        match self.random.below(4) {
            0 => query.status = (0..=self.random.below(2)).map(|_| self.random.status()).collect(),
            1 => query.tags = Tags::from([("team".into(), self.random.team().into())]),
            2 => query.pinned = Some(self.random.flip()),
            _ => {}
        }
        let mut expected: Vec<&Modeled> = self
            .sessions
            .iter()
            .filter(|known| query.status.is_empty() || query.status.contains(&known.status))
            .filter(|known| query.tags.is_empty() || query.tags.get("team") == known.team.as_ref())
            .filter(|known| query.pinned.is_none_or(|pinned| pinned == known.pinned))
            .collect();
        expected.sort_by_key(|known| std::cmp::Reverse(known.seen));
        let expected: Vec<&str> = expected.into_iter().map(|known| known.id.as_str()).collect();
        let mut found = Vec::new();
        loop {
            let page = self.store.list(query.clone()).await.unwrap();
            found.extend(page.sessions.into_iter().map(|session| session.id.to_string()));
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        (format!("{expected:?}"), format!("{found:?}"))
    }

    async fn prune(&mut self) -> Both {
        let rule =
            Rule { tags: Tags::from([("team".into(), "a".into())]), status: vec![], keep: Keep::Forever };
        let keep = match self.random.below(3) {
            0 => Retention { max_sessions: Some(self.random.below(5)), ..Retention::default() },
            1 => Retention { max_frames: Some(self.random.below(6)), ..Retention::default() },
            _ => Retention { max_age: Some(Duration::ZERO), rules: vec![rule], ..Retention::default() },
        };
        let dry = self.random.flip();
        let mut free: Vec<(u64, usize)> = (0..self.sessions.len())
            .filter(|at| self.sessions[*at].is_free())
            .filter(|at| keep.max_age.is_none() || self.sessions[*at].team.as_deref() != Some("a"))
            .map(|at| (self.sessions[at].completed, at))
            .collect();
        free.sort_unstable();
        if let Some(most) = keep.max_sessions {
            free.truncate(self.sessions.len().saturating_sub(usize::try_from(most).unwrap()));
        } else if keep.max_frames.is_some() {
            free.clear();
        }
        let gone: Vec<SessionId> = free.into_iter().map(|(_, at)| self.sessions[at].id.clone()).collect();
        let mut expected: Vec<String> = gone.iter().map(SessionId::to_string).collect();
        expected.extend(self.trim(keep.max_frames, dry));
        if !dry {
            for id in &gone {
                self.forget(id);
            }
        }
        let pruned = self.store.prune(&keep, dry).await.unwrap();
        let mut answer: Vec<String> = pruned.condemned.iter().map(|it| it.session.id.to_string()).collect();
        let mut trimmed = pruned.trimmed;
        trimmed.sort_by(|a, b| a.id.cmp(&b.id));
        answer.extend(trimmed.into_iter().map(|it| format!("{} {}..{}", it.id, it.from, it.to)));
        (format!("{expected:?}"), format!("{answer:?}"))
    }

    fn trim(&mut self, most: Option<u64>, dry: bool) -> Vec<String> {
        let Some(most) = most else { return Vec::new() };
        let most = usize::try_from(most).unwrap();
        let mut said = Vec::new();
        for known in self.sessions.iter_mut().filter(|known| !known.pinned) {
            let to = known.frames.len().saturating_sub(most);
            if to > known.trimmed {
                said.push(format!("{} {}..{to}", known.id, known.trimmed + 1));
                known.trimmed = if dry { known.trimmed } else { to };
            }
        }
        said.sort();
        said
    }

    async fn audit(&mut self) -> Both {
        let most = self.deleted.len().min(3);
        let found = self.store.audit(most).await.unwrap();
        let found: Vec<String> = found.into_iter().map(|row| row.id.to_string()).collect();
        let expected: Vec<&String> = self.deleted.iter().rev().take(most).collect();
        (format!("{expected:?}"), format!("{found:?}"))
    }
}

fn said<T: ToString>(answer: Result<T, StoreError>) -> String {
    match answer {
        Ok(answer) => answer.to_string(),
        Err(StoreError::NotFound(_)) => "not found".into(),
        Err(StoreError::Busy(_)) => "busy".into(),
        Err(StoreError::Pinned { .. }) => "pinned".into(),
        Err(StoreError::ProducerGap { expected, .. }) => format!("gap {expected}"),
        Err(StoreError::Fenced { newer, .. }) => format!("fenced by {newer}"),
        Err(other) => panic!("{other}"),
    }
}
