//! The real cluster that stories run against, and a namespace of it for each of them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long the cluster may take for anything that a test waits for.
const PATIENCE: Duration = Duration::from_mins(1);

/// A namespace of the test cluster, removed with everything in it when the test ends.
pub(crate) struct Namespace {
    kubeconfig: PathBuf,
    name: String,
}

impl Namespace {
    /// A name that no other test and no other run of this test has. The namespace is made by whoever uses it first.
    pub(crate) fn of(kubeconfig: &Path, story: &str) -> Self {
        let unique = uuid::Uuid::new_v4().simple().to_string();
        Self { kubeconfig: kubeconfig.to_owned(), name: format!("e2e-{story}-{}", &unique[..8]) }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs `kubectl` in the namespace; its output, or what it said instead.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = self.command();
        command.args(["--namespace", &self.name]).args(arguments);
        let output = command.output().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// The objects of a kind with a label.
    pub(crate) fn objects(&self, kind: &str, label: &str) -> Vec<Value> {
        let list = self.kubectl(&["get", kind, "--selector", label, "--output", "json"]);
        let Ok(list) = list else { return Vec::new() };
        let list: Value = serde_json::from_str(&list).expect("kubectl prints JSON");
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// Waits for the pod of the `gated` chart's hook: helm is in the middle of its work now, and stays there.
    pub(crate) fn wait_for_gate(&self) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let pods = self.objects("pods", "job=gate");
            let waiting = pods.iter().find(|pod| pod["spec"]["schedulingGates"].is_array());
            if let Some(pod) = waiting {
                return pod["metadata"]["name"].as_str().expect("a pod has a name").to_owned();
            }
            assert!(Instant::now() < end, "helm did not come to the hook of the gated chart");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Lets helm go on.
    pub(crate) fn open_gate(&self) {
        let pod = self.wait_for_gate();
        let patch = r#"[{"op":"remove","path":"/spec/schedulingGates"}]"#;
        self.kubectl(&["patch", "pod", &pod, "--type", "json", "--patch", patch])
            .expect("the gate can be opened");
    }

    fn command(&self) -> Command {
        let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
        let beside = assets.map(|folder| folder.join("kubectl")).filter(|kubectl| kubectl.is_file());
        let mut command = Command::new(beside.unwrap_or_else(|| PathBuf::from("kubectl")));
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let mut command = self.command();
        command.args(["delete", "namespace", &self.name, "--wait=false", "--ignore-not-found"]);
        let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}
