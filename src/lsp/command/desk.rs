//! The desk where commands of this editor are carried out: who the editor is, which agents there are, what runs.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lsp_types::{ConfigurationItem, InitializeParams, MessageType, ProgressToken, Uri};
use serde_json::Value;
use tokio::time::timeout;

use super::{Answer, Arguments, Command, log::Log, restraint::Restraint};
use crate::{
    agent::{Agent, AgentState, Target},
    documents::path_of,
    editor::Editor,
    features::{self, Refresh},
    progress::{Progresses, token_of},
    releases::{self, Choice},
    runs::{Held, Run, Runs},
    settings::{Asking, told},
    task,
    workspace::Buffers,
};

/// How long a client may take to send its settings.
const SETTINGS_DEADLINE: Duration = Duration::from_secs(10);

/// A handle; clones share everything.
#[derive(Clone)]
pub(crate) struct Desk {
    shared: Arc<Shared>,
}

struct Shared {
    editor: Editor,
    runs: Runs,
    log: Log,
    refresh: Refresh,
    progresses: Progresses,
    asking: Mutex<Asking>,
    /// One client per agent, so that sessions share its connection.
    agents: Mutex<Vec<(Target, Agent)>>,
    /// Tokens that the client made itself, each with its session.
    tokens: Mutex<Vec<(String, ProgressToken)>>,
    restraint: Restraint,
}

impl Desk {
    /// Must be called inside a runtime: what runs found is shown from a task.
    pub(crate) fn new(editor: Editor) -> Self {
        let log = Log::to_client(editor.client.clone());
        let refresh = Refresh::new(editor.clone());
        let shared = Shared {
            editor,
            log,
            refresh,
            runs: Runs::default(),
            progresses: Progresses::default(),
            asking: Mutex::default(),
            agents: Mutex::default(),
            tokens: Mutex::default(),
            restraint: Restraint::default(),
        };
        let desk = Self { shared: Arc::new(shared) };
        features::show_runs(desk.editor().clone(), desk.runs().clone(), desk.shared.refresh.clone());
        desk
    }

    pub(crate) fn editor(&self) -> &Editor {
        &self.shared.editor
    }

    pub(crate) fn runs(&self) -> &Runs {
        &self.shared.runs
    }

    pub(super) fn log(&self) -> &Log {
        &self.shared.log
    }

    pub(super) fn progresses(&self) -> &Progresses {
        &self.shared.progresses
    }

    /// Takes folders and settings from `initialize`.
    pub(crate) fn configure(&self, params: &InitializeParams) {
        let mut asking = self.asking();
        asking.folders = folders_of(params);
        asking.editor = params.initialization_options.clone().unwrap_or_default();
    }

    /// The client's folders changed.
    pub(crate) fn change_folders(&self, added: &[Uri], removed: &[Uri]) {
        let removed: Vec<PathBuf> = removed.iter().filter_map(path_of).collect();
        let mut asking = self.asking();
        asking.folders.retain(|folder| !removed.contains(folder));
        for folder in added.iter().filter_map(path_of) {
            if !asking.folders.contains(&folder) {
                asking.folders.push(folder);
                self.shared.restraint.renew();
            }
        }
    }

    /// The client's settings changed. Work that runs keeps the agent that it was started on.
    pub(crate) fn change_settings(&self, settings: Value) {
        if !settings.is_null() {
            self.asking().editor = settings;
        }
        self.runs().touch();
    }

    /// Asks the client for its settings, in a task; what it sent with `initialize` counts until it answers.
    pub(crate) fn fetch_settings(&self) {
        if !self.editor().agreed().configuration {
            return;
        }
        let desk = self.clone();
        task::spawn("settings", async move {
            let item = ConfigurationItem { scope_uri: None, section: Some("ktl".to_owned()) };
            let answer = timeout(SETTINGS_DEADLINE, desk.editor().client.configuration(vec![item])).await;
            if let Ok(Ok(mut settings)) = answer
                && let Some(settings) = settings.pop()
            {
                desk.change_settings(settings);
            }
        });
    }

    /// Carries out a command. The answer comes at once; the work goes on in tasks.
    pub(crate) async fn carry_out(
        &self,
        command: Command,
        token: Option<ProgressToken>,
    ) -> Result<Answer, String> {
        let owes_contact = self.shared.restraint.lift();
        let answer = match command {
            Command::Apply(arguments) => self.apply(arguments, token).await,
            Command::Cancel(arguments) => self.cancel(&arguments).await,
            Command::Attach(arguments) => self.attach(&arguments, token).await,
            Command::OpenReplay(arguments) => self.open_replay(&arguments).await,
            Command::ShowSessions(_) => self.show_sessions().await,
        };
        if owes_contact {
            self.restore();
        }
        answer
    }

    /// Whether the agent may be contacted although nobody asked for it; if not, the user's first command makes up for
    /// it.
    pub(super) async fn may_ask_unasked(&self) -> bool {
        !self.heeds_workspace().await || self.shared.restraint.admits()
    }

    /// The client's own button to cancel.
    pub(crate) fn cancel_progress(&self, token: &ProgressToken) {
        let given =
            self.tokens().iter().find(|(_, known)| known == token).map(|(session, _)| session.clone());
        let session = given.or_else(|| {
            self.runs()
                .that(Run::is_running)
                .into_iter()
                .map(|held| held.run.session)
                .find(|session| token_of(session) == *token)
        });
        let held = session.and_then(|session| self.runs().get(&session));
        if let Some(held) = held.filter(|held| held.run.is_running()) {
            held.cancel.notify_one();
        }
    }

    /// A text changed: findings of runs in it may have moved.
    pub(crate) fn text_changed(&self, uri: &Uri) {
        if path_of(uri).is_some_and(|path| self.runs().speaks_of(&path)) {
            self.runs().touch();
        }
    }

    /// A file changed on the disk, by whatever program. A document that is open there stays what the user sees.
    pub(crate) fn file_changed(&self, uri: &Uri) {
        self.text_changed(uri);
        if path_of(uri).is_some_and(|path| features::depend_on(&path)) {
            self.shared.refresh.lenses();
        }
    }

    /// Ends what the client sees of running sessions. They go on: they belong to the agent.
    pub(crate) async fn close(&self) {
        self.progresses().end_all().await;
    }

    /// The texts as the user sees them.
    pub(crate) fn buffers(&self) -> Buffers {
        let open = self.editor().documents.all().into_iter();
        let texts = open.filter_map(|snapshot| Some((snapshot.key.path()?.to_owned(), snapshot.text)));
        Buffers::new(texts.collect())
    }

    /// The folders that are open; without any, those of the open files.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        let folders = self.asking().folders.clone();
        if !folders.is_empty() {
            return folders;
        }
        let open = self.editor().documents.all();
        let mut folders: Vec<PathBuf> =
            open.iter().filter_map(|snapshot| snapshot.key.path()?.parent().map(Path::to_owned)).collect();
        folders.sort();
        folders.dedup();
        folders
    }

    /// The release that is meant. Searches the disk, off the threads that serve the client.
    pub(super) async fn choose(&self, arguments: &Arguments) -> Result<Choice, String> {
        let folders = arguments.folder()?.map_or_else(|| self.folders(), |folder| vec![folder]);
        let (name, buffers) = (arguments.release.clone(), self.buffers());
        task::blocking("search", move || releases::choose(&folders, name.as_deref(), &buffers))
            .await
            .ok_or_else(|| "the search for releases failed; see the log of ktl-lsp".to_owned())
    }

    /// The agent for work on what `file` describes, or for the workspace as a whole.
    pub(crate) async fn agent(&self, file: Option<PathBuf>) -> Result<Agent, String> {
        let mut asking = self.asking().clone();
        asking.folders = self.folders();
        let buffers = self.buffers();
        let target = task::blocking("settings", move || asking.target(file.as_deref(), &buffers)).await;
        let target = target
            .ok_or_else(|| "the settings could not be read; see the log of ktl-lsp".to_owned())?
            .map_err(|mistakes| told(&mistakes))?;
        let (agent, is_new) = self.agent_at(target);
        if is_new && let Some(caution) = agent.caution() {
            self.say(MessageType::WARNING, caution).await;
        }
        Ok(agent)
    }

    async fn heeds_workspace(&self) -> bool {
        let mut asking = self.asking().clone();
        asking.folders = self.folders();
        let buffers = self.buffers();
        task::blocking("settings", move || asking.heeds_workspace(&buffers)).await.unwrap_or(true)
    }

    /// The agent, and whether nobody asked for it before.
    fn agent_at(&self, target: Target) -> (Agent, bool) {
        let mut agents = self.shared.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, agent)) = agents.iter().find(|(known, _)| *known == target) {
            return (agent.clone(), false);
        }
        let agent = Agent::new(target.clone());
        agents.push((target, agent.clone()));
        task::spawn("agent state", tell_state(self.clone(), agent.clone()));
        (agent, true)
    }

    /// The agent of a run that is known, else the one of the workspace.
    pub(super) async fn agent_of(&self, held: Option<&Held>) -> Result<Agent, String> {
        match held.and_then(|held| held.agent.clone()) {
            Some(agent) => Ok(agent),
            None => self.agent(held.map(|held| held.definition.clone())).await,
        }
    }

    pub(super) async fn say(&self, kind: MessageType, message: String) {
        self.editor().client.show_message(kind, message).await;
    }

    pub(super) fn remember_token(&self, session: &str, token: Option<&ProgressToken>) {
        if let Some(token) = token {
            self.tokens().push((session.to_owned(), token.clone()));
        }
    }

    pub(super) fn forget_token(&self, session: &str) {
        self.tokens().retain(|(known, _)| known != session);
    }

    fn asking(&self) -> MutexGuard<'_, Asking> {
        self.shared.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tokens(&self) -> MutexGuard<'_, Vec<(String, ProgressToken)>> {
        self.shared.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says when the agent goes away and comes back, and what the user should know about it.
async fn tell_state(desk: Desk, agent: Agent) {
    let mut states = agent.state();
    let mut was_away = false;
    while states.changed().await.is_ok() {
        let state = states.borrow_and_update().clone();
        match state {
            AgentState::Idle => {}
            AgentState::Connected { notice, .. } => {
                if std::mem::take(&mut was_away) {
                    desk.log().line(MessageType::INFO, "the agent is back".to_owned());
                }
                if let Some(notice) = notice {
                    desk.say(MessageType::WARNING, notice).await;
                }
            }
            AgentState::Disconnected { why, retry } => {
                if !std::mem::replace(&mut was_away, true) {
                    let seconds = retry.as_secs_f32();
                    let message =
                        format!("the agent is away ({why}); trying again in {seconds:.1} s, then less often");
                    desk.log().line(MessageType::WARNING, message);
                }
            }
        }
    }
}

/// Workspace folders, else what older clients send instead.
#[allow(deprecated)]
fn folders_of(params: &InitializeParams) -> Vec<PathBuf> {
    let folders = params.workspace_folders.iter().flatten().filter_map(|folder| path_of(&folder.uri));
    let folders: Vec<PathBuf> = folders.collect();
    if !folders.is_empty() {
        return folders;
    }
    let root = params.root_uri.as_ref().and_then(path_of);
    root.or_else(|| params.root_path.as_ref().map(PathBuf::from)).into_iter().collect()
}
