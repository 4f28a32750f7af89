//! A release, as an entry of `releases` and in `release.yaml`.

use super::{Key, PATHS, Shape, TEXTS};

pub(crate) const RELEASE: &[Key] = &[
    Key::new("name", Shape::Name { longest: 53, dots: true }, "the release's name, also Helm's").required(),
    Key::new("chart", Shape::Path, "a chart: directory, .tgz, oci:// or repo/name").required(),
    Key::new("chartVersion", Shape::Text, "the chart's version, for a chart from a registry or repository"),
    Key::new("namespace", NAMESPACE, "the namespace to install into"),
    Key::new("cluster", Shape::Object(CLUSTER), "the cluster to install into"),
    Key::new("values", PATHS, "values files, the last one wins"),
    Key::new("set", Shape::Settings, "single values over the files, as Helm's --set"),
    Key::new("setString", Shape::Settings, "single values as text, as Helm's --set-string"),
    Key::new("setJson", Shape::Settings, "single values in JSON, as Helm's --set-json"),
    Key::new("setFile", Shape::Settings, "single values from files, as Helm's --set-file"),
    Key::new("setLiteral", Shape::Settings, "single values without escapes, as Helm's --set-literal"),
    Key::new("apply", Shape::Object(APPLY), "how the release is applied"),
    Key::new("delete", Shape::Object(DELETE), "how the release is deleted").unused(),
    Key::new("verify", Shape::Object(VERIFY), "how the release is verified"),
    Key::new("approve", Shape::Choice(APPROVE), "when an apply asks before it acts").guard(&["never"]),
    Key::new("needs", TEXTS, "releases that must be applied before").guard(&[]),
    Key::new("tags", TEXTS, "labels of your own"),
    Key::new("rendered", PATHS, "rendered manifests kept in the workspace, for findings on their lines")
        .unused(),
    Key::new("wave", Shape::Int, "the order among the releases of a stack").unused(),
    Key::new("critical", Shape::Bool, "whether a failure stops the stack").unused(),
    Key::new("parallelismGroup", Shape::Text, "releases that do not run at once").unused(),
    Key::new("hooks", HOOKS, "commands around an operation").guard(&[]),
];

pub(super) const NAMESPACE: Shape = Shape::Name { longest: 63, dots: false };
const APPROVE: &[&str] = &["never", "warnings", "changes", "always"];

pub(super) const CLUSTER: &[Key] = &[
    Key::new("name", Shape::Text, "the agent's name for the cluster"),
    Key::new("kubeconfig", Shape::Path, "the kubeconfig file"),
    Key::new("context", Shape::Text, "the context in the kubeconfig"),
];

pub(super) const APPLY: &[Key] = &[
    Key::new("wait", Shape::Bool, "whether helm itself waits until everything is ready"),
    Key::new("atomic", Shape::Bool, "whether a failed upgrade is rolled back"),
    Key::new("timeout", Shape::Duration, "how long the apply may take; 5m if absent"),
    Key::new("createNamespace", Shape::Bool, "whether a missing namespace is created"),
    Key::new("failFast", Shape::Bool, "whether helm is stopped once the cause of a failure is certain"),
    Key::new("queue", Shape::Bool, "whether to wait for another operation on the release; true if absent"),
];

pub(super) const DELETE: &[Key] = &[
    Key::new("timeout", Shape::Duration, "how long the deletion may take"),
    Key::new("keepHistory", Shape::Bool, "whether Helm keeps the history"),
];

pub(super) const VERIFY: &[Key] = &[
    Key::new("mode", Shape::Choice(&["off", "warn", "block"]), "what findings do").guard(&["off", "warn"]),
    Key::new("failOn", Shape::Choice(&["info", "low", "medium", "high", "critical"]), "from which severity")
        .unused(),
    Key::new("rules", Shape::Path, "a directory of rules").unused(),
    Key::new("enabled", Shape::Bool, "whether a stack's release is verified after the apply").unused(),
    Key::new("failOnWarnings", Shape::Bool, "whether warnings fail the verification").unused(),
    Key::new("warnOnly", Shape::Bool, "whether the verification only warns").unused(),
    Key::new("eventsWindow", Shape::Duration, "how far back events count").unused(),
    Key::new("timeout", Shape::Duration, "how long the verification may take").unused(),
    Key::new("denyReasons", TEXTS, "reasons of events that fail the verification").unused(),
    Key::new("allowReasons", TEXTS, "reasons of events that do not count").unused(),
    Key::new("requireConditions", Shape::List(&Shape::Object(CONDITION)), "conditions objects must have")
        .unused(),
];

const CONDITION: &[Key] = &[
    Key::new("group", Shape::Text, "the object's API group"),
    Key::new("kind", Shape::Text, "the object's kind"),
    Key::new("type", Shape::Text, "the condition's type"),
    Key::new("status", Shape::Text, "the condition's status"),
    Key::new("allowMissing", Shape::Bool, "whether the condition may be absent"),
];

pub(super) const HOOKS: Shape = Shape::Object(&[
    Key::new("preApply", HOOK_LIST, "before an apply"),
    Key::new("postApply", HOOK_LIST, "after an apply"),
    Key::new("preDelete", HOOK_LIST, "before a deletion"),
    Key::new("postDelete", HOOK_LIST, "after a deletion"),
]);

const HOOK_LIST: Shape = Shape::List(&Shape::Object(HOOK));

const HOOK: &[Key] = &[
    Key::new("name", Shape::Text, "the hook's name"),
    Key::new("type", Shape::Choice(&["kubectl", "script", "http"]), "the kind of hook"),
    Key::new("runOnce", Shape::Bool, "whether it runs once for the stack"),
    Key::new("when", Shape::Choice(&["success", "failure", "always"]), "after which end it runs"),
    Key::new("timeout", Shape::Duration, "how long it may take"),
    Key::new("retry", Shape::Int, "how often it is tried"),
    Key::new("kubeconfig", Shape::Path, "the kubeconfig file"),
    Key::new("context", Shape::Text, "the context in the kubeconfig"),
    Key::new("namespace", NAMESPACE, "the namespace"),
    Key::new("kubectl", Shape::Object(&[Key::new("args", TEXTS, "arguments of kubectl")]), "a kubectl call"),
    Key::new("script", Shape::Object(SCRIPT), "a command"),
    Key::new("http", Shape::Object(HTTP), "a request"),
];

const SCRIPT: &[Key] = &[
    Key::new("command", TEXTS, "the command and its arguments"),
    Key::new("env", Shape::Map(&Shape::Text), "environment variables"),
    Key::new("workDir", Shape::Path, "the working directory"),
];

const HTTP: &[Key] = &[
    Key::new("method", Shape::Text, "the method"),
    Key::new("url", Shape::Url, "the address"),
    Key::new("headers", Shape::Map(&Shape::Text), "headers"),
    Key::new("body", Shape::Text, "the body"),
];
