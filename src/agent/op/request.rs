//! What is asked for: an operation in our own words, checked against the sources that came with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    clusters::ClusterClaim,
    helm::{SetKind, SetValue},
    session::{Repository, SessionId, Tags},
    sources::{Manifest, SourcePath},
};

/// Helm's own limit for the name of a release.
const MAX_RELEASE: usize = 53;
/// Kubernetes' limit for the name of a namespace.
const MAX_NAMESPACE: usize = 63;
/// The longest an operation may ask for: a day.
pub const MAX_TIMEOUT_SECONDS: u64 = 86_400;
/// What 0 means.
pub const DEFAULT_TIMEOUT_SECONDS: u64 = 300;

/// A request to start an operation.
#[derive(Debug, Clone)]
pub struct StartRequest {
    /// Chosen by the caller, or to be minted.
    pub id: Option<SessionId>,
    /// What to do.
    pub apply: ApplyRequest,
    /// On which files.
    pub sources: Manifest,
    /// Where.
    pub cluster: ClusterClaim,
    /// What the caller claims about itself. It takes no part in "the same request".
    pub claims: Claims,
}

/// What a caller claims about itself.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    /// Who it says it is.
    pub requester: String,
    /// Its own command line.
    pub args: Vec<String>,
    /// Free words.
    pub tags: Tags,
    /// An opaque name of the editor's workspace.
    pub workspace: String,
    /// Where the files came from.
    pub repository: Repository,
    /// Versions of its side, by part.
    pub versions: BTreeMap<String, String>,
}

/// `helm upgrade --install` and the rollout behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)] // They are helm's flags, one for one.
pub struct ApplyRequest {
    /// The release.
    pub release: String,
    /// Its namespace; empty for the one of the context.
    pub namespace: String,
    /// The chart, as the user wrote it.
    pub chart: String,
    /// `--version`; empty for none.
    pub chart_version: String,
    /// Values layers, low to high.
    pub values: Vec<SourcePath>,
    /// `--set` and its family, in order.
    pub set: Vec<SetValue>,
    /// `None`: helm does not wait, the agent watches on. `Some(false)`: the operation ends with helm.
    pub wait: Option<bool>,
    /// Helm undoes what failed.
    pub atomic: bool,
    /// Helm's timeout and the rollout's.
    pub timeout_seconds: u64,
    /// Helm makes the namespace.
    pub create_namespace: bool,
    /// Stop helm as soon as a cause is certain.
    pub fail_fast: bool,
    /// Wait behind another operation on the release, instead of being refused.
    pub queue: bool,
    /// The `.ktl.yaml` that names the release.
    pub config_path: Option<SourcePath>,
    /// Helm only says what it would do. Left out where it is not asked, so that a request stays the one it was.
    #[serde(default, skip_serializing_if = "is_not")]
    pub dry_run: bool,
    /// A release that is not there yet is a failure.
    #[serde(default, skip_serializing_if = "is_not")]
    pub upgrade_only: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde calls it.
fn is_not(flag: &bool) -> bool {
    !flag
}

/// A field that does not say what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {fault}")]
pub struct RequestError {
    /// As the proto names it: `apply.values[1]`.
    pub field: String,
    /// What is wrong and what is expected.
    pub fault: String,
}

impl RequestError {
    /// A mistake in one field.
    pub fn new(field: impl Into<String>, fault: impl Into<String>) -> Self {
        Self { field: field.into(), fault: fault.into() }
    }
}

impl ApplyRequest {
    /// Whether helm itself waits: it does for `atomic` too, whatever `wait` says.
    pub fn helm_waits(&self) -> bool {
        self.wait == Some(true) || self.atomic
    }

    /// Whether the rollout is part of the operation.
    pub fn watches_rollout(&self) -> bool {
        !self.dry_run && (self.helm_waits() || self.wait != Some(false))
    }

    /// The chart as helm gets it and as findings name it: a cleaned path inside the sources, or a reference.
    pub fn chart_place(&self, sources: &Manifest) -> String {
        match SourcePath::parse(&self.chart) {
            Ok(path) if sources.has_folder(&path) || sources.has_file(&path) => path.to_string(),
            _ => self.chart.clone(),
        }
    }

    /// Checks every field against its rule and against the sources.
    pub fn check(&self, sources: &Manifest) -> Result<(), RequestError> {
        check_name("apply.release", &self.release, MAX_RELEASE, true)?;
        if !self.namespace.is_empty() {
            check_name("apply.namespace", &self.namespace, MAX_NAMESPACE, false)?;
        }
        if self.timeout_seconds == 0 || self.timeout_seconds > MAX_TIMEOUT_SECONDS {
            let fault = format!("{} is not between 1 and {MAX_TIMEOUT_SECONDS}", self.timeout_seconds);
            return Err(RequestError::new("apply.timeout_seconds", fault));
        }
        check_chart(&self.chart)?;
        for (index, value) in self.set.iter().enumerate().filter(|(_, value)| value.kind == SetKind::File) {
            check_set_file(&format!("apply.set[{index}]"), &value.expression, sources)?;
        }
        Ok(())
    }
}

/// Lower-case letters, digits and `-`, in a release also `.`; the ends are letters or digits.
fn check_name(field: &str, name: &str, limit: usize, dots: bool) -> Result<(), RequestError> {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let allowed = |byte: u8| is_inner(byte) || byte == b'-' || (dots && byte == b'.');
    let bytes = name.as_bytes();
    let has_ends =
        bytes.first().copied().is_some_and(is_inner) && bytes.last().copied().is_some_and(is_inner);
    if has_ends && bytes.iter().copied().all(allowed) && name.len() <= limit {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    let fault = format!("{shown:?} is not a name of at most {limit} lower-case letters, digits and '-'");
    Err(RequestError::new(field, fault))
}

/// A chart is a path inside the sources or a reference. A path that is not among the sources goes to helm as it is:
/// its answer becomes a finding on the user's own line. A path that leads elsewhere does not.
fn check_chart(chart: &str) -> Result<(), RequestError> {
    let is_reference = ["oci://", "https://", "http://"].iter().any(|scheme| chart.starts_with(scheme));
    if is_reference && !chart.chars().any(|character| character.is_control() || character == ' ') {
        return Ok(());
    }
    SourcePath::parse(chart).map(|_| ()).map_err(|error| RequestError::new("apply.chart", error.to_string()))
}

/// `--set-file a=path,b=path` makes helm read files of the agent's disk, so each path has to be a source.
///
/// Helm has lists (`{a,b}`) and escapes (`\`) in this flag. Only expressions without them are let through: for these
/// the paths that helm reads are the ones that are seen here.
fn check_set_file(field: &str, expression: &str, sources: &Manifest) -> Result<(), RequestError> {
    if let Some(found) = expression.chars().find(|found| matches!(found, '\\' | '{' | '}')) {
        let fault =
            format!("{found:?} is not allowed with a file; write key=path, with a key and a path without it");
        return Err(RequestError::new(field, fault));
    }
    for part in expression.split(',') {
        let pair = part.split_once('=').filter(|(_, path)| !path.contains('='));
        let Some((_, path)) = pair else {
            return Err(RequestError::new(field, "is not key=path, or several with commas between them"));
        };
        let path = SourcePath::parse(path).map_err(|error| RequestError::new(field, error.to_string()))?;
        if !sources.has_file(&path) {
            return Err(RequestError::new(
                field,
                format!("{path} is not among the sources; send it with them"),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::{ContentHash, Listed};

    fn apply() -> ApplyRequest {
        ApplyRequest {
            release: "web".into(),
            namespace: String::new(),
            chart: "charts/web".into(),
            chart_version: String::new(),
            values: Vec::new(),
            set: Vec::new(),
            wait: None,
            atomic: false,
            timeout_seconds: 300,
            create_namespace: false,
            fail_fast: false,
            queue: true,
            config_path: None,
            dry_run: false,
            upgrade_only: false,
        }
    }

    fn sources(paths: &[&str]) -> Manifest {
        let listed = Listed { sha256: ContentHash::of(b""), size: 0 };
        Manifest::new(paths.iter().map(|path| (SourcePath::parse(path).unwrap(), listed.clone()))).unwrap()
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut ApplyRequest), expected: Result<(), &str>) {
        let mut request = apply();
        change(&mut request);
        let found = request.check(&sources(&["charts/web/Chart.yaml", "ca.pem"]));
        match expected {
            Ok(()) => assert_eq!(found, Ok(())),
            Err(words) => {
                let error = found.unwrap_err().to_string();
                assert!(error.contains(words), "{error}");
            }
        }
    }

    fn file(expression: &str) -> Vec<SetValue> {
        vec![SetValue { kind: SetKind::File, expression: expression.to_owned() }]
    }

    #[test]
    fn fields_are_checked_and_named() {
        check(|_| {}, Ok(()));
        check(|apply| apply.release = "Web".into(), Err("apply.release: \"Web\""));
        check(|apply| apply.release = "--debug".into(), Err("apply.release"));
        check(|apply| apply.release = "x".repeat(54), Err("at most 53"));
        check(|apply| apply.release = "a.b".into(), Ok(()));
        check(|apply| apply.namespace = "a.b".into(), Err("apply.namespace"));
        check(|apply| apply.timeout_seconds = 0, Err("apply.timeout_seconds: 0"));
        check(|apply| apply.timeout_seconds = 86_401, Err("86400"));
    }

    #[test]
    fn charts_do_not_lead_out_of_the_sources() {
        for good in
            ["charts/web", "oci://registry.example/web", "https://x.example/web-1.tgz", "repo/web", "./gone"]
        {
            check(|apply| apply.chart = good.to_owned(), Ok(()));
        }
        for bad in ["", "/etc", "../web", "file:///etc", "oci://a b"] {
            check(|apply| apply.chart = bad.to_owned(), Err("apply.chart"));
        }
    }

    #[test]
    fn files_for_set_are_sources() {
        check(|apply| apply.set = file("tls.ca=ca.pem"), Ok(()));
        check(
            |apply| apply.set = file("a=ca.pem,b=/etc/shadow"),
            Err("apply.set[0]: source path \"/etc/shadow\""),
        );
        check(|apply| apply.set = file("a=other.pem"), Err("other.pem is not among the sources"));
        check(|apply| apply.set = file("nothing"), Err("key=path"));
    }

    /// Helm reads `{…}` as a list and `\` as an escape, so that another file than the one we see would be read.
    #[test]
    fn files_for_set_are_sources_in_the_grammar_of_helm_too() {
        let odd = sources(&["{/etc/hostname}", "y=/etc/hostname", "a,b", "ca.pem"]);
        for expression in ["k={/etc/hostname}", r"x\=y=/etc/hostname", "k=y=/etc/hostname", r"k=a\,b"] {
            let request = ApplyRequest { set: file(expression), ..apply() };
            let error = request.check(&odd).unwrap_err();
            assert_eq!(error.field, "apply.set[0]", "{expression}");
        }
    }

    #[test]
    fn who_waits_for_what() {
        for (wait, atomic, helm, rollout) in [
            (None, false, false, true),
            (Some(true), false, true, true),
            (Some(false), false, false, false),
            (Some(false), true, true, true),
        ] {
            let apply = ApplyRequest { wait, atomic, ..apply() };
            assert_eq!((apply.helm_waits(), apply.watches_rollout()), (helm, rollout), "{wait:?} {atomic}");
        }
    }
}
