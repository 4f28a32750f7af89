//! A plan as the agent reads it.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use ktl_chart::config::SetKind;
use ktl_proto::control::v1::{
    Apply, Cluster, SetKind as WireSetKind, SetValue, Source, StartRequest, start_request::Operation,
};

use crate::releases::{Plan, SetFlag, sha256};

/// Who asks, beyond what is asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Claims {
    /// `ktl-lsp apply`, or the command of an editor.
    pub(crate) args: Vec<String>,
    /// Of the user's own choice.
    pub(crate) tags: HashMap<String, String>,
}

/// Asks for `plan` under the id `session`.
pub(crate) fn request(session: &str, plan: &Plan, claims: Claims) -> StartRequest {
    let apply = Apply {
        release: plan.release.clone(),
        namespace: plan.cluster.namespace.clone(),
        chart: plan.chart.clone(),
        chart_version: plan.chart_version.clone(),
        values: plan.values.clone(),
        set: plan.set.iter().map(set_value).collect(),
        wait: plan.options.wait,
        atomic: plan.options.atomic,
        timeout_seconds: i64::try_from(plan.options.timeout.as_secs()).unwrap_or(i64::MAX),
        create_namespace: plan.options.create_namespace,
        fail_fast: plan.options.fail_fast,
        queue: Some(plan.options.queue),
        config_path: plan.config_path.clone(),
    };
    let sources = plan.sources.files.iter().map(|(path, file)| Source {
        path: path.clone(),
        sha256: file.sha256.clone(),
        size: file.bytes.len() as u64,
    });
    StartRequest {
        session_id: session.to_owned(),
        operation: Some(Operation::Apply(apply)),
        sources: sources.collect(),
        cluster: Some(Cluster {
            name: plan.cluster.name.clone(),
            kubeconfig_paths: plan
                .cluster
                .kubeconfigs
                .iter()
                .map(|path| path.display().to_string())
                .collect(),
            context: plan.cluster.context.clone(),
        }),
        requester: requester(),
        args: claims.args,
        tags: claims.tags,
        workspace: workspace_key(&plan.sources.root),
        repository: None,
        versions: [("client".to_owned(), concat!("ktl-lsp ", env!("CARGO_PKG_VERSION")).to_owned())].into(),
    }
}

/// An opaque name of a folder on this machine, so that the next editor finds the sessions of its workspace and
/// nobody else learns a path.
pub(crate) fn workspace_key(root: &Path) -> String {
    // One folder by two names, one of them a link, is one workspace.
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    sha256(format!("{}\n{}", host(), root.display()).as_bytes())[..32].to_owned()
}

/// The folders that a session of a workspace folder may have as its root: itself, and those above it.
pub(crate) fn possible_roots(folder: &Path) -> Vec<PathBuf> {
    folder.ancestors().map(Path::to_owned).collect()
}

fn set_value(flag: &SetFlag) -> SetValue {
    let kind = match flag.kind {
        SetKind::Value => WireSetKind::Set,
        SetKind::String => WireSetKind::String,
        SetKind::Json => WireSetKind::Json,
        SetKind::File => WireSetKind::File,
        SetKind::Literal => WireSetKind::Literal,
    };
    SetValue { kind: kind.into(), expression: flag.expression.clone() }
}

/// `user@host`: a claim, for people who read a list of sessions.
fn requester() -> String {
    let user =
        std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "unknown".to_owned());
    format!("{user}@{}", host())
}

fn host() -> String {
    let read = |path| std::fs::read_to_string(path).ok().map(|name: String| name.trim().to_owned());
    read("/proc/sys/kernel/hostname")
        .or_else(|| read("/etc/hostname"))
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_has_one_name_and_it_tells_no_path() {
        let key = workspace_key(Path::new("/home/me/shop"));
        assert_eq!(key, workspace_key(Path::new("/home/me/shop")));
        assert_ne!(key, workspace_key(Path::new("/home/me/other")));
        assert_eq!(key.len(), 32);
        assert!(!key.contains("shop"));
    }

    #[test]
    fn a_session_may_have_its_root_above_the_workspace() {
        let roots = possible_roots(Path::new("/a/b"));
        assert_eq!(roots, [Path::new("/a/b"), Path::new("/a"), Path::new("/")]);
    }
}
