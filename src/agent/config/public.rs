//! The flags of the public agent: what they mean here, and how they are written there.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::Args;

use crate::clusters::ClusterSpec;

/// The name of the cluster that `--kubeconfig` and `--context` describe.
const DEFAULT_CLUSTER: &str = "default";

/// Environment of the public agent that tunes a queue we do not have.
const QUEUE: [&str; 3] =
    ["KTL_MIRROR_STORE_QUEUE_SIZE", "KTL_MIRROR_STORE_BATCH_SIZE", "KTL_MIRROR_STORE_FLUSH_MS"];

/// Flags that scripts for the public agent use, as typed.
#[derive(Args, Debug)]
pub struct PublicArgs {
    /// A second address, for HTTP and events; without it they are on --listen, as gRPC is.
    #[arg(long, value_name = "ADDR")]
    pub http_listen: Option<String>,
    /// The secret that clients have to send. Everybody on the machine can read it here; --token-file hides it.
    #[arg(long, value_name = "SECRET", conflicts_with = "token_file")]
    pub token: Option<String>,
    /// PEM file with the authorities of clients: who has no certificate of theirs is refused.
    #[arg(long, value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
    /// The kubeconfig of the cluster `default`; short for --cluster name=default,kubeconfig=FILE.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context in --kubeconfig.
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    pub context: Option<String>,
    /// The file of the sessions, when not in --data; run folders and keys are then in FILE.agent.
    #[arg(long, value_name = "FILE")]
    pub mirror_store: Option<PathBuf>,
    /// A folder in which public requests may name charts and values; may be given several times.
    #[arg(long, value_name = "DIR")]
    pub allow_path: Vec<PathBuf>,
}

impl PublicArgs {
    /// The cluster that the public flags describe.
    pub(super) fn cluster(&self) -> Option<ClusterSpec> {
        let kubeconfig = self.kubeconfig.as_deref()?;
        let kubeconfig = std::path::absolute(kubeconfig).unwrap_or_else(|_| kubeconfig.to_owned());
        let context = self.context.clone().filter(|context| !context.is_empty());
        Some(ClusterSpec { name: DEFAULT_CLUSTER.to_owned(), kubeconfig, context })
    }
}

/// The folder of everything but the sessions, and their file.
pub(super) fn places(data: Option<&Path>, store: Option<&Path>) -> Option<(PathBuf, PathBuf)> {
    let beside = |file: &Path| {
        let mut folder = OsString::from(file);
        folder.push(".agent");
        PathBuf::from(folder)
    };
    match (data, store) {
        (Some(data), None) => Some((data.to_owned(), data.join("sessions.db"))),
        (Some(data), Some(file)) => Some((data.to_owned(), file.to_owned())),
        (None, Some(file)) => Some((beside(file), file.to_owned())),
        (None, None) => None,
    }
}

/// Arguments with one dash, as Go's flags are written, get their second one: `-listen=:7443`. What follows a flag
/// as its value is left alone when it cannot be a flag of ours.
pub fn double_dashes(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let second = |arg: OsString| {
        let is_long = arg.to_str().is_some_and(|text| {
            let name = text.strip_prefix('-').unwrap_or("-");
            let name = name.split('=').next().unwrap_or(name);
            name.len() > 1 && name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.contains(' ')
        });
        if !is_long {
            return arg;
        }
        let mut doubled = OsString::from("-");
        doubled.push(arg);
        doubled
    };
    args.into_iter().map(second).collect()
}

/// What is set in the environment for the public agent and has no effect here, in words.
pub fn unused_environment() -> Vec<String> {
    let set = QUEUE.into_iter().filter(|name| std::env::var_os(name).is_some());
    set.map(|name| {
        format!("{name} has no effect: a frame is stored before it is acknowledged, so there is no queue")
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_dash_is_as_good_as_two() {
        let given =
            ["ktl-agent", "-listen", "127.0.0.1:0", "-token=-s", "--data", "d", "-h", "-V", "-", "-5m"];
        let doubled = double_dashes(given.map(OsString::from));
        let expected =
            ["ktl-agent", "--listen", "127.0.0.1:0", "--token=-s", "--data", "d", "-h", "-V", "-", "-5m"];
        assert_eq!(doubled, expected.map(OsString::from));
    }

    #[test]
    fn a_store_file_brings_its_folder() {
        let path = |text: &str| Some(PathBuf::from(text));
        let found = places(None, path("/var/m.sqlite").as_deref());
        assert_eq!(found, Some(("/var/m.sqlite.agent".into(), "/var/m.sqlite".into())));
        let both = places(path("/d").as_deref(), path("/m").as_deref());
        assert_eq!(both, Some(("/d".into(), "/m".into())));
        assert_eq!(places(path("/d").as_deref(), None), Some(("/d".into(), "/d/sessions.db".into())));
        assert_eq!(places(None, None), None);
    }
}
