//! Neovim 0.11, headless, told by a script in `neovim/` what a user would do.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::environment;
use crate::workspace::{FAULT, Workspace};

#[test]
fn neovim_shows_a_fault_on_its_line_and_forgets_it_when_it_is_mended() -> Result<()> {
    let Some([nvim, bin]) = environment::paths(["KTL_TEST_NVIM", "KTL_TEST_BIN"]) else {
        return Ok(());
    };
    let workspace = Workspace::create(&[])?;
    let told = run(&nvim, &bin, &workspace, "values/dev.yaml", "diagnostic.lua")?;
    let [fault] = told["faults"].as_array().context("a list of faults")?.as_slice() else {
        panic!("expected one fault: {told:#}");
    };
    assert_eq!((&fault["line"], &fault["column"]), (&4.into(), &2.into()), "{told:#}");
    assert!(fault["message"].as_str().is_some_and(|message| message.contains(FAULT)), "{told:#}");
    assert_eq!(told["left"], 0, "{told:#}");
    assert_eq!(
        told["complaint"],
        r#"ktl: no command "wat"; known are apply, attach, cancel, replay, sessions"#
    );
    Ok(())
}

#[test]
fn neovim_applies_from_the_lens_until_the_release_is_deployed() -> Result<()> {
    let variables = ["KTL_TEST_NVIM", "KTL_TEST_BIN", "KTL_TEST_KUBECONFIG", "KTL_TEST_HELM"];
    let Some([nvim, bin, kubeconfig, helm]) = environment::paths(variables) else {
        return Ok(());
    };
    let namespace = format!("neovim-{}", std::process::id());
    let cluster = format!("cluster: {{ name: test, kubeconfig: {} }}", kubeconfig.display());
    let workspace = Workspace::create(&[
        &format!("namespace: {namespace}"),
        &cluster,
        "apply: { createNamespace: true, timeout: 2m }",
    ])?;
    let told = run(&nvim, &bin, &workspace, ".ktl.yaml", "apply.lua")?;
    let fault = &told["fault"];
    assert!(fault["file"].as_str().is_some_and(|file| file.ends_with("/values/dev.yaml")), "{told:#}");
    assert_eq!((&fault["line"], &fault["column"]), (&4.into(), &2.into()), "{told:#}");
    assert!(fault["session"].is_string(), "the run's session belongs to its diagnostic: {told:#}");
    assert_eq!(told["left"], 0, "the second run leaves no fault: {told:#}");
    assert_ne!(told["first"], told["second"], "two applies are two sessions: {told:#}");

    let status = Command::new(helm)
        .args(["status", "greeter", "--namespace", &namespace, "--kubeconfig"])
        .args([kubeconfig.as_os_str(), "--output=json".as_ref()])
        .output()?;
    let said = String::from_utf8_lossy(&status.stderr);
    let release: Value = serde_json::from_slice(&status.stdout)
        .with_context(|| format!("helm says {said:?} after {told:#}"))?;
    assert_eq!(release["info"]["status"], "deployed");
    Ok(())
}

/// Runs a script of `neovim/` in Neovim with `file` open; what it tells at its end.
fn run(nvim: &Path, bin: &Path, workspace: &Workspace, file: &str, script: &str) -> Result<Value> {
    let (init, result) = (workspace.home().join("init.lua"), workspace.home().join("result.json"));
    fs::write(&init, readme_lines()?)?;
    let scripts = environment::root().join("tests/editors/neovim");
    let output = workspace
        .command(nvim, bin)
        .env("KTL_TEST_RESULT", &result)
        .env("LUA_PATH", format!("{}/?.lua;;", scripts.display()))
        .args(["--headless", "-n", "-u"])
        .args([init.as_os_str(), file.as_ref(), "-S".as_ref(), scripts.join(script).as_os_str()])
        .output()
        .with_context(|| format!("{} cannot be started", nvim.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let told = fs::read(&result).with_context(|| format!("{script} told nothing; Neovim said: {said}"))?;
    let told: Value = serde_json::from_slice(&told)?;
    ensure!(told["failed"].is_null(), "{script}: {}\nNeovim said: {said}", told["failed"]);
    Ok(told)
}

/// The lines that the README tells a user to write, with the folder they would have put in.
fn readme_lines() -> Result<String> {
    let readme = environment::root().join("editors/neovim/README.md");
    let text = fs::read_to_string(readme)?;
    let (_, block) = text.split_once("```lua\n").context("the README has a lua block")?;
    let (lines, _) = block.split_once("```").context("the block ends")?;
    let root = environment::root().to_str().context("the repository's path is UTF-8")?;
    ensure!(lines.contains("/path/to/ktl"), "the README names the folder /path/to/ktl");
    Ok(lines.replace("/path/to/ktl", root))
}
