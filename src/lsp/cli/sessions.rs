//! `ktl-lsp sessions …` and `ktl-lsp attach ID`.

use std::time::SystemTime;

use clap::{Args, Subcommand};
use ktl_proto::control::v1::{ListRequest, Meta, Session, Status};

use super::{
    Common, Outcome,
    follow::{Interrupts, Printer, Stance, follow, left_alone, missed},
    output::{complain, is_watched},
    words,
};
use crate::{
    agent::{Agent, AgentError, Followed},
    runs::{ago, status_word},
};

/// What to do with sessions.
#[derive(Debug, Subcommand)]
pub enum Sessions {
    /// The sessions of the agent, the last seen first.
    List(List),
    /// What is known about one session.
    Show(One),
    /// Follow a session to its end.
    Attach(Attach),
    /// Ask a running session to stop.
    Cancel(One),
    /// Every frame of a session, one JSON value a line.
    Export(One),
}

/// A session by id, followed to its end.
#[derive(Debug, Args)]
pub struct Attach {
    #[command(flatten)]
    one: One,
}

/// A session by id.
#[derive(Debug, Args)]
pub struct One {
    /// Its id.
    session_id: String,
    #[command(flatten)]
    common: Common,
}

/// Which sessions.
#[derive(Debug, Args)]
pub struct List {
    /// Only those of this release.
    #[arg(long)]
    release: Option<String>,
    /// At most so many, 1000 at most.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    #[command(flatten)]
    common: Common,
}

impl Sessions {
    pub(super) async fn run(self) -> Result<Outcome, String> {
        match self {
            Self::List(list) => list.run().await,
            Self::Show(one) => one.show().await,
            Self::Attach(attach) => attach.run().await,
            Self::Cancel(one) => one.cancel().await,
            Self::Export(one) => one.export().await,
        }
    }
}

impl Attach {
    pub(super) async fn run(self) -> Result<Outcome, String> {
        let One { session_id, common } = self.one;
        let mut printer = Printer::new(common.format)?;
        let mut interrupts = Interrupts::listen()?;
        let agent = common.agent(None)?;
        let session = tokio::select! {
            session = agent.session(&session_id) => session.map_err(|error| unknown(&error, &session_id))?,
            () = interrupts.next() => return Ok(left_alone(&session_id)),
        };
        if let Some(notice) = agent.notice() {
            complain(notice);
        }
        printer.header(&session_id, url(&agent, &session).as_deref());
        Ok(follow(&agent, &session_id, &mut printer, &mut interrupts, Stance::Reader).await)
    }
}

impl List {
    async fn run(self) -> Result<Outcome, String> {
        let mut printer = Printer::new(self.common.format)?;
        let agent = self.common.agent(None)?;
        let meta = Meta { release: self.release.unwrap_or_default(), ..Meta::default() };
        let request = ListRequest { limit: self.limit, meta: Some(meta), ..ListRequest::default() };
        let sessions = agent.list(request).await.map_err(|error| words(&error))?;
        if sessions.is_empty() && printer.is_text() {
            complain("no sessions yet; start one with: ktl-lsp apply RELEASE");
        }
        let now = SystemTime::now();
        for session in &sessions {
            printer.session(session, |session| row(session, now));
        }
        Ok(Outcome::Done)
    }
}

impl One {
    async fn show(self) -> Result<Outcome, String> {
        let mut printer = Printer::new(self.common.format)?;
        let agent = self.common.agent(None)?;
        let session =
            agent.session(&self.session_id).await.map_err(|error| unknown(&error, &self.session_id))?;
        let page = self.page(&agent, &session, printer.is_text() && is_watched()).await;
        let now = SystemTime::now();
        printer.session(&session, |session| details(session, &page, now));
        Ok(Outcome::Done)
    }

    /// Where the session can be seen. A browser has to be let in by a code, which goes to a person and into no log.
    async fn page(&self, agent: &Agent, session: &Session, to_person: bool) -> String {
        let plain = url(agent, session).unwrap_or_default();
        if !to_person {
            return plain;
        }
        match agent.mint(&self.session_id).await {
            Ok(link) => format!("{link} (opens once, within a minute)"),
            Err(error) => {
                complain(format!("no link that lets a browser in: {}", words(&error)));
                plain
            }
        }
    }

    async fn cancel(self) -> Result<Outcome, String> {
        let mut printer = Printer::new(self.common.format)?;
        let agent = self.common.agent(None)?;
        let session =
            agent.cancel(&self.session_id).await.map_err(|error| unknown(&error, &self.session_id))?;
        printer.session(&session, |session| {
            if session.status() == Status::Running {
                format!("session {} was asked to stop", session.session_id)
            } else {
                format!("session {} has already ended: {}", session.session_id, status_word(session.status()))
            }
        });
        Ok(Outcome::Done)
    }

    /// A running session is exported as far as it is recorded. An export that is not the whole record is a failure.
    async fn export(self) -> Result<Outcome, String> {
        let mut printer = Printer::new(super::Format::Json)?;
        let agent = self.common.agent(None)?;
        let mut follower = agent.follow(&self.session_id);
        let mut outcome = Outcome::Done;
        while let Some(followed) = follower.next().await {
            if let Some(missed) = missed(&followed) {
                complain(missed);
                outcome = Outcome::Failed;
            }
            match followed {
                Followed::Frame(frame) => printer.frame(&frame),
                Followed::CaughtUp | Followed::End(_) => break,
                Followed::Failed(error) => return Err(unknown(&error, &self.session_id)),
                Followed::Away { why, .. } => return Err(format!("the agent is away: {why}")),
                Followed::Gap(_) | Followed::Restarted => {}
            }
            if printer.is_closed() {
                break;
            }
        }
        Ok(outcome)
    }
}

fn unknown(error: &AgentError, session: &str) -> String {
    if error.is_unknown_session() {
        format!("there is no session {session}; see: ktl-lsp sessions list")
    } else {
        words(error)
    }
}

fn url(agent: &Agent, session: &Session) -> Option<String> {
    Some(session.url.clone()).filter(|url| !url.is_empty()).or_else(|| agent.url(&session.session_id))
}

fn row(session: &Session, now: SystemTime) -> String {
    let meta = session.meta.clone().unwrap_or_default();
    format!(
        "{}  {:<9}  {:<20}  {:<24}  {}",
        session.session_id,
        status_word(session.status()),
        meta.release,
        format!("{}/{}", meta.cluster, meta.namespace),
        ago(session.created_unix_nano, now),
    )
}

fn details(session: &Session, page: &str, now: SystemTime) -> String {
    let meta = session.meta.clone().unwrap_or_default();
    let mut lines = vec![
        format!("session    {}", session.session_id),
        format!("status     {} {}", status_word(session.status()), session.message),
        format!("release    {} in {}/{}", meta.release, meta.cluster, meta.namespace),
        format!("chart      {}", meta.chart),
        format!("requester  {}", meta.requester),
        format!("started    {}", ago(session.created_unix_nano, now)),
        format!("frames     {}", session.head),
        format!("page       {page}"),
    ];
    let mut tags: Vec<_> =
        session.tags.iter().map(|(key, value)| format!("tag        {key}={value}")).collect();
    tags.sort();
    lines.extend(tags);
    lines.join("\n")
}
