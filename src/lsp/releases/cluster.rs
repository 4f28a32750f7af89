//! Which cluster and namespace a release goes to, resolved at the moment that somebody asks.
//!
//! A remote agent knows clusters by name. For the agent that we start ourselves the user's own kubeconfig counts,
//! and what it says now is written down, so that a `kubectl config use-context` in mid-apply changes nothing.

use std::path::{Path, PathBuf};

use ktl_chart::{finding::Finding, suggest, text::Spanned};
use serde::Deserialize;

use super::Release;
use crate::settings::resolve_path;

/// Where a release goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cluster {
    /// The agent's name for it, or ours for the context; empty lets a remote agent take its only one.
    pub(crate) name: String,
    /// For the local agent: the files, as `KUBECONFIG` would list them.
    pub(crate) kubeconfigs: Vec<PathBuf>,
    /// For the local agent: the context in them.
    pub(crate) context: String,
    /// The namespace, which is never empty.
    pub(crate) namespace: String,
}

/// What lenses and titles show, always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    /// The cluster.
    pub(crate) cluster: String,
    /// The namespace.
    pub(crate) namespace: String,
}

/// The kubeconfig files of the user's environment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kubeconfigs {
    /// `KUBECONFIG`, split.
    pub(crate) listed: Vec<PathBuf>,
    /// `~/.kube/config`.
    pub(crate) default: Option<PathBuf>,
}

impl Kubeconfigs {
    /// As the environment says now.
    pub(crate) fn of_environment() -> Self {
        let listed = std::env::var_os("KUBECONFIG").unwrap_or_default();
        Self {
            listed: std::env::split_paths(&listed)
                .filter(|path| !path.as_os_str().is_empty())
                .filter_map(|path| std::path::absolute(path).ok())
                .collect(),
            default: std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".kube/config")),
        }
    }
}

impl Cluster {
    /// What lenses and titles show.
    pub(crate) fn label(&self) -> Label {
        let cluster = match (self.name.as_str(), self.context.as_str()) {
            ("", "") => "default cluster".to_owned(),
            ("", only) | (only, "") => only.to_owned(),
            (name, context) if name == context => name.to_owned(),
            (name, context) => format!("{name} ({context})"),
        };
        Label { cluster, namespace: self.namespace.clone() }
    }
}

/// What a lens shows: where the release would go, as far as that can be found out.
pub(crate) fn label(release: &Release, kubeconfigs: Option<&Kubeconfigs>) -> Label {
    let known = match kubeconfigs {
        None => Some(named(release)),
        Some(environment) => from_kubeconfig(release, environment).ok(),
    };
    known.unwrap_or_else(|| named(release)).label()
}

/// The cluster of a release at a remote agent, which decides what a missing name means.
pub(super) fn named(release: &Release) -> Cluster {
    let name = release.entry().and_then(|entry| entry.cluster.as_ref()?.name.as_ref());
    Cluster {
        name: name.map(|name| name.value.clone()).unwrap_or_default(),
        kubeconfigs: Vec::new(),
        context: String::new(),
        namespace: release.namespace().unwrap_or("default").to_owned(),
    }
}

/// The cluster of a release for the local agent.
pub(super) fn from_kubeconfig(release: &Release, environment: &Kubeconfigs) -> Result<Cluster, Box<Finding>> {
    let written = release.entry().and_then(|entry| entry.cluster.clone()).unwrap_or_default();
    let files = files(release, written.kubeconfig.as_ref(), environment)?;
    let mut contexts = Vec::new();
    let mut current = None;
    for path in &files {
        let file = read(path).map_err(|problem| {
            let span = written.kubeconfig.as_ref().map_or(release.place, |item| item.span);
            Box::new(release.error(span, "kubeconfig", format!("{}: {problem}", path.display())))
        })?;
        current = current.or(file.current_context.filter(|context| !context.is_empty()));
        contexts.extend(file.contexts);
    }
    let named = written.name.as_ref().filter(|name| contexts.iter().any(|known| known.name == name.value));
    let wanted = written.context.as_ref().or(named);
    let context = match (wanted, current) {
        (Some(item), _) => item.value.clone(),
        (None, Some(current)) => current,
        (None, None) => {
            return Err(Box::new(release.error(release.place, "kubeconfig", no_context(&files, &contexts))));
        }
    };
    let Some(found) = contexts.iter().find(|known| known.name == context) else {
        let span = wanted.map_or(release.place, |item| item.span);
        return Err(Box::new(release.error(
            span,
            "kubeconfig",
            unknown_context(&context, &files, &contexts),
        )));
    };
    let namespace =
        release.namespace().or(found.context.namespace.as_deref()).filter(|name| !name.is_empty());
    Ok(Cluster {
        name: written.name.map_or_else(|| context.clone(), |name| name.value),
        namespace: namespace.unwrap_or("default").to_owned(),
        kubeconfigs: files,
        context,
    })
}

/// The kubeconfig that the release names, else those of the environment that exist.
fn files(
    release: &Release,
    written: Option<&Spanned<String>>,
    environment: &Kubeconfigs,
) -> Result<Vec<PathBuf>, Box<Finding>> {
    if let Some(item) = written {
        let path = resolve_path(release.folder(), &item.value);
        if path.is_file() {
            return Ok(vec![path]);
        }
        let message =
            format!("there is no kubeconfig {}; check the path, it counts from this file", path.display());
        return Err(Box::new(release.error_at(item, "kubeconfig", message)));
    }
    let candidates = if environment.listed.is_empty() {
        environment.default.iter().cloned().collect()
    } else {
        environment.listed.clone()
    };
    let files: Vec<PathBuf> = candidates.iter().filter(|path| path.is_file()).cloned().collect();
    if files.is_empty() {
        let looked: Vec<String> = candidates.iter().map(|path| path.display().to_string()).collect();
        let from = if environment.listed.is_empty() { "KUBECONFIG is not set" } else { "KUBECONFIG is set" };
        let message = format!(
            "no cluster to apply {} to: {from} and {} does not exist; set KUBECONFIG, or write cluster.kubeconfig for the release in .ktl.yaml",
            release.name,
            looked.join(", "),
        );
        return Err(Box::new(release.error(release.place, "kubeconfig", message)));
    }
    Ok(files)
}

#[derive(Deserialize)]
struct File {
    #[serde(rename = "current-context")]
    current_context: Option<String>,
    #[serde(default)]
    contexts: Vec<NamedContext>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    #[serde(default)]
    context: Context,
}

#[derive(Default, Deserialize)]
struct Context {
    namespace: Option<String>,
}

fn read(path: &Path) -> Result<File, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    serde_yaml::from_str(&text).map_err(|error| format!("not a kubeconfig: {error}"))
}

fn no_context(files: &[PathBuf], contexts: &[NamedContext]) -> String {
    format!(
        "{} has no current context; choose one with kubectl config use-context, or write cluster.context for the release{}",
        listed(files),
        known(contexts)
    )
}

fn unknown_context(context: &str, files: &[PathBuf], contexts: &[NamedContext]) -> String {
    match suggest::nearest(context, contexts.iter().map(|known| known.name.as_str())) {
        Some(near) => format!("{} has no context {context:?}; did you mean {near:?}?", listed(files)),
        None => format!("{} has no context {context:?}{}", listed(files), known(contexts)),
    }
}

fn known(contexts: &[NamedContext]) -> String {
    let names: Vec<&str> = contexts.iter().map(|context| context.name.as_str()).collect();
    if names.is_empty() { String::new() } else { format!("; there are {}", names.join(", ")) }
}

fn listed(files: &[PathBuf]) -> String {
    files.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::releases::in_config;

    const KUBECONFIG: &str = "current-context: kind-dev\ncontexts:\n  - name: kind-dev\n    context: { cluster: c, namespace: team }\n  - name: prod\n    context: { cluster: p }\n";

    fn resolve(entry: &str) -> Result<Cluster, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config"), KUBECONFIG).unwrap();
        let text = format!("releases:\n  - name: web\n    chart: ./web\n{entry}");
        let release = in_config(&folder.path().join(".ktl.yaml"), &text).remove(0);
        let environment = Kubeconfigs { listed: vec![folder.path().join("config")], default: None };
        from_kubeconfig(&release, &environment).map_err(|finding| {
            let place = finding.place.unwrap();
            format!("{} | {}", place.span.of(&text), finding.message)
        })
    }

    #[test]
    fn without_a_word_the_current_context_and_its_namespace_count() {
        let cluster = resolve("").unwrap();
        assert_eq!((cluster.context.as_str(), cluster.namespace.as_str()), ("kind-dev", "team"));
        assert_eq!(cluster.label(), Label { cluster: "kind-dev".to_owned(), namespace: "team".to_owned() });
    }

    #[test]
    fn what_the_release_says_wins() {
        let cluster = resolve("    namespace: shop\n    cluster: { name: live, context: prod }\n").unwrap();
        assert_eq!((cluster.context.as_str(), cluster.namespace.as_str()), ("prod", "shop"));
        assert_eq!(cluster.label().cluster, "live (prod)");
    }

    #[test]
    fn a_name_that_is_a_context_means_that_context() {
        assert_eq!(resolve("    cluster: { name: prod }\n").unwrap().context, "prod");
    }

    #[test]
    fn an_unknown_context_is_an_error_on_its_word_with_the_nearest() {
        let error = resolve("    cluster: { context: kind-dve }\n").unwrap_err();
        assert!(error.starts_with("kind-dve | "), "{error}");
        assert!(error.contains("did you mean \"kind-dev\"?"), "{error}");
    }

    #[test]
    fn a_kubeconfig_that_does_not_exist_is_an_error_on_its_path() {
        let error = resolve("    cluster: { kubeconfig: ./nope }\n").unwrap_err();
        assert!(error.starts_with("./nope | "), "{error}");
    }

    #[test]
    fn without_any_kubeconfig_the_user_is_told_what_to_set() {
        let release =
            in_config(Path::new("/w/.ktl.yaml"), "releases:\n  - name: web\n    chart: ./web\n").remove(0);
        let environment =
            Kubeconfigs { listed: Vec::new(), default: Some("/nonexistent/.kube/config".into()) };
        let message = from_kubeconfig(&release, &environment).unwrap_err().message;
        assert!(
            message.contains("KUBECONFIG is not set and /nonexistent/.kube/config does not exist"),
            "{message}"
        );
    }
}
