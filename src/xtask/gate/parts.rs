//! The parts of the gate, in their order: what is cheap and fails often comes first.

use std::path::Path;

use anyhow::Result;

use super::needs::{Need, Needs};
use super::tally::Tally;
use super::{deny, lifecycle, unit};
use crate::tools::debian;

/// Something that must hold.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: &'static str,
    /// What holds when it passes.
    pub(super) what: &'static str,
    pub(super) needs: &'static [Need],
    pub(super) work: Work,
}

/// How a part is run. Output goes into its log.
#[derive(Debug)]
pub(super) enum Work {
    /// Calls of cargo, one after the other.
    Cargo(&'static [&'static [&'static str]]),
    /// Calls of npm in a folder of the project.
    Npm { folder: &'static str, runs: &'static [&'static [&'static str]] },
    /// Whatever else; it may count its checks itself.
    Function(fn(&Needs, &Path) -> Result<Option<Tally>>),
}

/// Integration tests of the root package that are a part of their own; all others belong to `unit`.
pub(super) const OWN_PARTS: [&str; 3] = ["wedge", "e2e", "editors"];

/// The table. A new part is a new line.
pub(super) const PARTS: &[Part] = &[
    Part {
        name: "fmt",
        what: "the Rust code is formatted",
        needs: &[],
        work: Work::Cargo(&[&["fmt", "--all", "--check"]]),
    },
    Part {
        name: "clippy",
        what: "clippy and the compiler have nothing to say",
        needs: &[],
        work: Work::Cargo(&[&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]]),
    },
    Part {
        name: "deny",
        what: "dependencies come from where they should, under licenses we accept",
        needs: &[],
        work: Work::Function(deny::run),
    },
    Part {
        name: "docs",
        what: "the documentation builds and its links lead somewhere",
        needs: &[],
        work: Work::Cargo(&[&["doc", "--workspace", "--no-deps", "--document-private-items"]]),
    },
    Part {
        name: "viewer",
        what: "the page is checked, tested, and committed as built",
        needs: &[],
        work: Work::Npm {
            folder: "src/agent/viewer",
            runs: &[&["ci"], &["run", "check"], &["run", "build:check"]],
        },
    },
    Part {
        name: "vscode",
        what: "the VS Code extension is checked, tested and builds",
        needs: &[],
        work: Work::Npm { folder: "editors/vscode", runs: &[&["ci"], &["run", "check"], &["run", "build"]] },
    },
    Part {
        name: "unit",
        what: "the tests of every crate pass",
        needs: &[
            Need::Binaries,
            Need::Tool("helm"),
            Need::Tool("helm3"),
            Need::Postgres,
            Need::Package(debian::Need { program: "/usr/sbin/nginx", package: "nginx-light" }),
            Need::Cluster,
        ],
        work: Work::Function(unit::run),
    },
    Part {
        name: "wedge",
        what: "nothing a client sends or fails to send stops the server",
        needs: &[Need::Binaries],
        work: Work::Cargo(&[&["test", "--package=ktl-lsp", "--test=wedge", "--", "--show-output"]]),
    },
    Part {
        name: "cluster",
        what: "clusters run side by side and leave nothing behind, also when killed",
        needs: &[],
        work: Work::Function(lifecycle::run),
    },
    Part {
        name: "e2e",
        what: "the stories of users hold, with the real helm on a real cluster",
        needs: &[Need::Binaries, Need::Tool("helm"), Need::Tool("helm3"), Need::Cluster],
        work: Work::Cargo(&[&["test", "--package=ktl-lsp", "--test=e2e", "--", "--show-output"]]),
    },
    Part {
        name: "editors",
        what: "Neovim, Helix and VS Code work from the configuration we tell users to write",
        needs: &[
            Need::Binaries,
            Need::Tool("helm"),
            Need::Tool("neovim"),
            Need::Tool("helix"),
            Need::Tool("chromium"),
            Need::Tool("code-server"),
            Need::Package(debian::Need { program: "tmux", package: "tmux" }),
            Need::Npm { folder: "tests/browser", runs: &[&["ci"]] },
            Need::Npm { folder: "editors/vscode", runs: &[&["ci"], &["run", "build"]] },
            Need::Cluster,
        ],
        work: Work::Cargo(&[&["test", "--package=ktl-lsp", "--test=editors", "--", "--show-output"]]),
    },
    Part {
        name: "browser",
        what: "the replay page works in Chromium, served by the agent and opened as an editor opens it",
        needs: &[Need::Binaries, Need::Tool("helm"), Need::Tool("chromium"), Need::Cluster],
        work: Work::Npm { folder: "tests/browser", runs: &[&["ci"], &["test"]] },
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::Tool;

    #[test]
    fn names_are_unique_and_every_tool_that_is_needed_exists() {
        let mut names: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PARTS.len());
        for need in PARTS.iter().flat_map(|part| part.needs) {
            if let Need::Tool(name) = need {
                Tool::named(name).unwrap();
            }
        }
    }
}
