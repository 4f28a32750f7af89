//! Arguments for helm: pure, and the only ones.
//!
//! Values are joined to their flags with `=`, so that nothing a user wrote can be taken for a flag; the two
//! positional arguments come after `--`.

use serde::{Deserialize, Serialize};

use super::Major;

/// What is deployed, as far as helm needs to know. Paths are relative to the folder in which helm runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // They are helm's flags, one for one.
pub struct Deploy<'a> {
    /// The name of the release.
    pub release: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// The kubeconfig context; the kubeconfig itself is in the environment.
    pub context: Option<&'a str>,
    /// A path, `oci://…` or `repo/name`.
    pub chart: &'a str,
    /// `--version`, for charts that are no path.
    pub chart_version: Option<&'a str>,
    /// Values layers, low to high.
    pub values: &'a [String],
    /// `--set` and its family, in order.
    pub set: &'a [SetValue],
    /// Helm waits for readiness.
    pub wait: bool,
    /// Helm undoes what failed.
    pub atomic: bool,
    /// Helm's own limit for waiting and for hooks.
    pub timeout_seconds: u64,
    /// Helm makes the namespace.
    pub create_namespace: bool,
    /// Helm installs what is not there.
    pub install: bool,
    /// Helm asks the cluster and changes nothing.
    pub dry_run: bool,
}

/// One of the `--set` family.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetValue {
    /// Which.
    pub kind: SetKind,
    /// In helm's grammar: `image.tag=1.27`.
    pub expression: String,
}

/// The `--set` family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SetKind {
    /// `--set`.
    Set,
    /// `--set-string`.
    String,
    /// `--set-json`.
    Json,
    /// `--set-file`.
    File,
    /// `--set-literal`.
    Literal,
}

impl SetKind {
    /// The flag without its dashes.
    pub fn flag(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::String => "set-string",
            Self::Json => "set-json",
            Self::File => "set-file",
            Self::Literal => "set-literal",
        }
    }
}

impl Deploy<'_> {
    /// `helm template`: renders as the cluster would, where its version is known, and touches nothing.
    pub fn template(&self, kube_version: Option<&str>, api_versions: &[String]) -> Vec<String> {
        let mut args = vec!["template".to_owned()];
        args.extend(self.common());
        args.extend(kube_version.map(|version| format!("--kube-version={version}")));
        args.extend(api_versions.iter().map(|version| format!("--api-versions={version}")));
        args.extend(self.positional());
        args
    }

    /// `helm upgrade --install`.
    pub fn upgrade(&self, major: Major) -> Vec<String> {
        let mut args = vec!["upgrade".to_owned()];
        if self.install {
            args.push("--install".to_owned());
        }
        if self.dry_run {
            args.push("--dry-run=server".to_owned());
        }
        args.extend(self.common());
        args.extend(self.context.map(|context| format!("--kube-context={context}")));
        args.push(format!("--timeout={}s", self.timeout_seconds));
        if self.create_namespace {
            args.push("--create-namespace".to_owned());
        }
        if self.wait {
            args.push("--wait".to_owned());
        }
        if self.atomic {
            args.push(rollback_flag(major).to_owned());
        }
        args.extend(self.positional());
        args
    }

    fn common(&self) -> Vec<String> {
        let mut args = vec![format!("--namespace={}", self.namespace)];
        args.extend(self.chart_version.map(|version| format!("--version={version}")));
        args.extend(self.values.iter().map(|path| format!("--values={}", csv_field(path))));
        args.extend(self.set.iter().map(|value| format!("--{}={}", value.kind.flag(), value.expression)));
        args
    }

    fn positional(&self) -> [String; 3] {
        ["--".to_owned(), self.release.to_owned(), self.chart.to_owned()]
    }
}

/// `helm status -o json` of a release.
pub(super) fn status(release: &str, namespace: &str, context: Option<&str>) -> Vec<String> {
    let mut args = vec!["status".to_owned(), "--output=json".to_owned(), format!("--namespace={namespace}")];
    args.extend(context.map(|context| format!("--kube-context={context}")));
    args.extend(["--".to_owned(), release.to_owned()]);
    args
}

/// `helm version`, one word.
pub(super) fn version() -> Vec<String> {
    vec!["version".to_owned(), "--template={{.Version}}".to_owned()]
}

fn rollback_flag(major: Major) -> &'static str {
    match major {
        Major::Three => "--atomic",
        Major::Four => "--rollback-on-failure",
    }
}

/// `--values` takes a list of comma-separated values, quoted as in CSV.
fn csv_field(path: &str) -> String {
    if path.contains([',', '"']) { format!("\"{}\"", path.replace('"', "\"\"")) } else { path.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deploy<'a>(values: &'a [String], set: &'a [SetValue]) -> Deploy<'a> {
        Deploy {
            release: "web",
            namespace: "shop",
            context: Some("dev"),
            chart: "charts/web",
            chart_version: None,
            values,
            set,
            wait: false,
            atomic: false,
            timeout_seconds: 300,
            create_namespace: false,
            install: true,
            dry_run: false,
        }
    }

    #[test]
    fn the_least_upgrade() {
        let args = "upgrade --install --namespace=shop --kube-context=dev --timeout=300s -- web charts/web";
        assert_eq!(deploy(&[], &[]).upgrade(Major::Three).join(" "), args);
        assert_eq!(deploy(&[], &[]).upgrade(Major::Four).join(" "), args);
    }

    #[test]
    fn flags_that_differ_between_the_versions() {
        let full = Deploy { wait: true, atomic: true, create_namespace: true, ..deploy(&[], &[]) };
        for (major, flag) in [(Major::Three, "--atomic"), (Major::Four, "--rollback-on-failure")] {
            let args = full.upgrade(major).join(" ");
            let tail = format!("--create-namespace --wait {flag} -- web charts/web");
            assert!(args.ends_with(&tail), "{args}");
        }
    }

    #[test]
    fn values_and_set_keep_their_order_and_their_text() {
        let values = ["a.yaml".to_owned(), "--b,c.yaml".to_owned()];
        let set = [
            SetValue { kind: SetKind::Set, expression: "a=1,b={x, y}".to_owned() },
            SetValue { kind: SetKind::Literal, expression: "--c=".to_owned() },
        ];
        let args = deploy(&values, &set).template(Some("v1.34.4"), &["example.com/v1".to_owned()]);
        let expected = [
            "template",
            "--namespace=shop",
            "--values=a.yaml",
            "--values=\"--b,c.yaml\"",
            "--set=a=1,b={x, y}",
            "--set-literal=--c=",
            "--kube-version=v1.34.4",
            "--api-versions=example.com/v1",
            "--",
            "web",
            "charts/web",
        ];
        assert_eq!(args, expected);
    }

    #[test]
    fn a_status_is_asked_for_as_json() {
        let args = status("web", "shop", Some("dev")).join(" ");
        assert_eq!(args, "status --output=json --namespace=shop --kube-context=dev -- web");
    }
}
