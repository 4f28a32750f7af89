//! The tops of the public ktl's `stack.yaml` and `release.yaml`.

use super::release::{APPLY, CLUSTER, DELETE, HOOKS, NAMESPACE, VERIFY};
use super::{Key, PATHS, RELEASE, Shape, TEXTS};

pub(crate) const STACK: &[Key] = &[
    Key::new("apiVersion", Shape::Choice(&["ktl.dev/v1"]), "the format of the file"),
    Key::new("kind", Shape::Choice(&["Stack"]), "the kind of the file"),
    Key::new("name", Shape::Text, "the stack's name"),
    Key::new("defaultProfile", Shape::Text, "the profile taken when none is named").unused(),
    Key::new("profiles", Shape::Map(&Shape::Object(PROFILE)), "overlays by name").unused(),
    Key::new("defaults", Shape::Object(DEFAULTS), "what holds for every release that does not say it itself"),
    Key::new("runner", Shape::Object(RUNNER), "how the public ktl runs a stack").unused(),
    Key::new("cli", CLI, "defaults of the public ktl's flags").foreign(),
    Key::new("hooks", HOOKS, "commands around an operation on the stack").guard(&[]),
    Key::new("releases", Shape::List(&Shape::Object(RELEASE)), "the releases of the stack"),
];

/// `release.yaml` says of what format it is beside the keys of a release.
pub(crate) const RELEASE_FILE: &[Key] = &[
    Key::new("apiVersion", Shape::Choice(&["ktl.dev/v1"]), "the format of the file"),
    Key::new("kind", Shape::Choice(&["Release"]), "the kind of the file"),
];

const DEFAULTS: &[Key] = &[
    Key::new("cluster", Shape::Object(CLUSTER), "the cluster to install into"),
    Key::new("namespace", NAMESPACE, "the namespace to install into"),
    Key::new("values", PATHS, "values files below those of a release"),
    Key::new("set", Shape::Settings, "single values below those of a release"),
    Key::new("tags", TEXTS, "labels of your own"),
    Key::new("apply", Shape::Object(APPLY), "how releases are applied"),
    Key::new("delete", Shape::Object(DELETE), "how releases are deleted").unused(),
    Key::new("verify", Shape::Object(VERIFY), "how releases are verified"),
    Key::new("hooks", HOOKS, "commands around an operation on any release").guard(&[]),
];

const PROFILE: &[Key] = &[
    Key::new("defaults", Shape::Object(DEFAULTS), "replacements for the defaults"),
    Key::new("runner", Shape::Object(RUNNER), "replacements for the runner"),
    Key::new("cli", CLI, "replacements for the flags"),
    Key::new("hooks", HOOKS, "replacements for the hooks"),
];

const RUNNER: &[Key] = &[
    Key::new("concurrency", Shape::Int, "how many releases run at once"),
    Key::new("progressiveConcurrency", Shape::Bool, "whether to begin with fewer"),
    Key::new("kubeQPS", Shape::Number, "requests a second to the API server"),
    Key::new("kubeBurst", Shape::Int, "requests at once to the API server"),
    Key::new("limits", Shape::Object(LIMITS), "limits beside concurrency"),
    Key::new("adaptive", Shape::Object(ADAPTIVE), "how concurrency adapts"),
];

const LIMITS: &[Key] = &[
    Key::new("maxParallelPerNamespace", Shape::Int, "releases at once in a namespace"),
    Key::new("maxParallelKind", Shape::Map(&Shape::Int), "objects of a kind at once"),
    Key::new("parallelismGroupLimit", Shape::Int, "releases of a group at once"),
];

const ADAPTIVE: &[Key] = &[
    Key::new("mode", Shape::Choice(&["conservative", "balanced", "aggressive"]), "how fast it adapts"),
    Key::new("min", Shape::Int, "the least concurrency"),
    Key::new("window", Shape::Int, "how many results count"),
    Key::new("rampAfterSuccesses", Shape::Int, "successes before it rises"),
    Key::new("rampMaxFailureRate", Shape::Number, "the rate of failures up to which it rises"),
    Key::new("cooldownSevere", Shape::Text, "the pause after a severe failure"),
];

const CLI: Shape = Shape::Object(&[
    Key::new("output", Shape::Choice(&["table", "json"]), "the format of lists"),
    Key::new("inferDeps", Shape::Bool, "whether dependencies are inferred"),
    Key::new("inferConfigRefs", Shape::Bool, "whether references to ConfigMaps count as dependencies"),
    Key::new("selector", Shape::Object(SELECTOR), "which releases are meant"),
    Key::new("apply", Shape::Object(CLI_APPLY), "defaults of apply"),
    Key::new("delete", Shape::Object(CLI_DELETE), "defaults of delete"),
    Key::new("resume", Shape::Object(RESUME), "defaults of resume"),
]);

const SELECTOR: &[Key] = &[
    Key::new("clusters", TEXTS, "clusters"),
    Key::new("tags", TEXTS, "tags"),
    Key::new("fromPaths", TEXTS, "paths"),
    Key::new("releases", TEXTS, "names of releases"),
    Key::new("gitRange", Shape::Text, "commits whose files are meant"),
    Key::new("gitIncludeDeps", Shape::Bool, "whether their dependencies are meant too"),
    Key::new("gitIncludeDependents", Shape::Bool, "whether their dependents are meant too"),
    Key::new("includeDeps", Shape::Bool, "whether dependencies are meant too"),
    Key::new("includeDependents", Shape::Bool, "whether dependents are meant too"),
    Key::new("allowMissingDeps", Shape::Bool, "whether a dependency may be absent"),
];

const CLI_APPLY: &[Key] = &[
    Key::new("dryRun", Shape::Bool, "whether nothing is changed"),
    Key::new("diff", Shape::Bool, "whether changes are shown"),
    Key::new("failFast", Shape::Bool, "whether the first failure ends the run"),
    Key::new("retry", Shape::Int, "how often a release is tried"),
    Key::new("lock", Shape::Object(LOCK), "the lock of the stack"),
];

const CLI_DELETE: &[Key] = &[
    Key::new("confirmThreshold", Shape::Int, "from how many releases on it asks"),
    Key::new("failFast", Shape::Bool, "whether the first failure ends the run"),
    Key::new("retry", Shape::Int, "how often a release is tried"),
    Key::new("lock", Shape::Object(LOCK), "the lock of the stack"),
];

const LOCK: &[Key] = &[
    Key::new("enabled", Shape::Bool, "whether a lock is taken"),
    Key::new("takeover", Shape::Bool, "whether another's lock is taken over"),
    Key::new("ttl", Shape::Duration, "how long a lock holds"),
    Key::new("owner", Shape::Text, "the name on the lock"),
];

const RESUME: &[Key] = &[
    Key::new("allowDrift", Shape::Bool, "whether a changed plan may go on"),
    Key::new("rerunFailed", Shape::Bool, "whether failed releases run again"),
];
