//! The part `unit`: the tests of every crate, integration tests that are no part of their own included.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::needs::Needs;
use super::parts::OWN_PARTS;
use super::tally::Tally;
use crate::workspace::cargo;

pub(super) fn run(needs: &Needs, log: &Path) -> Result<Option<Tally>> {
    let metadata = cargo()?.args(["metadata", "--no-deps", "--format-version=1"]).read()?;
    let tests =
        integration_tests(&serde_json::from_str(&metadata).context("cargo metadata printed no JSON")?);
    let named = tests.iter().filter(|name| !OWN_PARTS.contains(&name.as_str()));
    let chosen = named.flat_map(|name| ["--test".to_owned(), name.clone()]);
    // What a passing test prints is shown too: there it says whether it skipped itself.
    let run = cargo()?.args(["test", "--workspace", "--no-fail-fast", "--lib", "--bins"]).args(chosen);
    run.args(["--", "--show-output"]).envs(needs.variables()).run(log)?;
    // The public Go programs, which no registry has: whoever built them says where.
    if std::env::var_os("KTL_GO_BIN").is_some() {
        let live = ["test", "--package=ktl-agent", "--test=agent", "go_", "--", "--ignored"];
        cargo()?.args(live).envs(needs.variables()).run(log)?;
    }
    cargo()?.args(["test", "--workspace", "--no-fail-fast", "--doc"]).envs(needs.variables()).run(log)?;
    Ok(None)
}

/// The names of all integration tests in the output of `cargo metadata`.
fn integration_tests(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let targets = packages.flat_map(|package| package["targets"].as_array().into_iter().flatten());
    let tests = targets.filter(|target| target["kind"] == serde_json::json!(["test"]));
    tests.filter_map(|target| Some(target["name"].as_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn integration_tests_are_found_in_every_package() {
        let metadata = json!({"packages": [
            {"targets": [{"kind": ["lib"], "name": "a"}, {"kind": ["test"], "name": "tidy"}]},
            {"targets": [{"kind": ["test"], "name": "wedge"}]},
        ]});
        assert_eq!(integration_tests(&metadata), ["tidy", "wedge"]);
    }
}
