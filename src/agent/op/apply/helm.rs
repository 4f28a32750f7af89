//! Following one helm: its lines become frames, its end a decision. The cluster is listened to beside it.

use std::path::Path;

use super::{StepError, Work, watch::Watch};
use crate::{
    frame::{Body, Level, Line, LineSource, PhaseName},
    helm::{self, level_of},
    op::rollout::Seen,
    shim::{Exit, Record, Stream, Tail, Tailed},
};

/// How a helm under a shim ended.
pub(super) enum HelmEnd {
    /// By itself, or because it was asked to.
    Exit(Exit),
    /// Its shim is gone and left no word.
    Gone,
}

impl Work {
    /// Follows the shim in `at` to its end. A cancel, or a cause that is certain where the user wants to fail fast,
    /// asks helm to stop; how it ends is still its own business.
    pub(super) async fn follow_helm(
        &mut self,
        at: &Path,
        producer: &str,
        phase: PhaseName,
    ) -> Result<HelmEnd, StepError> {
        let mut tail = Tail::new(at, self.journal.last_counter(self.reporter.id(), producer).await?);
        let mut is_asked = false;
        loop {
            tokio::select! {
                tailed = tail.next() => match tailed? {
                    Tailed::Records(first, records) => {
                        let lines = records.into_iter().map(|record| line(record, phase)).collect();
                        self.reporter.relay(producer, first, lines).await?;
                    }
                    Tailed::Exit(exit) => {
                        if exit.lost > 0 {
                            let text = format!("{} lines of helm are missing: the disk behind --data was full", exit.lost);
                            self.reporter.remark(Level::Warn, phase, text).await?;
                        }
                        return Ok(HelmEnd::Exit(exit));
                    }
                    Tailed::Gone => return Ok(HelmEnd::Gone),
                },
                seen = news(&mut self.watch) => {
                    let is_certain = self.see(seen).await?;
                    if is_certain && self.run.apply.fail_fast && !is_asked {
                        is_asked = true;
                        tail.terminate();
                    }
                }
                () = self.cancel.cancelled(), if !is_asked => {
                    is_asked = true;
                    tail.terminate();
                }
            }
        }
    }
}

/// The next news of the cluster; never, where nothing is watched.
pub(super) async fn news(watch: &mut Option<Watch>) -> Seen {
    match watch {
        Some(watch) => watch.feed.next().await,
        None => std::future::pending().await,
    }
}

fn line(record: Record, phase: PhaseName) -> Body {
    let is_stderr = record.stream == Stream::Stderr;
    let source = if is_stderr { LineSource::Stderr } else { LineSource::Stdout };
    let level = match level_of(is_stderr, &record.text) {
        helm::Level::Info => Level::Info,
        helm::Level::Warn => Level::Warn,
        helm::Level::Error => Level::Error,
    };
    Body::Line(Line { source: source.into(), level: level.into(), text: record.text, phase: phase.into() })
}
