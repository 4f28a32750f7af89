//! The top of `.ktl.yaml`.

use super::release::VERIFY;
use super::{Key, RELEASE, Shape, State, TEXTS};

pub(crate) const KTL: &[Key] = &[
    Key::new(
        "agent",
        Shape::Object(AGENT),
        "the agent that does the work; absent: one is started on this machine",
    ),
    Key::new("releases", Shape::List(&Shape::Object(RELEASE)), "the releases of this workspace"),
    Key::new("builds", Shape::List(&Shape::Object(BUILD)), "images to build").unused(),
    Key::new("logs", Shape::List(&Shape::Object(LOGS)), "logs to follow").unused(),
    Key::new(
        "verify",
        Shape::Object(VERIFY),
        "how all releases are verified, where they do not say it themselves",
    ),
    Key::new("build", Shape::Object(PUBLIC_BUILD), "the public ktl's settings for builds").foreign(),
    Key::new("secrets", Shape::Object(SECRETS), "the public ktl's providers for `secret://` values")
        .foreign(),
];

const AGENT: &[Key] = &[
    Key::new("address", Shape::Url, "where the agent listens"),
    Key::new("tls", Shape::Object(TLS), "certificates for the connection"),
    Key::new("tokenEnv", Shape::Text, "the environment variable that holds the token"),
    Key::new("tokenFile", Shape::Path, "the file that holds the token"),
    Key::new("http", Shape::Url, "where the agent serves HTTP, for an agent that does not tell it"),
    Key::new("sharedPaths", Shape::Bool, "whether the agent sees the same disk; only for the public agent"),
    Key {
        state: State::Forbidden {
            instead: "tokenEnv: KTL_REMOTE_TOKEN",
            why: "a token must not stand in a file that is shared; name the variable or file that holds it",
        },
        ..Key::new("token", Shape::Text, "not allowed: use tokenEnv or tokenFile")
    },
];

const TLS: &[Key] = &[
    Key::new("ca", Shape::Path, "certificates to trust, PEM"),
    Key::new("serverName", Shape::Text, "the name in the agent's certificate, where it is not the host"),
    Key::new("cert", Shape::Path, "the client's certificate, PEM"),
    Key::new("key", Shape::Path, "the client's private key, PEM"),
];

const BUILD: &[Key] = &[
    Key::new("name", Shape::Text, "the build's name").required(),
    Key::new("context", Shape::Path, "the directory that is sent"),
    Key::new("dockerfile", Shape::Path, "the Dockerfile, in the context"),
    Key::new("tags", TEXTS, "names of the image"),
    Key::new("target", Shape::Text, "the stage to build"),
    Key::new("platforms", TEXTS, "platforms such as linux/amd64"),
    Key::new("buildArgs", Shape::Map(&Shape::Text), "values for ARG"),
    Key::new("push", Shape::Bool, "whether the image is pushed"),
];

const LOGS: &[Key] = &[
    Key::new("name", Shape::Text, "the entry's name").required(),
    Key::new("query", Shape::Text, "a regular expression over pod names"),
    Key::new("namespace", Shape::Name { longest: 63, dots: false }, "the namespace of the pods"),
    Key::new("follow", Shape::Bool, "whether to go on with new lines"),
];

const PUBLIC_BUILD: &[Key] = &[
    Key::new("profile", Shape::Choice(&["dev", "ci", "secure", "remote"]), "a set of defaults"),
    Key::new("cacheDir", Shape::Path, "where layers are cached"),
    Key::new("attestDir", Shape::Path, "where attestations are written"),
    Key::new("policy", Shape::Text, "a policy bundle's path or URL"),
    Key::new("policyMode", Shape::Choice(&["enforce", "warn"]), "what a broken policy does"),
    Key::new("secretsMode", Shape::Choice(&["warn", "block", "off", "enforce"]), "what a found secret does"),
    Key::new("secretsConfig", Shape::Text, "rules for finding secrets, a path or URL"),
    Key::new("hermetic", Shape::Bool, "whether the build is cut off the network"),
    Key::new("sandbox", Shape::Bool, "whether the build runs in a sandbox"),
    Key::new("sandboxConfig", Shape::Path, "the sandbox's settings"),
    Key::new("push", Shape::Bool, "whether images are pushed"),
    Key::new("load", Shape::Bool, "whether images are loaded into the local engine"),
    Key::new("remoteBuild", Shape::Text, "a builder's host and port"),
];

const SECRETS: &[Key] = &[
    Key::new("defaultProvider", Shape::Text, "the provider of references that name none"),
    Key::new("providers", Shape::Map(&Shape::Object(PROVIDER)), "providers by name"),
];

const PROVIDER: &[Key] = &[
    Key::new("type", Shape::Choice(&["file", "vault"]), "the kind of provider").required(),
    Key::new("path", Shape::Path, "the YAML file of a file provider"),
    Key::new("address", Shape::Url, "Vault's address"),
    Key::new("token", Shape::Text, "Vault's token"),
    Key::new("namespace", Shape::Text, "Vault's namespace"),
    Key::new("mount", Shape::Text, "the mount of the secrets engine"),
    Key::new("kvVersion", Shape::Int, "1 or 2"),
    Key::new("key", Shape::Text, "the key inside a secret"),
    Key::new("authMethod", Shape::Text, "token, approle, kubernetes or aws"),
    Key::new("authMount", Shape::Text, "the mount of the auth method"),
    Key::new("roleId", Shape::Text, "AppRole's role id"),
    Key::new("secretId", Shape::Text, "AppRole's secret id"),
    Key::new("kubernetesRole", Shape::Text, "the role for Kubernetes auth"),
    Key::new("kubernetesToken", Shape::Text, "the token for Kubernetes auth"),
    Key::new("kubernetesTokenPath", Shape::Path, "the file of the token for Kubernetes auth"),
    Key::new("awsRole", Shape::Text, "the role for AWS auth"),
    Key::new("awsRegion", Shape::Text, "the region for AWS auth"),
    Key::new("awsHeaderValue", Shape::Text, "the server id header for AWS auth"),
];
