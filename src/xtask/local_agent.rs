//! The agent that `ktl-lsp` started for a state folder of ours.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process::Program;

/// How long an agent may take to end before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// Ends the agent of the state folder `state` (what `XDG_STATE_HOME` was set to), if one runs: asked first, then killed.
pub(crate) fn stop(state: &Path) -> Result<()> {
    let Ok(text) = fs::read_to_string(state.join("ktl/agent.json")) else { return Ok(()) };
    let told: Value = serde_json::from_str(&text).context("agent.json of the local agent is no JSON")?;
    let pid = told["pid"].as_u64().context("agent.json of the local agent has no pid")?.to_string();
    let signal = |name: &str| Program::new("kill").args([name, &pid]).succeeds();
    let begun = Instant::now();
    if !signal("-TERM") {
        return Ok(());
    }
    while fs::exists(format!("/proc/{pid}")).unwrap_or(false) {
        if begun.elapsed() > GRACE {
            signal("-KILL");
            break;
        }
        sleep(Duration::from_millis(50));
    }
    Ok(())
}
