//! The two small files beside the local agent: what it printed when it was ready, and what we found out about it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// `agent.json`: where to ask for the agent that ran last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) pid: u32,
    pub(super) grpc: String,
    pub(super) http: String,
    pub(super) version: String,
    pub(super) token_file: PathBuf,
}

/// The addresses of an agent that is ready.
#[derive(Debug, Deserialize)]
pub(super) struct Ready {
    pub(super) grpc: String,
}

impl Record {
    /// `None` when there is none, or it was written by something else.
    pub(super) fn read(path: &Path) -> Option<Self> {
        serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
    }

    /// Readers see the old record or the new one, never a part.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let fresh = path.with_extension(format!("{}.new", std::process::id()));
        fs::write(&fresh, serde_json::to_string_pretty(self)?)?;
        fs::rename(fresh, path)
    }
}

/// The ready line, once it is there in full.
pub(super) fn read_ready(path: &Path) -> Option<Ready> {
    #[derive(Deserialize)]
    struct Line {
        ready: Ready,
    }
    let text = fs::read_to_string(path).ok()?;
    let (line, _) = text.split_once('\n')?;
    serde_json::from_str::<Line>(line).ok().map(|line| line.ready)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_ready_line_is_not_ready() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.ready");
        let line = r#"{"ready":{"grpc":"http://127.0.0.1:7","http":"http://127.0.0.1:8"}}"#;
        fs::write(&path, line).unwrap();
        assert!(read_ready(&path).is_none());
        fs::write(&path, format!("{line}\n")).unwrap();
        assert_eq!(read_ready(&path).unwrap().grpc, "http://127.0.0.1:7");
    }
}
