//! Clusters by name: which ones this agent reaches, and how helm and kube are pointed at one.
//!
//! Clients choose among names. Only an agent that an editor started for its own user (`--local`) takes kubeconfig
//! paths from a request. The agent's own `KUBECONFIG` and `HELM_KUBE…` variables are never read and never passed on:
//! an operation goes where its session says, or nowhere.

mod spec;

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    kube::{KubeError, Kubeconfig},
    shim::Environment,
};

pub use spec::{ClusterSpec, SpecError};

/// The name of the cluster that the agent itself runs in.
pub const IN_CLUSTER: &str = "in-cluster";

/// The clusters of one agent.
#[derive(Debug, Clone, Default)]
pub struct Clusters {
    named: BTreeMap<String, ClusterSpec>,
    is_local: bool,
    has_own: bool,
}

/// What a request says about its cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterClaim {
    /// A name that the agent knows; empty where the only one is meant.
    pub name: String,
    /// Absolute paths, for `--local` agents only.
    pub kubeconfig: Vec<PathBuf>,
    /// The context; empty for the current one.
    pub context: String,
}

/// One cluster, fixed when an operation starts: what the kubeconfig names later changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The agent's name for it.
    pub name: String,
    /// The kubeconfig files in order of precedence; none means the agent's own cluster.
    pub kubeconfig: Vec<PathBuf>,
    /// The context in them; `None` in the agent's own cluster.
    pub context: Option<String>,
    /// The namespace where a release goes that names none.
    pub namespace: String,
}

/// Why there is no such cluster. Every message says what would be accepted.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A name nobody gave.
    #[error("cluster {name:?} is not known to this agent; it knows {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The names, or how to add one.
        known: String,
    },
    /// No name, and not exactly one cluster.
    #[error("the request names no cluster; this agent knows {known}")]
    Ambiguous {
        /// The names, or how to add one.
        known: String,
    },
    /// Paths sent to an agent that is not the user's own.
    #[error(
        "cluster.kubeconfig_paths is only taken by an agent started with --local; name one of its clusters, it knows {known}"
    )]
    NotLocal {
        /// The names, or how to add one.
        known: String,
    },
    /// A kubeconfig or context that no `--cluster` names.
    #[error(
        "{asked:?} is none of the clusters of this agent, and no other is opened: it knows {known}; name another with --cluster"
    )]
    NotNamed {
        /// What was asked for.
        asked: String,
        /// The names, or how to add one.
        known: String,
    },
    /// A path that depends on where the agent was started.
    #[error("cluster.kubeconfig_paths: {0:?} is not absolute; resolve it where the user is")]
    Relative(PathBuf),
    /// The kubeconfig does not say what it should.
    #[error(transparent)]
    Kube(#[from] KubeError),
}

impl Clusters {
    /// The clusters of `--cluster`, and the agent's own where it runs in one.
    pub fn new(specs: Vec<ClusterSpec>, is_local: bool) -> Result<Self, SpecError> {
        let mut named = BTreeMap::new();
        for spec in specs {
            let name = spec.name.clone();
            if name == IN_CLUSTER || named.insert(name.clone(), spec).is_some() {
                return Err(SpecError::Taken(name));
            }
        }
        let has_own = env::var_os("KUBERNETES_SERVICE_HOST").is_some();
        Ok(Self { named, is_local, has_own })
    }

    /// The names that requests may use.
    pub fn names(&self) -> Vec<&str> {
        self.named.keys().map(String::as_str).chain(self.has_own.then_some(IN_CLUSTER)).collect()
    }

    /// Fixes what a request means: the files, the context that is current now, and the namespace of that context.
    pub fn resolve(&self, claim: &ClusterClaim) -> Result<Target, ClusterError> {
        if !claim.kubeconfig.is_empty() {
            return self.resolve_paths(claim);
        }
        let name = self.name_of(claim)?;
        if name == IN_CLUSTER && self.has_own {
            let namespace = Kubeconfig::own_namespace();
            return Ok(Target { name, kubeconfig: Vec::new(), context: None, namespace });
        }
        let Some(spec) = self.named.get(&name) else {
            return Err(ClusterError::Unknown { name, known: self.known() });
        };
        // A named cluster is one context, or all contexts of its file for the request to choose from.
        let context =
            spec.context.as_deref().or(Some(claim.context.as_str()).filter(|text| !text.is_empty()));
        target(name, vec![spec.kubeconfig.clone()], context)
    }

    /// The cluster that a public request means by a kubeconfig path and a context. Both only choose among the named
    /// ones; a context may also be the name of a cluster.
    pub fn choose(&self, kubeconfig: &str, context: &str) -> Result<ClusterClaim, ClusterError> {
        let (kubeconfig, context) = (kubeconfig.trim(), context.trim());
        if kubeconfig.is_empty() && context.is_empty() {
            return Ok(ClusterClaim::default());
        }
        let claim = |name: &str, context: &str| ClusterClaim {
            name: name.to_owned(),
            context: context.to_owned(),
            kubeconfig: Vec::new(),
        };
        if kubeconfig.is_empty() && context == IN_CLUSTER && self.has_own {
            return Ok(claim(IN_CLUSTER, ""));
        }
        let in_file = self
            .named
            .values()
            .filter(|spec| kubeconfig.is_empty() || spec.kubeconfig.as_path() == Path::new(kubeconfig));
        let in_file: Vec<_> = in_file.collect();
        let exact = |spec: &&&ClusterSpec| {
            context.is_empty() || spec.name == context || spec.context.as_deref() == Some(context)
        };
        let named: Vec<_> = in_file.iter().filter(exact).collect();
        match named.as_slice() {
            [only] => return Ok(claim(&only.name, "")),
            [] => {}
            _ => return Err(ClusterError::Ambiguous { known: self.known() }),
        }
        // A cluster without a context leaves the choice among those of its file.
        let open: Vec<_> = in_file.iter().filter(|spec| spec.context.is_none()).collect();
        if let [only] = open.as_slice() {
            return Ok(claim(&only.name, context));
        }
        let asked = if context.is_empty() { kubeconfig } else { context };
        Err(ClusterError::NotNamed { asked: asked.to_owned(), known: self.known() })
    }

    fn resolve_paths(&self, claim: &ClusterClaim) -> Result<Target, ClusterError> {
        if !self.is_local {
            return Err(ClusterError::NotLocal { known: self.known() });
        }
        if let Some(relative) = claim.kubeconfig.iter().find(|path| !path.is_absolute()) {
            return Err(ClusterError::Relative(relative.clone()));
        }
        let context = Some(claim.context.as_str()).filter(|text| !text.is_empty());
        target(claim.name.clone(), claim.kubeconfig.clone(), context)
    }

    fn name_of(&self, claim: &ClusterClaim) -> Result<String, ClusterError> {
        if !claim.name.is_empty() {
            return Ok(claim.name.clone());
        }
        match self.names().as_slice() {
            [only] => Ok((*only).to_owned()),
            _ => Err(ClusterError::Ambiguous { known: self.known() }),
        }
    }

    fn known(&self) -> String {
        let names = self.names();
        match names.len() {
            0 => "none yet, start it with --cluster name=N,kubeconfig=P,context=C".to_owned(),
            _ => names.join(", "),
        }
    }
}

fn target(name: String, kubeconfig: Vec<PathBuf>, context: Option<&str>) -> Result<Target, ClusterError> {
    let config = Kubeconfig::read(&kubeconfig)?;
    let context = config.context(context)?;
    let namespace = config.namespace(&context).unwrap_or_else(|| "default".to_owned());
    let name = if name.is_empty() { context.clone() } else { name };
    Ok(Target { name, kubeconfig, context: Some(context), namespace })
}

impl Target {
    /// What helm and its shim get on top of the agent's environment, so that they reach this cluster and no other.
    pub fn environment(&self) -> Environment {
        let inherited = env::vars_os().map(|(name, _)| name).filter(|name| points_at_a_cluster(name));
        let mut environment: Environment = inherited.map(|name| (name, None)).collect();
        environment.push((OsString::from("KUBECONFIG"), Some(self.kubeconfig_variable())));
        environment
    }

    /// The files as `KUBECONFIG` lists them. An empty file where there are none: without it helm would look into
    /// the home folder before it takes the identity of the pod.
    fn kubeconfig_variable(&self) -> OsString {
        match self.kubeconfig.as_slice() {
            [] => OsString::from("/dev/null"),
            [one] => one.clone().into_os_string(),
            several => env::join_paths(several).unwrap_or_else(|_| several[0].clone().into_os_string()),
        }
    }

    /// Whether the files exist that it was resolved from.
    pub fn missing_file(&self) -> Option<&Path> {
        self.kubeconfig.iter().map(PathBuf::as_path).find(|path| !path.exists())
    }
}

/// Variables by which helm would go to another cluster, namespace or user than its arguments say.
fn points_at_a_cluster(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| {
        matches!(name, "KUBECONFIG" | "HELM_NAMESPACE" | "HELM_DEBUG") || name.starts_with("HELM_KUBE")
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const CONFIG: &str = "
apiVersion: v1
kind: Config
current-context: dev
clusters: [{ name: c, cluster: { server: https://127.0.0.1:1 } }]
users: [{ name: u, user: { token: s3cr3t-token-value } }]
contexts:
- { name: dev, context: { cluster: c, user: u, namespace: shop } }
- { name: prod, context: { cluster: c, user: u } }
";

    fn config() -> (tempfile::TempDir, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("config");
        fs::write(&path, CONFIG).unwrap();
        (home, path)
    }

    fn named(context: Option<&str>, path: &Path) -> Clusters {
        let context = context.map(str::to_owned);
        let spec = ClusterSpec { name: "main".to_owned(), kubeconfig: path.to_owned(), context };
        Clusters { named: BTreeMap::from([("main".to_owned(), spec)]), is_local: false, has_own: false }
    }

    fn claim(name: &str, context: &str) -> ClusterClaim {
        ClusterClaim { name: name.to_owned(), context: context.to_owned(), kubeconfig: Vec::new() }
    }

    #[test]
    fn the_only_cluster_needs_no_name_and_fixes_its_current_context() {
        let (_home, path) = config();
        let target = named(None, &path).resolve(&ClusterClaim::default()).unwrap();
        assert_eq!((target.name.as_str(), target.context.as_deref()), ("main", Some("dev")));
        assert_eq!(target.namespace, "shop");
    }

    #[test]
    fn a_named_cluster_with_a_context_is_not_led_elsewhere() {
        let (_home, path) = config();
        let target = named(Some("prod"), &path).resolve(&claim("main", "dev")).unwrap();
        assert_eq!((target.context.as_deref(), target.namespace.as_str()), (Some("prod"), "default"));
    }

    #[test]
    fn unknown_names_and_contexts_are_answered_with_the_known_ones() {
        let (_home, path) = config();
        let clusters = named(None, &path);
        let error = clusters.resolve(&claim("man", "")).unwrap_err().to_string();
        assert!(error.contains("man") && error.contains("it knows main"), "{error}");
        let error = clusters.resolve(&claim("main", "stage")).unwrap_err().to_string();
        assert!(error.contains("stage") && error.contains("dev, prod"), "{error}");
        let error = Clusters::default().resolve(&ClusterClaim::default()).unwrap_err().to_string();
        assert!(error.contains("--cluster name=N"), "{error}");
    }

    #[test]
    fn a_public_request_only_chooses_among_the_named() {
        let (_home, path) = config();
        let file = path.to_str().unwrap();
        let (open, fixed) = (named(None, &path), named(Some("prod"), &path));
        let chosen = |clusters: &Clusters, kubeconfig: &str, context: &str| {
            clusters.choose(kubeconfig, context).map(|claim| (claim.name, claim.context))
        };
        let of = |name: &str, context: &str| (name.to_owned(), context.to_owned());
        assert_eq!(chosen(&open, "", "").unwrap(), of("", ""));
        assert_eq!(chosen(&open, file, "dev").unwrap(), of("main", "dev"));
        assert_eq!(chosen(&open, "", "main").unwrap(), of("main", ""));
        assert_eq!(chosen(&fixed, file, "").unwrap(), of("main", ""));
        assert_eq!(chosen(&fixed, "", "prod").unwrap(), of("main", ""));
        for (kubeconfig, context) in [("/etc/other", ""), ("", "dev"), ("/etc/other", "prod")] {
            let error = chosen(&fixed, kubeconfig, context).unwrap_err();
            assert!(
                matches!(error, ClusterError::NotNamed { .. }) && error.to_string().contains("--cluster")
            );
        }
    }

    #[test]
    fn paths_are_for_local_agents_and_absolute() {
        let (_home, path) = config();
        let by_path =
            |path: &Path| ClusterClaim { kubeconfig: vec![path.to_owned()], ..ClusterClaim::default() };
        let shared = Clusters::default();
        assert!(matches!(shared.resolve(&by_path(&path)), Err(ClusterError::NotLocal { .. })));
        let local = Clusters { is_local: true, ..Clusters::default() };
        assert_eq!(local.resolve(&by_path(&path)).unwrap().name, "dev");
        assert!(matches!(local.resolve(&by_path(Path::new("x"))), Err(ClusterError::Relative(_))));
        let error = local.resolve(&by_path(Path::new("/nonexistent/config"))).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/config"), "{error}");
    }

    #[test]
    fn helm_gets_the_files_of_the_target_only() {
        let files = vec![PathBuf::from("/a"), PathBuf::from("/b")];
        let target = Target { name: "x".into(), kubeconfig: files, context: None, namespace: "n".into() };
        let last = target.environment().pop().unwrap();
        assert_eq!(last, (OsString::from("KUBECONFIG"), Some(OsString::from("/a:/b"))));
        let own = Target { kubeconfig: Vec::new(), ..target };
        assert_eq!(own.kubeconfig_variable(), "/dev/null");
        for name in ["KUBECONFIG", "HELM_KUBECONTEXT", "HELM_NAMESPACE"] {
            assert!(points_at_a_cluster(OsStr::new(name)), "{name}");
        }
        assert!(!points_at_a_cluster(OsStr::new("HELM_REPOSITORY_CONFIG")));
    }
}
