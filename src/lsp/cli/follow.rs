//! Follows a session to its end, prints it, and passes a wish to stop on.

use std::{future::pending, io, time::Duration};

use ktl_proto::control::v1::{Finding, Frame, Session, Status};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};

use super::{
    Format, Outcome,
    json::{self, Protojson},
    output::{Output, complain, wants_color},
    text::Text,
    words,
};
use crate::agent::{Agent, AgentError, Followed};

/// How long the wish to cancel may travel when its sender wants to leave.
const ASKING: Duration = Duration::from_secs(3);
/// How long an agent that is away is waited for by somebody who wants to leave.
pub(super) const WAITING: Duration =
    if cfg!(test) { Duration::from_millis(200) } else { Duration::from_secs(20) };

/// Prints sessions in the form that was asked for.
pub(super) struct Printer {
    output: Output,
    form: Form,
}

enum Form {
    Text(Text),
    Json(Protojson),
}

impl Printer {
    pub(super) fn new(format: Format) -> Result<Self, String> {
        let form = match format {
            Format::Text => Form::Text(Text::new(wants_color())),
            Format::Json => Form::Json(Protojson::new()?),
        };
        Ok(Self { output: Output::default(), form })
    }

    pub(super) fn header(&mut self, session: &str, url: Option<&str>) {
        match &self.form {
            Form::Text(text) => text.header(session, url).iter().for_each(|line| self.output.line(line)),
            Form::Json(_) => self.output.line(json::header(session, url)),
        }
    }

    pub(super) fn frame(&mut self, frame: &Frame) {
        match &self.form {
            Form::Text(text) => text.frame(frame).iter().for_each(|line| self.output.line(line)),
            Form::Json(json) => self.output.line(json.frame(frame)),
        }
    }

    pub(super) fn finding(&mut self, finding: &Finding) {
        match &self.form {
            Form::Text(text) => text.finding(finding).iter().for_each(|line| self.output.line(line)),
            Form::Json(_) => self.output.line(json::finding(finding)),
        }
    }

    pub(super) fn session(&mut self, session: &Session, as_text: impl Fn(&Session) -> String) {
        match &self.form {
            Form::Text(_) => self.output.line(as_text(session)),
            Form::Json(json) => self.output.line(json.session(session)),
        }
    }

    pub(super) fn line(&mut self, line: &str) {
        self.output.line(line);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.output.is_closed()
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self.form, Form::Text(_))
    }
}

/// Ctrl-C, and what a job runner sends.
pub(super) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    pub(super) fn listen() -> Result<Self, String> {
        let listen = || -> io::Result<Self> {
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
            })
        };
        listen().map_err(|error| format!("cannot listen for signals: {error}"))
    }

    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// How a follower stands to the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stance {
    /// It started the session, and stays to its end whoever reads the output.
    Owner,
    /// As the owner, after the session was asked to stop.
    Cancelling,
    /// It only reads, and ends as soon as nobody reads its output any more.
    Reader,
}

/// Prints the session to its end. The first interrupt cancels it, the second one leaves it alone. Without an interrupt
/// an agent that is away is waited for; after one only for so long, because somebody wants to leave.
pub(super) async fn follow(
    agent: &Agent,
    session: &str,
    printer: &mut Printer,
    interrupts: &mut Interrupts,
    stance: Stance,
) -> Outcome {
    let mut follower = agent.follow(session);
    let mut cancelled = (stance == Stance::Cancelling).then(|| Cancelled { at: Instant::now(), task: None });
    let mut away: Option<Instant> = None;
    loop {
        let followed = tokio::select! {
            followed = follower.next() => followed,
            () = interrupts.next() => {
                if let Some(Cancelled { task, .. }) = cancelled {
                    if let Some(task) = task {
                        // The wish must have arrived before its sender goes.
                        let _ = timeout(ASKING, task).await;
                    }
                    return left_alone(session);
                }
                let task = cancel(agent.clone(), session.to_owned());
                cancelled = Some(Cancelled { at: Instant::now(), task: Some(task) });
                continue;
            }
            () = passed(leave_at(cancelled.as_ref().map(|cancelled| cancelled.at), away)) => {
                complain(format!(
                    "the agent has been away for {} s since session {session} was asked to stop, so nobody knows whether it has ended; look with: ktl-lsp attach {session}",
                    WAITING.as_secs()
                ));
                return Outcome::Failed;
            }
        };
        if let Some(missed) = followed.as_ref().and_then(missed) {
            complain(missed);
        }
        match followed {
            Some(Followed::Frame(frame)) => printer.frame(&frame),
            Some(Followed::Away { why, .. }) => {
                if away.is_none() {
                    complain(format!("the agent is away ({why}); the session goes on when it is back"));
                }
                away = away.or_else(|| Some(Instant::now()));
                continue;
            }
            Some(Followed::Gap(_) | Followed::Restarted | Followed::CaughtUp) => {}
            Some(Followed::End(end)) => return outcome(end.status()),
            Some(Followed::Failed(error)) => {
                complain(words(&error));
                return if error.is_unknown_session() { Outcome::NotStarted } else { Outcome::Failed };
            }
            None => return Outcome::Failed,
        }
        away = None;
        if stance == Stance::Reader && printer.is_closed() {
            return Outcome::Done;
        }
    }
}

/// A wish to stop that was sent.
struct Cancelled {
    at: Instant,
    /// Its way to the agent, where that was not waited for.
    task: Option<JoinHandle<()>>,
}

/// When to leave an agent that is away: never before somebody wants to.
fn leave_at(cancelled: Option<Instant>, away: Option<Instant>) -> Option<Instant> {
    Some(cancelled?.max(away?) + WAITING)
}

async fn passed(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}

/// The end of a command whose session goes on.
pub(super) fn left_alone(session: &str) -> Outcome {
    complain(format!("left session {session} to itself; follow it with: ktl-lsp attach {session}"));
    Outcome::Cancelled
}

/// What the reader of the output has to know about frames that are not in it.
pub(super) fn missed(followed: &Followed) -> Option<String> {
    match followed {
        Followed::Gap(gap) => Some(format!("frames {} to {} are gone: {}", gap.from, gap.to, gap.reason)),
        Followed::Restarted => Some("the session has another history now; it starts again".to_owned()),
        _ => None,
    }
}

/// Asks beside the following, so that frames that tell of the cancel are printed while it is answered. An agent that is
/// away is asked until it is back: the follower says that it is away, and gives up in the end.
fn cancel(agent: Agent, session: String) -> JoinHandle<()> {
    complain(format!("cancelling session {session}; once more leaves it to itself"));
    crate::task::start("cancel", async move {
        loop {
            match agent.cancel(&session).await {
                Err(AgentError::Unreachable { .. }) => {}
                Err(error) => return complain(words(&error)),
                Ok(_) => return,
            }
        }
    })
}

fn outcome(status: Status) -> Outcome {
    match status {
        Status::Done => Outcome::Done,
        Status::Cancelled => Outcome::Cancelled,
        Status::Error | Status::Lost | Status::Running | Status::Unspecified => Outcome::Failed,
    }
}

#[cfg(test)]
mod tests {
    use ktl_proto::control::v1::Gap;

    use super::*;
    use crate::{agent::Target, settings::Remote};

    #[tokio::test]
    async fn an_agent_that_stays_away_after_a_cancel_is_left_and_that_is_a_failure() {
        let agent = Agent::new(Target::Remote(Remote::plain("http://127.0.0.1:1")));
        let mut printer = Printer::new(Format::Text).unwrap();
        let mut interrupts = Interrupts::listen().unwrap();
        let from = Instant::now();
        let followed = follow(&agent, "s", &mut printer, &mut interrupts, Stance::Cancelling);
        let outcome = timeout(WAITING * 20, followed).await.expect("it waits for ever");
        assert_eq!(outcome, Outcome::Failed);
        assert!(from.elapsed() >= WAITING);
    }

    #[test]
    fn nobody_who_wants_to_stay_gives_up_an_agent() {
        let (early, late) = (Instant::now(), Instant::now() + WAITING);
        assert_eq!(leave_at(None, Some(early)), None);
        assert_eq!(leave_at(Some(early), None), None);
        assert_eq!(leave_at(Some(early), Some(late)), Some(late + WAITING));
        assert_eq!(leave_at(Some(late), Some(early)), Some(late + WAITING));
    }

    #[test]
    fn frames_that_are_not_printed_are_named() {
        let gap = Followed::Gap(Gap { from: 2, to: 5, reason: "retention".to_owned() });
        assert_eq!(missed(&gap).as_deref(), Some("frames 2 to 5 are gone: retention"));
        assert!(missed(&Followed::Restarted).is_some());
        assert_eq!(missed(&Followed::CaughtUp), None);
    }
}
