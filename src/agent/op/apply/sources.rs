//! The first step: say what runs, and keep the masked sources with the session.

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{Apply, StepError, Work};
use crate::{
    frame::{Body, PhaseName, PhaseState, SourceRef, Started},
    shim::now_nanos,
};

/// How many sources are on their way into the journal at a time: it commits them together.
const AT_ONCE: usize = 64;

impl Work {
    pub(super) async fn keep_sources(&mut self) -> Result<Apply, StepError> {
        let began = now_nanos();
        let started = self.started();
        self.reporter.say(vec![Body::Started(started)]).await?;
        self.reporter.phase(PhaseName::Sources, PhaseState::Running, "", began).await?;
        let masker = self.reporter.masker().clone();
        let id = self.reporter.id().clone();
        let (journal, masker, id) = (&self.journal, &masker, &id);
        let kept = self.run.sources.iter().filter_map(|(path, listed)| {
            // A packed chart is no text that anybody reads.
            let text = self.texts.get(path.as_str()).filter(|text| !text.contains('\u{0}'))?;
            Some(async move {
                let masked = masker.mask_source(text);
                journal.put_source(id, path.as_str(), masked, listed.sha256.as_str()).await
            })
        });
        let kept: Vec<_> = kept.collect();
        stream::iter(kept).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        let count = self.run.sources.iter().count();
        let bytes: u64 = self.run.sources.iter().map(|(_, listed)| listed.size).sum();
        let message = format!("{count} files, {bytes} bytes");
        self.reporter.phase(PhaseName::Sources, PhaseState::Succeeded, &message, began).await?;
        Ok(Apply::Render)
    }

    fn started(&self) -> Started {
        let (run, apply) = (&self.run, &self.run.apply);
        let mut phases = vec![PhaseName::Sources, PhaseName::Render, PhaseName::Upgrade];
        if apply.watches_rollout() {
            phases.push(PhaseName::Rollout);
        }
        let source = |(path, listed): (&crate::sources::SourcePath, &crate::sources::Listed)| SourceRef {
            path: path.to_string(),
            sha256: listed.sha256.to_string(),
            size: listed.size,
        };
        Started {
            operation: "apply".to_owned(),
            release: apply.release.clone(),
            namespace: run.namespace.clone(),
            cluster: run.target.name.clone(),
            context: run.target.context.clone().unwrap_or_default(),
            chart: apply.chart.clone(),
            helm_version: run.helm.version.text.clone(),
            requester: run.requester.clone(),
            phases: phases.into_iter().map(Into::into).collect(),
            sources: run.sources.iter().map(source).collect(),
            config_path: apply.config_path.as_ref().map(ToString::to_string).unwrap_or_default(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            timeout_seconds: i64::try_from(apply.timeout_seconds).unwrap_or(i64::MAX),
        }
    }
}
