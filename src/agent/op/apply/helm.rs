//! Following one helm: its lines become frames, its end a decision. The cluster is listened to beside it.

use std::path::Path;

use tokio::time::{Instant, sleep_until};

use super::{StepError, Work, watch::Watch};
use crate::{
    frame::{Body, Level, Line, LineSource, PhaseName},
    helm::{self, level_of},
    op::rollout::Seen,
    shim::{Exit, Record, Stream, Tail, Tailed},
};

/// How many lines that an earlier agent told are read again, so that a secret which they share with the next line, or
/// announce in it, is known.
const OVERHEARD: u64 = 256;

/// How a helm under a shim ended.
pub(super) enum HelmEnd {
    /// By itself, or because it was asked to.
    Exit(Exit),
    /// Its shim is gone and left no word.
    Gone,
    /// It had not ended when its time was over, and was stopped.
    TooLong,
}

impl Work {
    /// Follows the shim in `at` to its end. A cancel, a cause that is certain where the user wants to fail fast, or the
    /// end of the time asks helm to stop; how it ends is still its own business.
    pub(super) async fn follow_helm(
        &mut self,
        at: &Path,
        producer: &str,
        phase: PhaseName,
        until: Option<Instant>,
    ) -> Result<HelmEnd, StepError> {
        let told = self.journal.last_counter(self.reporter.id(), producer).await?;
        let mut tail = Tail::new(at, told.saturating_sub(OVERHEARD));
        let (mut is_asked, mut is_late) = (false, false);
        loop {
            tokio::select! {
                tailed = tail.next() => match tailed? {
                    Tailed::Records(first, records) => {
                        let mut lines: Vec<Body> = records.into_iter().map(|record| line(record, phase)).collect();
                        let old = usize::try_from((told + 1).saturating_sub(first)).unwrap_or(usize::MAX);
                        let new = lines.split_off(old.min(lines.len()));
                        let first = first + lines.len() as u64;
                        self.reporter.overhear(producer, lines);
                        if !new.is_empty() {
                            self.reporter.relay(producer, first, new).await?;
                        }
                    }
                    Tailed::Exit(exit) => {
                        if exit.lost > 0 {
                            let text = format!("{} lines of helm are missing: the disk behind --data was full", exit.lost);
                            self.reporter.remark(Level::Warn, phase, text).await?;
                        }
                        let is_stopped = is_late && !exit.succeeded();
                        return Ok(if is_stopped { HelmEnd::TooLong } else { HelmEnd::Exit(exit) });
                    }
                    Tailed::Gone if is_late => return Ok(HelmEnd::TooLong),
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
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() && !is_asked => {
                    (is_asked, is_late) = (true, true);
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

#[cfg(test)]
mod tests {
    use std::{fs, process, time::Duration};

    use super::*;
    use crate::{
        op::apply::fixture,
        shim::{Process, write_json},
    };

    #[tokio::test]
    async fn a_helm_that_takes_too_long_is_stopped() {
        let data = tempfile::tempdir().unwrap();
        let mut work = fixture::work(data.path()).await;
        let at = work.folder.render();
        fs::create_dir_all(&at).unwrap();
        let mut helm = process::Command::new("sleep").arg("60").spawn().unwrap();
        let shim = Process::of(i32::try_from(helm.id()).unwrap()).unwrap();
        write_json(&at.join("shim.json"), &shim).unwrap();
        let until = Some(Instant::now() + Duration::from_millis(50));
        let end = work.follow_helm(&at, "render", PhaseName::Render, until).await.unwrap();
        assert!(matches!(end, HelmEnd::TooLong));
        assert!(!shim.is_alive());
        helm.wait().unwrap();
    }

    #[tokio::test]
    async fn a_helm_that_ended_well_in_the_last_moment_ended_well() {
        let data = tempfile::tempdir().unwrap();
        let mut work = fixture::work(data.path()).await;
        let at = work.folder.render();
        fs::create_dir_all(&at).unwrap();
        let exit = Exit { code: Some(0), ..Exit::default() };
        write_json(&at.join("exit.json"), &exit).unwrap();
        let end = work.follow_helm(&at, "render", PhaseName::Render, Some(Instant::now())).await.unwrap();
        assert!(matches!(end, HelmEnd::Exit(exit) if exit.succeeded()));
    }
}
