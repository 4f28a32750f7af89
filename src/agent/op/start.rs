//! From a request to a running operation: joined, refused, asked for sources, or begun.

use std::{collections::BTreeMap, io, time::Instant};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    Live, OpError, Operations,
    apply::Work,
    canonical, on_disk,
    queue::Ticket,
    rendered::secrets,
    report::Reporter,
    request::StartRequest,
    run::{Run, RunFolder},
};
use crate::{
    helm::Version,
    kube::Kubeconfig,
    mask::{Masker, find_secrets},
    session::{Meta, Owner, RequestRecord, Session, SessionId},
    sources::{
        ContentHash, SourcePath,
        pool::{Content, Taken},
    },
    store::{Created, NewSession},
};

/// The versions of both sides; the caller does not speak for ours.
fn versions(claimed: BTreeMap<String, String>, helm: &Version) -> BTreeMap<String, String> {
    let mut versions = claimed;
    versions.insert("ktl-agent".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    versions.insert("helm".to_owned(), helm.text.clone());
    versions
}

/// The name of this machine.
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// What became of a request.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // It is taken apart at once.
pub enum StartOutcome {
    /// It runs.
    Started(Session),
    /// This very request runs already, or has run.
    Joined(Session),
    /// Nothing was started: these sources are not there.
    Missing(Vec<ContentHash>),
}

impl Operations {
    /// Starts an operation, or joins the one that has this id and this request. A caller that goes away meanwhile
    /// changes nothing: what was begun is finished.
    pub async fn start(&self, request: StartRequest, principal: &str) -> Result<StartOutcome, OpError> {
        let (operations, principal) = (self.clone(), principal.to_owned());
        let started = self.inner.tasks.spawn(async move { operations.begin(request, &principal).await });
        match started.await {
            Ok(outcome) => outcome,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(OpError::ShuttingDown),
        }
    }

    async fn begin(&self, request: StartRequest, principal: &str) -> Result<StartOutcome, OpError> {
        request.apply.check(&request.sources)?;
        let id = request.id.clone().unwrap_or_else(SessionId::mint);
        let _turn = self.inner.turns.take(&id).await;
        let asked = canonical::canonical(&request);
        // Clients of the public API say what they run before they ask for it, and read it back.
        let mut command = "apply".to_owned();
        if let Some(session) = self.inner.context.journal.session(&id).await? {
            if !session.is_bare() {
                return self.join(session, &asked);
            }
            if !session.meta.command.is_empty() {
                command = session.meta.command;
            }
        }
        if self.inner.leave.is_cancelled() {
            return Err(OpError::ShuttingDown);
        }
        let helm = self.helm().await?.clone();
        let target = self.inner.context.clusters.resolve(&request.cluster)?;
        let StartRequest { apply, sources, claims, .. } = request;
        let run = Run::new(&id, apply, sources, target, helm, &claims);
        let ticket = self.enter(&run, &id)?;
        let files = match self.inner.pool.take(&run.sources, Instant::now())? {
            Taken::All(files) => files,
            Taken::Missing(missing) => return Ok(StartOutcome::Missing(missing)),
        };
        let meta = Meta {
            command,
            args: claims.args,
            requester: claims.requester,
            cluster: run.target.name.clone(),
            context: run.target.context.clone().unwrap_or_default(),
            namespace: run.namespace.clone(),
            release: run.apply.release.clone(),
            chart: run.apply.chart.clone(),
            principal: principal.to_owned(),
            workspace: claims.workspace,
            repository: claims.repository,
            versions: versions(claims.versions, &run.helm.version),
            agent: host(),
        };
        let masker = self.masker(&id, &run);
        let record = RequestRecord {
            digest: self.inner.context.digests.digest(&asked),
            canonical: canonical::to_keep(&asked).to_string(),
        };
        let new = NewSession {
            id: id.clone(),
            meta: masker.mask(meta),
            tags: masker.mask(claims.tags),
            owner: Owner::Agent,
            request: Some(masker.mask(record)),
        };
        // Known before its session is there to be found, so that a cancel that comes at once is not lost.
        let live = Live::enter(&self.inner, &id);
        let session = match self.inner.context.journal.create(new).await? {
            Created::New(session) => session,
            Created::Known(session) => return self.join(session, &asked),
        };
        let (operations, cancel) = (self.clone(), live.cancel.clone());
        let kept = on_disk(move || operations.keep(run, &files, ticket, &masker, cancel)).await;
        let work = match kept {
            Ok(work) => work,
            Err(error) => {
                self.give_up(&id, "the run folder could not be written; nothing was changed").await;
                return Err(OpError::Folder(error));
            }
        };
        self.run(live, work, None);
        Ok(StartOutcome::Started(session))
    }

    /// Writes the run folder: from here on the next agent can go on with it.
    fn keep(
        &self,
        run: Run,
        files: &[(SourcePath, Content)],
        ticket: Ticket,
        masker: &Masker,
        cancel: CancellationToken,
    ) -> io::Result<Work> {
        let id = SessionId::parse(&run.id).map_err(io::Error::other)?;
        let folder = RunFolder::of(&self.inner.context.data_dir, &id);
        folder.create(files)?;
        folder.save(&run)?;
        if cancel.is_cancelled() {
            folder.request_cancel("")?;
        }
        self.work(run, folder, ticket, masker, cancel)
    }

    fn join(&self, session: Session, asked: &Value) -> Result<StartOutcome, OpError> {
        let Some(record) = session.request.clone().filter(|_| session.owner == Owner::Agent) else {
            return Err(OpError::Published(session.id));
        };
        if record.digest == self.inner.context.digests.digest(asked) {
            return Ok(StartOutcome::Joined(session));
        }
        // Both sides masked with the session's own marks, so that equal secrets look equal.
        let now = RequestRecord { digest: String::new(), canonical: canonical::to_keep(asked).to_string() };
        let now = self.inner.context.journal.masker(&session.id, []).mask(now).into_inner();
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        let difference = canonical::differences(&read(&record.canonical), &read(&now.canonical));
        Err(OpError::OtherRequest { id: session.id, difference })
    }

    fn enter(&self, run: &Run, id: &SessionId) -> Result<Ticket, OpError> {
        let key = run.release_key();
        if run.apply.queue {
            return Ok(self.inner.queue.enter(key, id.clone()));
        }
        self.inner.queue.enter_if_free(key, id.clone()).map_err(|ahead| OpError::Busy {
            release: run.apply.release.clone(),
            namespace: run.namespace.clone(),
            ahead,
        })
    }

    /// A masker that knows the credentials of the cluster and the secrets that the request itself spells out.
    pub(super) fn masker(&self, id: &SessionId, run: &Run) -> Masker {
        let credentials = Kubeconfig::read(&run.target.kubeconfig).map(|config| config.credentials());
        let set = run.apply.set.iter().flat_map(|value| find_secrets(&value.expression));
        self.inner.context.journal.masker(id, credentials.unwrap_or_default().into_iter().chain(set))
    }

    /// Everything that the steps need, made from what is on the disk.
    pub(super) fn work(
        &self,
        run: Run,
        folder: RunFolder,
        ticket: Ticket,
        masker: &Masker,
        cancel: CancellationToken,
    ) -> io::Result<Work> {
        let texts = folder.read_sources(&run.sources)?;
        // Templates are left to what they render: their secrets turn up there, with their values.
        let plain = texts.iter().filter(|(path, _)| !path.contains("/templates/"));
        let mut known: Vec<String> = plain.flat_map(|(_, text)| find_secrets(text)).collect();
        if let Ok(manifest) = std::fs::read(folder.manifest()) {
            known.extend(secrets(&String::from_utf8_lossy(&manifest)));
        }
        if folder.is_cancel_requested() {
            cancel.cancel();
        }
        let journal = self.inner.context.journal.clone();
        let id = SessionId::parse(&run.id).map_err(io::Error::other)?;
        masker.learn(known);
        let reporter = Reporter::new(journal.clone(), id, masker, run.said);
        let launcher = self.inner.context.launcher.clone();
        Ok(Work {
            run,
            folder,
            reporter,
            launcher,
            cancel,
            ticket,
            texts,
            watch: None,
            suspects: None,
            journal,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helm::Major;

    #[test]
    fn a_caller_speaks_for_its_own_versions_only() {
        let claimed = [("client", "ktl-lsp 0.1.0"), ("helm", "v9"), ("ktl-agent", "9")];
        let claimed = claimed.map(|(part, version)| (part.to_owned(), version.to_owned()));
        let helm = Version { text: "v4.0.1".to_owned(), major: Major::Four };
        let versions = versions(claimed.into(), &helm);
        assert_eq!((versions["client"].as_str(), versions["helm"].as_str()), ("ktl-lsp 0.1.0", "v4.0.1"));
        assert_eq!(versions["ktl-agent"], env!("CARGO_PKG_VERSION"));
        assert!(!host().is_empty());
    }
}
