//! Follows a session to its end, prints it, and passes a wish to stop on.

use std::{io, time::Duration};

use ktl_proto::control::v1::{Finding, Frame, Session, Status};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
    time::timeout,
};

use super::{
    Format, Outcome,
    json::{self, Protojson},
    output::{Output, complain, wants_color},
    text::Text,
    words,
};
use crate::agent::{Agent, Followed};

/// How long the wish to cancel may travel when its sender wants to leave.
const ASKING: Duration = Duration::from_secs(3);

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

/// Prints the session to its end. The first interrupt cancels it, the second one leaves it alone. `only_reading`
/// ends as soon as nobody reads the output any more.
pub(super) async fn follow(
    agent: &Agent,
    session: &str,
    printer: &mut Printer,
    interrupts: &mut Interrupts,
    only_reading: bool,
) -> Outcome {
    let mut follower = agent.follow(session);
    let mut cancelling: Option<JoinHandle<()>> = None;
    let mut away = false;
    loop {
        let followed = tokio::select! {
            followed = follower.next() => followed,
            () = interrupts.next() => {
                if let Some(asked) = cancelling {
                    // The wish must have arrived before its sender goes.
                    let _ = timeout(ASKING, asked).await;
                    complain(format!("left session {session} to itself; follow it with: ktl-lsp attach {session}"));
                    return Outcome::Cancelled;
                }
                cancelling = Some(cancel(agent.clone(), session.to_owned()));
                continue;
            }
        };
        if !matches!(followed, Some(Followed::Away { .. })) {
            away = false;
        }
        match followed {
            Some(Followed::Frame(frame)) => printer.frame(&frame),
            Some(Followed::Away { why, .. }) => {
                if !std::mem::replace(&mut away, true) {
                    complain(format!("the agent is away ({why}); the session goes on when it is back"));
                }
            }
            Some(Followed::Gap(gap)) => {
                complain(format!("frames {} to {} are gone: {}", gap.from, gap.to, gap.reason));
            }
            Some(Followed::Restarted) => complain("the session has another history now; it starts again"),
            Some(Followed::CaughtUp) => {}
            Some(Followed::End(end)) => return outcome(end.status()),
            Some(Followed::Failed(error)) => {
                complain(words(&error));
                return if error.is_unknown_session() { Outcome::NotStarted } else { Outcome::Failed };
            }
            None => return Outcome::Failed,
        }
        if only_reading && printer.is_closed() {
            return Outcome::Done;
        }
    }
}

/// Asks beside the following, so that frames that tell of the cancel are printed while it is answered.
fn cancel(agent: Agent, session: String) -> JoinHandle<()> {
    complain(format!("cancelling session {session}; once more leaves it to itself"));
    crate::task::start("cancel", async move {
        if let Err(error) = agent.cancel(&session).await {
            complain(words(&error));
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
