//! The first step: say what runs, on which sources. Their masked copies are kept once the render showed what in them
//! is secret.

use std::fs;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{Apply, StepError, Work};
use crate::{
    frame::{Body, PhaseName, PhaseState, SourceRef, Started},
    op::rendered::secrets,
    shim::now_nanos,
};

/// How many sources are on their way into the journal at a time: it commits them together.
const AT_ONCE: usize = 64;

impl Work {
    pub(super) async fn name_sources(&mut self) -> Result<Apply, StepError> {
        let began = now_nanos();
        let started = self.started();
        self.reporter.say(vec![Body::Started(started)]).await?;
        self.reporter.phase(PhaseName::Sources, PhaseState::Running, "", began).await?;
        let count = self.run.sources.iter().count();
        let bytes: u64 = self.run.sources.iter().map(|(_, listed)| listed.size).sum();
        let message = format!("{count} files, {bytes} bytes");
        self.reporter.phase(PhaseName::Sources, PhaseState::Succeeded, &message, began).await?;
        Ok(Apply::Render)
    }

    /// Keeps masked copies of the sources with the session. Only after the render: a value may flow into a Secret
    /// under a name that does not tell. Where the render failed, what is suspected is hidden as well.
    pub(super) async fn keep_sources(&mut self) -> Result<(), StepError> {
        // Of a render that failed there may be a part, or nothing.
        let manifest = fs::read(self.folder.manifest()).unwrap_or_default();
        self.reporter.hide(secrets(&String::from_utf8_lossy(&manifest)));
        let masker = self.reporter.masker().clone();
        let id = self.reporter.id().clone();
        let (journal, masker, id, suspects) = (&self.journal, &masker, &id, self.suspects.as_ref());
        let kept = self.run.sources.iter().filter_map(|(path, listed)| {
            // A packed chart is no text that anybody reads.
            let text = self.texts.get(path.as_str()).filter(|text| !text.contains('\u{0}'))?;
            Some(async move {
                let suspected = suspects.map_or(&[][..], |suspects| suspects.in_file(path.as_str()));
                let masked = masker.mask_source(text, suspected);
                journal.put_source(id, path.as_str(), masked, listed.sha256.as_str()).await
            })
        });
        let kept: Vec<_> = kept.collect();
        Ok(stream::iter(kept).buffer_unordered(AT_ONCE).try_collect::<()>().await?)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::apply::fixture::work;

    fn is_on_disk(data: &std::path::Path, words: &str) -> bool {
        ["sessions.db", "sessions.db-wal"].iter().any(|name| {
            let bytes = fs::read(data.join(name)).unwrap_or_default();
            bytes.windows(words.len()).any(|window| window == words.as_bytes())
        })
    }

    #[tokio::test]
    async fn a_value_that_the_render_shows_to_be_secret_is_never_stored() {
        let data = tempfile::tempdir().unwrap();
        let mut work = work(data.path()).await;
        assert_eq!(work.name_sources().await.unwrap(), Apply::Render);
        assert!(!is_on_disk(data.path(), "canary-4711"), "stored before the render");
        let secret = "kind: Secret\nstringData:\n  note: canary-4711\n";
        fs::write(work.folder.manifest(), secret).unwrap();
        work.keep_sources().await.unwrap();
        let stored = work.journal.read_source(work.reporter.id(), "values.yaml").await.unwrap().unwrap();
        assert_eq!(stored.masked, "note: ***********\nreplicas: 2\n");
        assert!(is_on_disk(data.path(), "replicas: 2"), "it looks in the wrong place");
        assert!(!is_on_disk(data.path(), "canary-4711"), "stored after the render");
    }

    #[tokio::test]
    async fn a_render_that_printed_nothing_shows_no_value_that_a_secret_mentions() {
        let data = tempfile::tempdir().unwrap();
        let mut work = work(data.path()).await;
        let template = "kind: Secret\nstringData:\n  note: {{ .Values.note }}\n".to_owned();
        work.texts.insert("chart/templates/secret.yaml".to_owned(), template);
        work.suspect();
        work.keep_sources().await.unwrap();
        let stored = work.journal.read_source(work.reporter.id(), "values.yaml").await.unwrap().unwrap();
        assert_eq!(stored.masked, "note: ***********\nreplicas: 2\n");
        let line = "Error: '/note': 'canary-4711' does not match";
        assert!(!work.reporter.masker().mask(line.to_owned()).get().contains("canary"), "helm quotes values");
        assert!(!is_on_disk(data.path(), "canary-4711"));
    }
}
