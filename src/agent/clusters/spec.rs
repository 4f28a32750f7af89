//! `--cluster name=N,kubeconfig=P,context=C`.

use std::{
    path::{self, PathBuf},
    str::FromStr,
};

/// One `--cluster`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSpec {
    /// What requests call it.
    pub name: String,
    /// An absolute path.
    pub kubeconfig: PathBuf,
    /// The only context requests get; `None` lets them choose.
    pub context: Option<String>,
}

/// Why a `--cluster` was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Not `key=value`, or a key nobody knows.
    #[error("--cluster: {0:?} is not name=…, kubeconfig=… or context=…")]
    Part(String),
    /// A key that has to be there.
    #[error("--cluster {spec:?} has no {key}=…; write name=N,kubeconfig=P,context=C")]
    Lacks {
        /// As it was written.
        spec: String,
        /// `name` or `kubeconfig`.
        key: &'static str,
    },
    /// A name that is used already.
    #[error("--cluster: the name {0:?} is taken; choose another")]
    Taken(String),
}

impl FromStr for ClusterSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let (mut name, mut kubeconfig, mut context) = (None, None, None);
        for part in text.split(',') {
            match part.split_once('=') {
                Some(("name", value)) if !value.is_empty() => name = Some(value.to_owned()),
                Some(("kubeconfig", value)) if !value.is_empty() => kubeconfig = Some(value),
                Some(("context", value)) if !value.is_empty() => context = Some(value.to_owned()),
                _ => return Err(SpecError::Part(part.to_owned())),
            }
        }
        let lacks = |key| SpecError::Lacks { spec: text.to_owned(), key };
        let kubeconfig = kubeconfig.ok_or_else(|| lacks("kubeconfig"))?;
        let kubeconfig = path::absolute(kubeconfig).map_err(|_| lacks("kubeconfig"))?;
        Ok(Self { name: name.ok_or_else(|| lacks("name"))?, kubeconfig, context })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_has_a_name_and_a_kubeconfig() {
        let spec: ClusterSpec = "name=dev,kubeconfig=/k,context=kind-dev".parse().unwrap();
        assert_eq!((spec.name.as_str(), spec.context.as_deref()), ("dev", Some("kind-dev")));
        assert_eq!("name=dev,kubeconfig=/k".parse::<ClusterSpec>().unwrap().context, None);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("", "\"\" is not name="),
            ("dev", "\"dev\" is not name="),
            ("name=,kubeconfig=/k", "\"name=\" is not"),
            ("name=a,kubeconfg=/k", "\"kubeconfg=/k\" is not"),
            ("name=a", "has no kubeconfig="),
            ("kubeconfig=/k", "has no name="),
        ] {
            let error = text.parse::<ClusterSpec>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
