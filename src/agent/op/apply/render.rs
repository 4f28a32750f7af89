//! The second step: `helm template`, which says what will be there and fails before anything is changed.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use futures::future::join_all;
use ktl_chart::blame::{HelmStep, Outcome};
use kube::Client;
use tokio::time::{Instant, timeout};

use super::{Apply, StepError, Work, headline, helm::HelmEnd};
use crate::{
    frame::{Body, ObjectList, PhaseName, PhaseState},
    kube::{connect, kinds},
    mask::Masker,
    op::{
        rendered::{Rendered, secrets},
        suspect::Suspects,
    },
    shim::{Tail, now_nanos},
};

/// How long the cluster may take to say what it is. Without its answer helm renders for a cluster of its own mind.
const ASK: Duration = Duration::from_secs(5);
/// How long a render may take to end once it was asked to.
const GRACE_SECONDS: u64 = 5;

impl Work {
    pub(super) async fn render(&mut self) -> Result<Apply, StepError> {
        let began = now_nanos();
        self.reporter.phase(PhaseName::Render, PhaseState::Running, "", began).await?;
        let at = self.folder.render();
        let before = self.suspect();
        // An agent that goes on with a render gives it the whole time again.
        let until = Instant::now() + Duration::from_secs(self.run.apply.timeout_seconds);
        let mut end = self.render_once(&at, until).await?;
        if matches!(end, HelmEnd::Gone) && !self.cancel.is_cancelled() {
            // A render changes nothing, so one that somebody killed is simply done again, once.
            self.folder.forget_render()?;
            end = self.render_once(&at, until).await?;
        }
        let (state, message, next) = match end {
            _ if self.cancel.is_cancelled() => {
                (PhaseState::Cancelled, String::new(), Apply::cancelled("before it changed anything"))
            }
            HelmEnd::Gone => {
                let message = "helm template was killed from outside; nothing was changed, apply again";
                (PhaseState::Failed, message.to_owned(), Apply::failed(message))
            }
            HelmEnd::Exit(exit) if exit.succeeded() => {
                self.trust(before);
                let rendered = self.rendered()?;
                self.keep_sources().await?;
                let message = format!("{} objects", rendered.objects.len());
                self.reporter.say(vec![Body::Objects(ObjectList { objects: rendered.names() })]).await?;
                (PhaseState::Succeeded, message, Apply::Upgrade { since: now_nanos() })
            }
            HelmEnd::TooLong => {
                let message = too_long(self.run.apply.timeout_seconds);
                self.render_failed(&Outcome::Message(message)).await?
            }
            HelmEnd::Exit(exit) => {
                let outcome = match exit.error {
                    Some(error) => Outcome::Message(format!("cannot run helm: {error}")),
                    None => Outcome::Helm {
                        step: HelmStep::Template,
                        major: self.major(),
                        stderr: Tail::stderr(&at)?,
                    },
                };
                self.render_failed(&outcome).await?
            }
        };
        self.reporter.phase(PhaseName::Render, state, &message, began).await?;
        Ok(next)
    }

    async fn render_failed(&mut self, outcome: &Outcome) -> Result<(PhaseState, String, Apply), StepError> {
        self.keep_sources().await?;
        let findings = self.blame(outcome);
        // Masked now: the agent that tells the end may be another one, which suspects nothing any more.
        let message = self.reporter.masker().mask(headline(&findings)).into_inner();
        self.reporter.findings(findings).await?;
        Ok((PhaseState::Failed, message.clone(), Apply::failed(message)))
    }

    /// Hides everything that may be secret until the render shows what is; helm's errors quote values. Names that every
    /// reader of the session is told anyway are left alone. Gives what hid the secrets before.
    pub(super) fn suspect(&mut self) -> Masker {
        let suspects = Suspects::find(&self.texts, &self.run.apply);
        let (run, chart) = (&self.run, self.run.chart());
        let context = run.target.context.as_deref().unwrap_or_default();
        let chart = chart.rsplit('/').next().unwrap_or_default();
        let told = [&run.apply.release, &run.namespace, &run.target.name, context, chart];
        let values = suspects.values().filter(|value| !told.contains(value)).map(str::to_owned).collect();
        let before = self.reporter.masker().clone();
        self.reporter.suspect(values);
        self.suspects = Some(suspects);
        before
    }

    /// The render shows what is secret, so nothing is suspected any more.
    fn trust(&mut self, before: Masker) {
        self.reporter.hide_by(before);
        self.suspects = None;
    }

    async fn render_once(&mut self, at: &Path, until: Instant) -> Result<HelmEnd, StepError> {
        self.launch_render().await?;
        self.follow_helm(at, "render", PhaseName::Render, Some(until)).await
    }

    async fn launch_render(&self) -> Result<(), StepError> {
        let asked = async {
            let client = connect(&self.run.target).await.ok()?;
            timeout(ASK, capabilities(&client)).await.ok()
        };
        let (version, apis) = self.cancel.run_until_cancelled(asked).await.flatten().unwrap_or_default();
        let (chart, values) = (self.run.chart_argument(), self.run.values());
        let args = self.run.deploy(&chart, &values).template(version.as_deref(), &apis);
        let command = self.helm_command(args, Some(self.folder.manifest()), GRACE_SECONDS);
        let environment = self.run.target.environment();
        Ok(self.launcher.launch(&self.folder.render(), &command, &environment).await?)
    }

    /// What was rendered. Its secrets are hidden from here on.
    pub(super) fn rendered(&mut self) -> Result<Rendered, StepError> {
        let manifest = String::from_utf8_lossy(&fs::read(self.folder.manifest())?).into_owned();
        self.reporter.hide(secrets(&manifest));
        Ok(Rendered::parse(&manifest, &self.run.namespace))
    }

    pub(super) fn major(&self) -> u32 {
        u32::from(self.run.helm.version.major.number())
    }
}

fn too_long(seconds: u64) -> String {
    format!(
        "helm template had not ended after {seconds} s, the timeout of this apply, and was stopped; nothing was changed: \
         see whether its chart repository answers, or raise apply.timeout"
    )
}

/// What a chart asks about its cluster: the version, and the kinds that Kubernetes does not bring itself. Those are
/// in helm already.
async fn capabilities(client: &Client) -> (Option<String>, Vec<String>) {
    let version = client.apiserver_version().await.ok().map(|info| info.git_version);
    let groups = client.list_api_groups().await.map(|list| list.groups).unwrap_or_default();
    let versions = groups.into_iter().flat_map(|group| group.versions);
    let own: Vec<String> =
        versions.map(|one| one.group_version).filter(|one| !kinds::is_builtin(one)).collect();
    let resources = join_all(own.iter().map(|version| client.list_api_group_resources(version))).await;
    let mut names: BTreeSet<String> = own.iter().cloned().collect();
    for (version, list) in own.iter().zip(resources) {
        let resources = list.map(|list| list.resources).unwrap_or_default();
        let main = resources.into_iter().filter(|resource| !resource.name.contains('/'));
        names.extend(main.map(|resource| format!("{version}/{}", resource.kind)));
    }
    (version, names.into_iter().collect())
}
