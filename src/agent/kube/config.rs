//! Kubeconfig files and the client they lead to.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Once,
    time::Duration,
};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig as File, KubeconfigError},
};
use serde_json::Value;
use tokio::time::timeout;

use crate::clusters::Target;

/// The keys of a kubeconfig whose values open doors.
const CREDENTIALS: [&str; 9] = [
    "token",
    "password",
    "client-key-data",
    "client-certificate-data",
    "id-token",
    "refresh-token",
    "access-token",
    "client-secret",
    "auth-provider-token",
];

/// How long a credential plugin may take.
const PLUGIN: Duration = Duration::from_secs(15);

/// Merged kubeconfig files.
#[derive(Debug, Clone)]
pub struct Kubeconfig {
    file: File,
    paths: Vec<PathBuf>,
}

/// Why a cluster cannot be reached. No message repeats the content of a file.
#[derive(Debug, thiserror::Error)]
pub enum KubeError {
    /// A file that is not there or that we may not read.
    #[error("cannot read the kubeconfig {path:?}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A file that is no kubeconfig. The parser's words are left out, they quote the file.
    #[error("{path:?} is not a kubeconfig; `kubectl config view` on it says why")]
    Parse {
        /// The file.
        path: PathBuf,
    },
    /// A context nobody defined.
    #[error("context {name:?} is not in {files}; it has {known}")]
    NoContext {
        /// What was asked for.
        name: String,
        /// The files.
        files: String,
        /// The contexts there are.
        known: String,
    },
    /// No context was asked for and none is current.
    #[error("{files} has no current context; choose one of {known}")]
    NoCurrent {
        /// The files.
        files: String,
        /// The contexts there are.
        known: String,
    },
    /// The context leads nowhere.
    #[error("context {context:?} does not lead to a cluster: {fault}")]
    Broken {
        /// The context.
        context: String,
        /// What is missing or wrong.
        fault: &'static str,
    },
    /// The client could not be made.
    #[error("cannot make a client for cluster {cluster:?}")]
    Client {
        /// The agent's name for it.
        cluster: String,
        /// The cause; may hold what a credential plugin printed.
        #[source]
        source: kube::Error,
    },
    /// The credentials did not come.
    #[error(
        "the credential plugin of cluster {cluster:?} gave no answer within {seconds} s; run it by hand to see what it waits for"
    )]
    Silent {
        /// The agent's name for the cluster.
        cluster: String,
        /// How long it had.
        seconds: u64,
    },
}

impl Kubeconfig {
    /// Reads and merges files; the first to say something wins, as with `KUBECONFIG`. Files of a list may be
    /// missing, as kubectl has it, but not all of them.
    pub fn read(paths: &[PathBuf]) -> Result<Self, KubeError> {
        let mut merged: Option<File> = None;
        let mut missing = None;
        for path in paths {
            match read_one(path) {
                Ok(file) => {
                    let next = match merged {
                        Some(before) => before.merge(file),
                        None => Ok(file),
                    };
                    merged = Some(next.map_err(|_| KubeError::Parse { path: path.clone() })?);
                }
                Err(error @ KubeError::Read { .. }) if !path.exists() => missing = missing.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        match (merged, missing) {
            (Some(file), _) => Ok(Self { file, paths: paths.to_vec() }),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(Self { file: File::default(), paths: Vec::new() }),
        }
    }

    /// The context that is meant: the named one, else the current one; it has to exist.
    pub fn context(&self, name: Option<&str>) -> Result<String, KubeError> {
        let known = || self.file.contexts.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ");
        let Some(name) = name.or(self.file.current_context.as_deref().filter(|name| !name.is_empty())) else {
            return Err(KubeError::NoCurrent { files: self.files(), known: known() });
        };
        let is_known = self.file.contexts.iter().any(|one| one.name == name);
        let missing = || KubeError::NoContext { name: name.to_owned(), files: self.files(), known: known() };
        if is_known { Ok(name.to_owned()) } else { Err(missing()) }
    }

    /// The namespace that a context names.
    pub fn namespace(&self, context: &str) -> Option<String> {
        let named = self.file.contexts.iter().find(|one| one.name == context)?;
        named.context.as_ref()?.namespace.clone().filter(|namespace| !namespace.is_empty())
    }

    /// The namespace of the pod that the agent runs in.
    pub fn own_namespace() -> String {
        let path = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
        std::fs::read_to_string(path).map_or_else(|_| "default".to_owned(), |text| text.trim().to_owned())
    }

    /// Every credential in the files, for masking.
    pub fn credentials(&self) -> Vec<String> {
        let mut found = BTreeSet::new();
        if let Ok(value) = serde_json::to_value(&self.file) {
            collect_credentials(&value, &mut found);
        }
        for named in &self.file.auth_infos {
            let path = named.auth_info.as_ref().and_then(|user| user.token_file.as_ref());
            found.extend(
                path.and_then(|path| std::fs::read_to_string(path).ok()).map(|text| text.trim().to_owned()),
            );
        }
        found.into_iter().collect()
    }

    fn files(&self) -> String {
        self.paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    }
}

/// A client for a target. No request is made yet, but a credential plugin may run: it has 15 s to answer.
pub async fn connect(target: &Target) -> Result<Client, KubeError> {
    static PROVIDER: Once = Once::new();
    // The client takes the process-wide provider and panics where two could be meant.
    PROVIDER.call_once(|| {
        rustls::crypto::ring::default_provider().install_default().ok();
    });
    let config = match &target.context {
        Some(context) => {
            let file = Kubeconfig::read(&target.kubeconfig)?.file;
            let options =
                KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
            let broken =
                |error: KubeconfigError| KubeError::Broken { context: context.clone(), fault: fault(&error) };
            Config::from_custom_kubeconfig(file, &options).await.map_err(broken)?
        }
        None => Config::incluster().map_err(|_| KubeError::Broken {
            context: target.name.clone(),
            fault: "the service account of the pod is not mounted",
        })?,
    };
    let cluster = target.name.clone();
    // Making the client runs the credential plugin of the context and waits for it, on the thread that asks.
    let made = tokio::task::spawn_blocking(move || Client::try_from(config));
    match timeout(PLUGIN, made).await {
        Ok(Ok(made)) => made.map_err(|source| KubeError::Client { cluster, source }),
        Ok(Err(ended)) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        Ok(Err(_)) | Err(_) => Err(KubeError::Silent { cluster, seconds: PLUGIN.as_secs() }),
    }
}

fn read_one(path: &Path) -> Result<File, KubeError> {
    File::read_from(path).map_err(|error| match error {
        KubeconfigError::ReadConfig(source, path) => KubeError::Read { path, source },
        _ => KubeError::Parse { path: path.to_owned() },
    })
}

fn fault(error: &KubeconfigError) -> &'static str {
    match error {
        KubeconfigError::LoadClusterOfContext(_) => "its cluster is not in the file",
        KubeconfigError::MissingClusterUrl => "its cluster has no server",
        KubeconfigError::ParseClusterUrl(_) => "the server of its cluster is not an address",
        KubeconfigError::LoadCertificateAuthority(_) => "the certificate authority cannot be read",
        KubeconfigError::LoadClientCertificate(_) => "the client certificate cannot be read",
        KubeconfigError::LoadClientKey(_) => "the client key cannot be read",
        _ => "the kubeconfig is not complete",
    }
}

fn collect_credentials(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if CREDENTIALS.contains(&key.as_str()) => {
                        found.insert(text.clone());
                    }
                    nested => collect_credentials(nested, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_credentials(item, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(texts: &[&str]) -> Result<Kubeconfig, KubeError> {
        let home = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> =
            (0..texts.len()).map(|number| home.path().join(number.to_string())).collect();
        for (path, text) in paths.iter().zip(texts) {
            fs::write(path, text).unwrap();
        }
        Kubeconfig::read(&paths)
    }

    #[test]
    fn every_credential_is_known() {
        let text = "
users:
- { name: a, user: { token: t0k3n-one, client-key-data: a2V5 } }
- { name: b, user: { password: passw0rd-two, username: me } }
- { name: c, user: { auth-provider: { name: oidc, config: { id-token: id-three, idp-issuer-url: https://x } } } }
";
        let found = read(&[text]).unwrap().credentials();
        assert_eq!(found, ["a2V5", "id-three", "passw0rd-two", "t0k3n-one"]);
    }

    #[test]
    fn the_first_file_wins_and_missing_ones_are_skipped() {
        let first = "current-context: a\ncontexts: [{ name: a, context: { cluster: c } }]";
        let second = "current-context: b\ncontexts: [{ name: b, context: { cluster: c, namespace: n } }]";
        let merged = read(&[first, second]).unwrap();
        assert_eq!(merged.context(None).unwrap(), "a");
        assert_eq!(merged.namespace("b").as_deref(), Some("n"));
        let home = tempfile::tempdir().unwrap();
        let real = home.path().join("real");
        fs::write(&real, first).unwrap();
        assert!(Kubeconfig::read(&[home.path().join("none"), real]).is_ok());
    }

    #[test]
    fn what_a_file_contains_is_never_repeated() {
        let error = read(&["users: [s3cr3t-broken"]).unwrap_err().to_string();
        assert!(error.contains("not a kubeconfig") && !error.contains("s3cr3t"), "{error}");
    }

    #[tokio::test]
    async fn a_slow_credential_plugin_does_not_hold_the_other_tasks() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("config");
        let text = "
clusters: [{ name: c, cluster: { server: 'http://127.0.0.1:1' } }]
contexts: [{ name: a, context: { cluster: c, user: u } }]
users:
- { name: u, user: { exec: { apiVersion: client.authentication.k8s.io/v1, command: sleep, args: ['3'], interactiveMode: Never } } }
";
        fs::write(&path, text).unwrap();
        let (kubeconfig, context) = (vec![path], Some("a".to_owned()));
        let target = Target { name: "x".into(), kubeconfig, context, namespace: "n".into() };
        let before = std::time::Instant::now();
        tokio::select! {
            made = connect(&target) => panic!("the plugin had answered: {:?}", made.err()),
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
        assert!(before.elapsed() < Duration::from_secs(2), "the plugin held the runtime");
    }

    #[tokio::test]
    async fn a_context_that_leads_nowhere_says_why() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("config");
        fs::write(&path, "contexts: [{ name: a, context: { cluster: gone } }]").unwrap();
        let kubeconfig = vec![path];
        let target =
            Target { name: "x".into(), kubeconfig, context: Some("a".into()), namespace: "n".into() };
        let error = connect(&target).await.err().unwrap().to_string();
        assert!(error.contains("its cluster is not in the file"), "{error}");
    }
}
