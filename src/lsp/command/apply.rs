//! `ktl.apply`: from a release to a session that runs.

use std::{path::PathBuf, sync::Arc, time::Duration};

use ktl_chart::finding::Finding;
use lsp_types::{MessageType, ProgressToken};
use tokio::time::sleep;
use uuid::Uuid;

use super::{Answer, Arguments, Command, Desk, watch::Texts};
use crate::{
    agent::{Agent, AgentError, Claims, StartRequest, request},
    progress::{Progress, token_of},
    releases::{Choice, Definition, Kubeconfigs, Plan, Release, Sources, label, plan},
    runs::{Held, Run, State, Status},
    task,
    workspace::Buffers,
};

/// Between two starts of the same session; each is patient by itself.
const AGAIN: Duration = Duration::from_secs(2);

/// An apply on its way.
struct Launch {
    desk: Desk,
    release: Release,
    agent: Agent,
    session: String,
    arguments: Arguments,
    token: Option<ProgressToken>,
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
        let mut held =
            Held::new(Run::new(&session, &release.name), release.folder().to_owned(), release.path.clone());
        held.agent = Some(agent.clone());
        held.url = agent.url(&session);
        let answer = Answer::session(&session, held.url.clone());
        self.remember_token(&session, token.as_ref());
        self.runs().add(held);
        self.runs().set_current(&session);
        let launch = Launch { desk: self.clone(), release, agent, session, arguments, token };
        task::spawn("apply", launch.run());
        Ok(answer)
    }
}

impl Launch {
    async fn run(self) {
        let buffers = self.desk.buffers();
        let progress = self.begin().await;
        let plan = match self.plan(buffers.clone()).await {
            Ok(plan) => plan,
            Err(problems) => return self.stopped(problems, &buffers, progress).await,
        };
        progress.doing("starting".to_owned());
        self.desk.runs().update(&self.session, |held| held.root.clone_from(&plan.sources.root));
        let claims = Claims {
            args: vec!["ktl.apply".to_owned()],
            tags: self.arguments.tags.clone().into_iter().collect(),
        };
        let request = request(&self.session, &plan, claims);
        let sources = Arc::new(plan.sources);
        match self.start(&request, &sources, &progress).await {
            Ok(()) => {
                let texts = Texts::Sent(sources);
                self.desk.watch(self.agent.clone(), &self.session, progress, texts).await;
            }
            Err(state) => self.over(state, progress).await,
        }
    }

    /// Asks until the agent has answered: a start whose answer was lost may run, and the same one again joins it.
    async fn start(
        &self,
        request: &StartRequest,
        sources: &Sources,
        progress: &Progress,
    ) -> Result<(), State> {
        let cancel = self.desk.runs().get(&self.session).map(|held| held.cancel).unwrap_or_default();
        let mut may_run = false;
        loop {
            let Err(error) = self.agent.start(request.clone(), sources).await else { return Ok(()) };
            may_run |= matches!(error, AgentError::Unanswered(_));
            if !may_run || matches!(error, AgentError::Refused(_)) {
                return Err(State::NotStarted(error.to_string()));
            }
            progress.doing("the agent is away, and may have started it; asking again".to_owned());
            tokio::select! {
                () = sleep(AGAIN) => {}
                () = cancel.cancelled() => return self.cancel_start().await,
            }
        }
    }

    /// Cancels what may run. Only the agent can say that it does not.
    async fn cancel_start(&self) -> Result<(), State> {
        match self.agent.cancel(&self.session).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_unknown_session() => {
                Err(State::NotStarted("it was cancelled before".to_owned()))
            }
            Err(error) => Err(State::Ended {
                status: Status::Unspecified,
                exit_code: 1,
                message: format!("it may be running, and was not cancelled: {error}"),
                left_behind: None,
            }),
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
        self.over(State::NotStarted(why), progress).await;
    }

    /// There is nothing to follow.
    async fn over(self, state: State, progress: Progress) {
        let verdict = self.desk.runs().update(&self.session, |held| {
            held.run.state = state;
            held.run.verdict()
        });
        let message = format!("{} (session {})", verdict.unwrap_or_default(), self.session);
        progress.end(message.clone());
        self.desk.forget_token(&self.session);
        self.desk.say(MessageType::ERROR, message).await;
    }
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
