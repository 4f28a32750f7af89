//! VS Code: code-server in Chromium with the built extension, driven by `tests/browser`.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::environment;
use crate::workspace::{FAULT, Workspace};

#[test]
fn vs_code_shows_a_fault_on_its_line() -> Result<()> {
    let Some([code_server, bin]) = environment::paths(["KTL_TEST_CODE_SERVER", "KTL_TEST_BIN"]) else {
        return Ok(());
    };
    let root = environment::root();
    let built = ["tests/browser/node_modules/playwright-core", "editors/vscode/dist/extension.js"];
    if let Some(missing) = built.iter().find(|path| !root.join(path).exists()) {
        environment::skip(&format!(
            "{missing} is not there; run `npm ci` in its package, and `npm run build` in editors/vscode"
        ));
        return Ok(());
    }
    let workspace = Workspace::create(&[])?;
    let output = Command::new("node")
        .arg(root.join("tests/browser/diagnostic.mjs"))
        .args([code_server.as_path(), &bin, workspace.folder()])
        .args(["values/dev.yaml", FAULT])
        .env("XDG_STATE_HOME", workspace.xdg("STATE"))
        .output()
        .context("node cannot be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    let told: Value = serde_json::from_slice(&output.stdout).with_context(|| said.into_owned())?;
    let rows = told["problems"].as_array().context("the rows of the Problems panel")?;
    let row =
        rows.iter().filter_map(Value::as_str).find(|row| row.contains(FAULT)).context("a row of ours")?;
    assert!(row.contains("[Ln 4, Col 2]") && row.contains("values-syntax"), "{row}");
    Ok(())
}
