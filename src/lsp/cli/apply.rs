//! `ktl-lsp apply RELEASE`.

use std::{collections::HashMap, ffi::OsString, path::PathBuf, time::Duration};

use clap::Args;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{
    Common, Format, Outcome, excerpt,
    follow::{Interrupts, Printer, Stance, WAITING, follow, left_alone},
    output::complain,
    words,
};
use crate::{
    agent::{Agent, AgentError, Claims, request},
    releases::{Choice, Kubeconfigs, Plan, Release, choose, plan},
    task,
    workspace::Buffers,
};

/// Between two questions to an agent that does not answer.
const AGAIN: Duration = Duration::from_millis(500);

/// Apply a release.
#[derive(Debug, Args)]
pub struct Apply {
    /// The release, as .ktl.yaml or Chart.yaml names it; not needed where there is only one.
    release: Option<String>,
    /// Use this id for the session. The same apply under the same id again follows the first, and never runs twice.
    #[arg(long, value_name = "ID")]
    session_id: Option<String>,
    /// Label the session; repeatable.
    #[arg(long = "tag", value_name = "K=V", value_parser = parse_tag)]
    tags: Vec<(String, String)>,
    #[command(flatten)]
    common: Common,
}

impl Apply {
    pub(super) async fn run(self) -> Result<Outcome, String> {
        let folder = self.common.folder()?;
        let mut printer = Printer::new(self.common.format)?;
        let mut interrupts = Interrupts::listen()?;
        let release = self.choose(&folder, &mut printer)?;
        let agent = self.common.agent(Some(&release.path))?;
        let Some(plan) = planned(&release, agent.is_local(), folder, &mut printer).await else {
            return Ok(Outcome::NotStarted);
        };
        let session = self.session_id.unwrap_or_else(|| Uuid::now_v7().to_string());
        let claims = Claims { args: readable(std::env::args_os()), tags: HashMap::from_iter(self.tags) };
        let request = request(&session, &plan, claims);
        let started = tokio::select! {
            biased;
            () = interrupts.next() => None,
            started = agent.start(request, &plan.sources) => Some(started),
        };
        let started = match started {
            Some(Ok(started)) => started,
            Some(Err(error @ AgentError::Unanswered(_))) => {
                complain(words(&error));
                return Ok(look_for(&agent, &session, &mut printer, &mut interrupts).await);
            }
            Some(Err(error)) => return Err(words(&error)),
            None => return Ok(withdraw(&agent, &session, &mut printer, &mut interrupts).await),
        };
        if let Some(notice) = agent.notice() {
            complain(notice);
        }
        if started.joined {
            complain(format!("session {session} is known; following it"));
        }
        printer.header(&session, agent.url(&session).as_deref());
        Ok(follow(&agent, &session, &mut printer, &mut interrupts, Stance::Owner).await)
    }

    fn choose(&self, folder: &std::path::Path, printer: &mut Printer) -> Result<Release, String> {
        match choose(&[folder.to_owned()], self.release.as_deref(), &Buffers::default()) {
            Choice::One(release) => Ok(*release),
            Choice::Nothing(why) => Err(why),
            Choice::Several(releases) => {
                if self.common.format == Format::Json {
                    let choices: Vec<_> = releases.iter().map(Release::choice).collect();
                    printer.line(&serde_json::json!({ "sessionId": null, "choices": choices }).to_string());
                }
                let names: Vec<&str> = releases.iter().map(|release| release.name.as_str()).collect();
                Err(format!("several releases could be meant; name one of {}", names.join(", ")))
            }
        }
    }
}

/// A start that was sent and not answered may run: whether it does says its session, for which an agent that is away is
/// waited for as after an interrupt.
async fn look_for(
    agent: &Agent,
    session: &str,
    printer: &mut Printer,
    interrupts: &mut Interrupts,
) -> Outcome {
    let end = Instant::now() + WAITING;
    loop {
        let found = tokio::select! {
            biased;
            () = interrupts.next() => return withdraw(agent, session, printer, interrupts).await,
            found = agent.session(session) => found,
        };
        match found {
            Ok(_) => {
                printer.header(session, agent.url(session).as_deref());
                return follow(agent, session, printer, interrupts, Stance::Owner).await;
            }
            Err(error) if error.is_unknown_session() => {
                complain(format!("the agent knows no session {session}, so nothing was started"));
                return Outcome::NotStarted;
            }
            Err(error) if error.is_final() || Instant::now() > end => {
                return unknown_start(&error, session);
            }
            Err(_) => sleep(AGAIN).await,
        }
    }
}

/// The end of a command whose session may run.
fn unknown_start(error: &AgentError, session: &str) -> Outcome {
    complain(words(error));
    complain(format!(
        "whether session {session} was started is not known; look with: ktl-lsp attach {session}"
    ));
    Outcome::Failed
}

/// Ends what was asked for and not yet answered. It may have arrived all the same, and then it is followed to its end.
async fn withdraw(
    agent: &Agent,
    session: &str,
    printer: &mut Printer,
    interrupts: &mut Interrupts,
) -> Outcome {
    complain(format!("cancelling session {session}; once more leaves it to itself"));
    let asked = tokio::select! {
        asked = agent.cancel(session) => asked,
        () = interrupts.next() => return left_alone(session),
    };
    match asked {
        Ok(_) => {
            printer.header(session, agent.url(session).as_deref());
            follow(agent, session, printer, interrupts, Stance::Cancelling).await
        }
        Err(error) if error.is_unknown_session() => Outcome::Cancelled,
        Err(error) => unknown_start(&error, session),
    }
}

/// The arguments for the record: what is not UTF-8 is replaced, a path may be anything.
fn readable(arguments: impl Iterator<Item = OsString>) -> Vec<String> {
    arguments.map(|argument| argument.to_string_lossy().into_owned()).collect()
}

/// Collects what the apply needs, and prints what is missing.
async fn planned(release: &Release, is_local: bool, folder: PathBuf, printer: &mut Printer) -> Option<Plan> {
    let (work, root) = (release.clone(), folder.clone());
    let planned = task::blocking("plan", move || {
        let kubeconfigs = is_local.then(Kubeconfigs::of_environment);
        plan(&work, kubeconfigs.as_ref(), &[root], &Buffers::default())
    })
    .await?;
    match planned {
        Ok(plan) => Some(plan),
        Err(findings) => {
            for finding in &findings {
                printer.finding(&excerpt::to_wire(finding, &folder));
            }
            complain(format!("{} was not started", release.name));
            None
        }
    }
}

fn parse_tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected key=value".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::{agent::Target, settings::Remote};

    #[test]
    fn an_argument_that_is_no_utf8_is_recorded_as_far_as_it_can_be_read() {
        use std::os::unix::ffi::OsStringExt as _;
        let arguments = [OsString::from("apply"), OsString::from_vec(b"--workspace=/srv/caf\xe9".to_vec())];
        assert_eq!(readable(arguments.into_iter()), ["apply", "--workspace=/srv/caf\u{fffd}"]);
    }

    #[tokio::test]
    async fn a_withdrawal_that_cannot_be_asked_for_is_a_failure_and_no_cancel() {
        let agent = Agent::new(Target::Remote(Remote::plain("not a URL")));
        let mut printer = Printer::new(Format::Text).unwrap();
        let mut interrupts = Interrupts::listen().unwrap();
        assert_eq!(withdraw(&agent, "s", &mut printer, &mut interrupts).await, Outcome::Failed);
        assert_eq!(look_for(&agent, "s", &mut printer, &mut interrupts).await, Outcome::Failed);
    }

    #[tokio::test]
    async fn an_agent_that_stays_away_after_an_unanswered_start_is_left_and_that_is_a_failure() {
        let away = Target::Remote(Remote::plain("http://127.0.0.1:1"));
        let agent = Agent::with_patience(away, Duration::from_millis(50));
        let mut printer = Printer::new(Format::Text).unwrap();
        let mut interrupts = Interrupts::listen().unwrap();
        let looked = timeout(WAITING * 50, look_for(&agent, "s", &mut printer, &mut interrupts));
        assert_eq!(looked.await, Ok(Outcome::Failed));
    }

    #[test]
    fn a_tag_is_a_key_and_a_value() {
        assert_eq!(parse_tag("team=shop=a"), Ok(("team".to_owned(), "shop=a".to_owned())));
        assert!(parse_tag("team").is_err());
        assert!(parse_tag("=x").is_err());
    }
}
