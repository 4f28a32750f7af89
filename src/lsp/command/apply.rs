//! `ktl.apply`: from a release to a session that runs.

use std::{path::PathBuf, sync::Arc, time::Duration};

use ktl_chart::finding::Finding;
use lsp_types::{MessageType, ProgressToken};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use uuid::Uuid;

use super::{Answer, Arguments, Command, Desk, watch::Texts};
use crate::{
    agent::{Agent, AgentError, Claims, StartRequest, request},
    progress::{Progress, token_of},
    releases::{Choice, Definition, Kubeconfigs, Plan, Release, Sources, label, plan},
    runs::{Held, Run, State, Watching},
    task,
    workspace::Buffers,
};

/// Between two starts of the same session; each is patient by itself.
const AGAIN: Duration = Duration::from_secs(2);
/// How long a start that is cancelled may go on. Cutting off the agent while it writes the session down would leave one
/// that nobody runs; a start that takes longer is not at that point.
const GRACE: Duration = Duration::from_secs(3);
/// What is said of a run that was cancelled in time.
pub(super) const CANCELLED: &str = "it was cancelled";

/// An apply on its way.
struct Launch {
    desk: Desk,
    release: Release,
    agent: Agent,
    session: String,
    arguments: Arguments,
    token: Option<ProgressToken>,
    /// Told when somebody wants it to stop.
    cancel: Arc<Notify>,
    watching: Watching,
}

/// Why there is nothing to follow.
#[derive(Debug, PartialEq, Eq)]
enum Stopped {
    /// It does not run, and this is why.
    NotStarted(String),
    /// It may run: neither the start nor the wish to stop it was answered, and this is why.
    InDoubt(String),
}

impl Desk {
    /// Starts an apply, or joins the session that was named and runs.
    pub(super) async fn apply(
        &self,
        arguments: Arguments,
        token: Option<ProgressToken>,
    ) -> Result<Answer, String> {
        if let Some(session) =
            arguments.session_id.as_deref().filter(|session| self.runs().is_running(session))
        {
            return self.attach(&Arguments::of_session(session), token).await;
        }
        let release = match self.choose(&arguments).await? {
            Choice::One(release) => *release,
            Choice::Nothing(why) => return Err(why),
            Choice::Several(releases) => {
                let choices: Vec<_> = releases.iter().map(Release::choice).collect();
                self.offer("Which release?", &choices, Command::Apply);
                return Ok(Answer::choices(choices));
            }
        };
        let release = with_layers(release, &arguments.values)?;
        let agent = self.agent(Some(release.path.clone())).await?;
        let session = arguments.session_id.clone().unwrap_or_else(|| Uuid::now_v7().to_string());
        let Some(watching) = self.runs().claim(&session) else {
            return self.attach(&Arguments::of_session(&session), token).await;
        };
        let mut held =
            Held::new(Run::new(&session, &release.name), release.folder().to_owned(), release.path.clone());
        held.agent = Some(agent.clone());
        held.url = agent.url(&session);
        let answer = Answer::session(&session, held.url.clone());
        self.remember_token(&session, token.as_ref());
        let cancel = held.cancel.clone();
        self.runs().add(held);
        self.runs().set_current(&session);
        let desk = self.clone();
        let launch = Launch { desk, release, agent, session, arguments, token, cancel, watching };
        task::spawn("apply", launch.run());
        Ok(answer)
    }
}

impl Launch {
    async fn run(self) {
        let buffers = self.desk.buffers();
        let progress = self.begin().await;
        let planned = tokio::select! {
            planned = self.plan(buffers.clone()) => planned,
            () = self.cancel.notified() => return self.not_started(CANCELLED.to_owned(), progress).await,
        };
        let plan = match planned {
            Ok(plan) => plan,
            Err(problems) => return self.stopped(problems, &buffers, progress).await,
        };
        progress.doing("starting".to_owned());
        self.desk.runs().update(&self.session, |held| held.root = Some(plan.sources.root.clone()));
        let claims = Claims {
            args: vec!["ktl.apply".to_owned()],
            tags: self.arguments.tags.clone().into_iter().collect(),
        };
        let request = request(&self.session, &plan, claims);
        let sources = Arc::new(plan.sources);
        let started = Box::pin(self.start(&request, &sources, &progress));
        let withdraw = || async {
            progress.doing("cancelling".to_owned());
            withdrawn(self.agent.cancel(&self.session).await.map(|_| ()))
        };
        match unless_cancelled(started, &self.cancel, GRACE, withdraw).await {
            Ok(()) => {
                let texts = Texts::Sent(sources);
                self.desk.watch(self.agent.clone(), &self.session, progress, texts).await;
            }
            Err(Stopped::NotStarted(why)) => self.not_started(why, progress).await,
            Err(Stopped::InDoubt(why)) => self.in_doubt(why, progress).await,
        }
    }

    /// Asks until the agent has answered: a start whose answer was lost may run, and the same one again joins it.
    async fn start(
        &self,
        request: &StartRequest,
        sources: &Sources,
        progress: &Progress,
    ) -> Result<(), Stopped> {
        let mut may_run = false;
        loop {
            let Err(error) = self.agent.start(request.clone(), sources).await else { return Ok(()) };
            may_run |= matches!(error, AgentError::Unanswered(_));
            if !may_run || matches!(error, AgentError::Refused(_)) {
                return Err(Stopped::NotStarted(error.to_string()));
            }
            progress.doing("the agent is away, and may have started it; asking again".to_owned());
            sleep(AGAIN).await;
        }
    }

    /// Shows release, cluster and namespace, as far as they are known before anything else is.
    async fn begin(&self) -> Progress {
        let (release, is_local) = (self.release.clone(), self.agent.is_local());
        let label = task::blocking("label", move || {
            label(&release, is_local.then(Kubeconfigs::of_environment).as_ref())
        });
        let place = label.await.map_or_else(String::new, |label| {
            self.desk.runs().update(&self.session, |held| {
                held.run.cluster.clone_from(&label.cluster);
                held.run.namespace.clone_from(&label.namespace);
            });
            format!(" to {}/{}", label.cluster, label.namespace)
        });
        let title = format!("Apply {}{place}", self.release.name);
        self.desk.progresses().start(self.desk.editor(), self.token.clone(), token_of(&self.session), title)
    }

    async fn plan(&self, buffers: Buffers) -> Result<Plan, Vec<Finding>> {
        let (release, folders) = (self.release.clone(), self.desk.folders());
        let is_local = self.agent.is_local();
        let planned = task::blocking("plan", move || {
            let kubeconfigs = is_local.then(Kubeconfigs::of_environment);
            plan(&release, kubeconfigs.as_ref(), &folders, &buffers)
        });
        planned.await.unwrap_or_else(|| Err(Vec::new()))
    }

    /// Something is wrong before anything starts: it is shown where it is written.
    async fn stopped(self, problems: Vec<Finding>, buffers: &Buffers, progress: Progress) {
        let first = problems.first().map_or("its sources could not be collected", |finding| &finding.message);
        let more = problems.len().saturating_sub(1);
        let why = if more > 0 { format!("{first} (and {more} more)") } else { first.to_owned() };
        let paths: Vec<PathBuf> = problems
            .iter()
            .filter_map(|finding| Some(PathBuf::from(&finding.place.as_ref()?.file)))
            .collect();
        let texts =
            paths.into_iter().filter_map(|path| Some((path.clone(), buffers.text(&path).ok()?.into())));
        let texts: Vec<_> = texts.collect();
        self.desk.runs().update(&self.session, |held| {
            held.texts.extend(texts);
            held.problems = problems;
        });
        self.not_started(why, progress).await;
    }

    async fn not_started(self, why: String, progress: Progress) {
        let message = self.conclude(State::NotStarted(why), progress);
        self.desk.say(MessageType::ERROR, message).await;
    }

    /// It was cancelled, and the agent is to hear of it whenever it is back.
    async fn in_doubt(self, why: String, progress: Progress) {
        let message = self.conclude(State::InDoubt(why), progress);
        let message = format!("{message}; it is told to stop as soon as the agent answers");
        self.desk.say(MessageType::WARNING, message).await;
        // Whoever attaches meanwhile may follow it.
        drop(self.watching);
        self.desk.insist_on_cancel(&self.agent, &self.session).await;
    }

    /// There is nothing to follow; what to say about it.
    fn conclude(&self, state: State, progress: Progress) -> String {
        let verdict = self.desk.runs().update(&self.session, |held| {
            held.run.state = state;
            held.run.verdict()
        });
        let message = format!("{} (session {})", verdict.unwrap_or_default(), self.session);
        progress.end(message.clone());
        self.desk.forget_token(&self.session);
        message
    }
}

/// Starts. A wish to stop that comes meanwhile is passed on once the start was answered; a start that is not answered
/// within `grace` is given up and taken back with `withdraw`.
async fn unless_cancelled<Withdrawn: Future<Output = Result<(), Stopped>>>(
    start: impl Future<Output = Result<(), Stopped>>,
    cancel: &Notify,
    grace: Duration,
    withdraw: impl FnOnce() -> Withdrawn,
) -> Result<(), Stopped> {
    {
        tokio::pin!(start);
        tokio::select! {
            started = &mut start => return started,
            () = cancel.notified() => {}
        }
        if let Ok(started) = timeout(grace, start).await {
            // For the one who follows it from here.
            cancel.notify_one();
            return started;
        }
    }
    withdraw().await
}

/// What a session is that may have been started, after it was cancelled: one to follow, or one that never was.
fn withdrawn(answer: Result<(), AgentError>) -> Result<(), Stopped> {
    answer.map_err(|error| {
        if error.is_unknown_session() {
            Stopped::NotStarted(CANCELLED.to_owned())
        } else {
            Stopped::InDoubt(error.to_string())
        }
    })
}

/// Layers are for a chart that no `.ktl.yaml` describes; a described release has its own.
fn with_layers(mut release: Release, values: &[String]) -> Result<Release, String> {
    match &mut release.definition {
        _ if values.is_empty() => {}
        Definition::Bare { layers, .. } => layers.extend_from_slice(values),
        Definition::Entry(_) => {
            return Err(format!(
                "values: {} is described by {}; add the files there",
                release.name,
                release.path.display()
            ));
        }
    }
    Ok(release)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const SOON: Duration = Duration::from_millis(10);

    fn never() -> std::future::Ready<Result<(), Stopped>> {
        panic!("nothing is to be taken back")
    }

    #[tokio::test]
    async fn a_start_that_nobody_cancels_is_answered() {
        let cancel = Notify::new();
        assert_eq!(unless_cancelled(ready(Ok(())), &cancel, SOON, never).await, Ok(()));
        let refused = || Err(Stopped::NotStarted("no".to_owned()));
        assert_eq!(unless_cancelled(ready(refused()), &cancel, SOON, never).await, refused());
    }

    #[tokio::test]
    async fn a_wish_to_stop_during_the_start_is_kept_for_the_one_who_follows() {
        let cancel = Notify::new();
        cancel.notify_one();
        let slow = async {
            tokio::time::sleep(SOON).await;
            Ok(())
        };
        assert_eq!(unless_cancelled(slow, &cancel, Duration::from_secs(5), never).await, Ok(()));
        cancel.notified().await;
    }

    #[tokio::test]
    async fn a_start_that_takes_too_long_to_cancel_is_taken_back() {
        let cancel = Notify::new();
        cancel.notify_one();
        let taken_back = || ready(Err(Stopped::NotStarted(CANCELLED.to_owned())));
        let answer = unless_cancelled(pending(), &cancel, SOON, taken_back).await;
        assert_eq!(answer, Err(Stopped::NotStarted(CANCELLED.to_owned())));
    }
}
