//! Short questions to helm: its version, and what it knows of a release.

use std::{path::Path, process::Output, process::Stdio, time::Duration};

use serde::Deserialize;
use tokio::{process::Command, time::timeout};

use super::{Helm, HelmError, Version, argv};
use crate::shim::{Environment, change_environment};

/// How long helm may take to say its version. A cold disk needs seconds.
const VERSION_SECONDS: u64 = 30;
/// How long helm may take to ask the cluster for a release.
const STATUS_SECONDS: u64 = 20;

/// A release as helm finds it in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseState {
    /// `deployed`, `failed`, `pending-upgrade`, …; `none` where there is no release.
    pub status: String,
    /// The revision; 0 where there is none.
    pub revision: i64,
}

impl Helm {
    /// Asks a program whether it is helm, and which.
    pub async fn detect(program: &Path) -> Result<Self, HelmError> {
        let mut command = Command::new(program);
        command.args(argv::version());
        let answer = ask("version", program, command, VERSION_SECONDS).await?;
        let said = String::from_utf8_lossy(&answer.stdout).chars().take(80).collect::<String>();
        let version = Version::parse(&said);
        match version {
            Some(version) => Ok(Self { program: program.to_owned(), version }),
            None => Err(HelmError::Version { program: program.to_owned(), said }),
        }
    }

    /// What the cluster has under this name.
    pub async fn status(
        &self,
        release: &str,
        namespace: &str,
        context: Option<&str>,
        environment: &Environment,
    ) -> Result<ReleaseState, HelmError> {
        let mut command = Command::new(&self.program);
        command.args(argv::status(release, namespace, context));
        change_environment(&mut command, environment);
        let answer = ask("status", &self.program, command, STATUS_SECONDS).await?;
        if answer.status.success() {
            return parse_status(&answer.stdout);
        }
        let said = last_line(&answer.stderr);
        if said.ends_with("release: not found") {
            return Ok(ReleaseState { status: "none".to_owned(), revision: 0 });
        }
        Err(HelmError::Failed { what: "status", said })
    }
}

async fn ask(
    what: &'static str,
    program: &Path,
    mut command: Command,
    seconds: u64,
) -> Result<Output, HelmError> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let answer = timeout(Duration::from_secs(seconds), command.output()).await;
    let answer = answer.map_err(|_| HelmError::Silent { what, seconds })?;
    answer.map_err(|source| HelmError::Start { program: program.to_owned(), source })
}

fn parse_status(json: &[u8]) -> Result<ReleaseState, HelmError> {
    #[derive(Deserialize)]
    struct Release {
        version: i64,
        info: Info,
    }
    #[derive(Deserialize)]
    struct Info {
        status: String,
    }
    let release: Release = serde_json::from_slice(json).map_err(|error| HelmError::Failed {
        what: "status",
        said: format!("its JSON is not as expected: {error}"),
    })?;
    Ok(ReleaseState { status: release.info.status, revision: release.version })
}

fn last_line(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    text.trim_end().lines().last().unwrap_or("it said nothing").chars().take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_release_is_read_from_its_json() {
        let json = br#"{"name":"web","info":{"status":"pending-upgrade","notes":"x"},"version":3,"namespace":"shop"}"#;
        let state = parse_status(json).unwrap();
        assert_eq!((state.status.as_str(), state.revision), ("pending-upgrade", 3));
        assert!(parse_status(b"[]").is_err());
    }

    #[tokio::test]
    async fn a_program_that_is_not_helm_is_named() {
        let error = Helm::detect(Path::new("/bin/echo")).await.unwrap_err().to_string();
        assert!(error.contains("/bin/echo") && error.contains("--helm"), "{error}");
        let error = Helm::detect(Path::new("/nonexistent/helm")).await.unwrap_err().to_string();
        assert!(error.contains("/nonexistent/helm") && error.contains("--helm"), "{error}");
    }
}
