//! The programs that tests and the demo need beside our own, installed into the cache.
//!
//! Promises: each is installed once, whole or not at all, and has answered a question about its version before it
//! counts. Does not know who uses them.

mod chromium;
mod code_server;
pub(crate) mod debian;
mod helix;
mod helm;
mod neovim;
pub(crate) mod npm;
pub(crate) mod postgres;
mod pypi;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::cache::Cache;
use crate::process::Program;
use crate::say;

/// A program, and how it comes to the machine.
#[derive(Debug)]
pub(crate) struct Tool {
    /// Its name on the command line of `cargo xtask tools`.
    pub(crate) name: &'static str,
    /// The variable that tells tests where it is.
    pub(crate) variable: &'static str,
    install: fn(&Cache) -> Result<PathBuf>,
    /// Makes it say its version.
    version: &'static [&'static str],
    /// What that answer must contain.
    expected: &'static str,
}

/// All of them, the quick ones first.
pub(crate) const TOOLS: [Tool; 6] = [
    Tool {
        name: "helm",
        variable: "KTL_TEST_HELM",
        install: helm::install_4,
        version: &["version", "--short"],
        expected: "v4.",
    },
    Tool {
        name: "helm3",
        variable: "KTL_TEST_HELM3",
        install: helm::install_3,
        version: &["version", "--short"],
        expected: "v3.",
    },
    Tool {
        name: "neovim",
        variable: "KTL_TEST_NVIM",
        install: neovim::install,
        version: &["--version"],
        expected: "NVIM v0.11",
    },
    Tool {
        name: "chromium",
        variable: "KTL_TEST_CHROMIUM",
        install: chromium::install,
        version: &["--version"],
        expected: "Chromium",
    },
    Tool {
        name: "helix",
        variable: "KTL_TEST_HX",
        install: helix::install,
        version: &["--version"],
        expected: "helix",
    },
    Tool {
        name: "code-server",
        variable: "KTL_TEST_CODE_SERVER",
        install: code_server::install,
        version: &["--version"],
        expected: "4.",
    },
];

impl Tool {
    /// The tool called `name`.
    pub(crate) fn named(name: &str) -> Result<&'static Self> {
        let names: Vec<&str> = TOOLS.iter().map(|tool| tool.name).collect();
        let found = TOOLS.iter().find(|tool| tool.name == name);
        found.with_context(|| format!("there is no tool {name}: expected one of {}", names.join(", ")))
    }

    /// Where it is, after installing it when it is not there. An error is one line that says what is lacking.
    pub(crate) fn find(&self, cache: &Cache) -> Result<PathBuf> {
        self.installed(cache).with_context(|| format!("{} is lacking", self.name))
    }

    fn installed(&self, cache: &Cache) -> Result<PathBuf> {
        let program = (self.install)(cache)?;
        let said = Program::new(&program).args(self.version).read()?;
        let Some(line) = said.lines().find(|line| line.contains(self.expected)) else {
            bail!("{} says {said:?}, expected {:?}", program.display(), self.expected);
        };
        say::line(&format!("{}: {} ({})", self.name, line.trim(), program.display()));
        Ok(program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_tool_is_refused_with_those_there_are() {
        let error = Tool::named("helm5").unwrap_err().to_string();
        assert!(error.contains("helm5") && error.contains("helm3, neovim"), "{error}");
    }
}
