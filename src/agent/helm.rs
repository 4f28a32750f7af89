//! The `helm` program: which one it is, the arguments it gets, and what its lines mean.
//!
//! The only place that makes arguments for helm, for version 3 and for version 4. Short questions are answered here;
//! what changes a cluster runs under a [`crate::shim`]. A client never names a program: the agent has one helm.

mod argv;
mod output;
mod probe;

use std::{io, path::PathBuf};

use serde::{Deserialize, Serialize};

pub use argv::{Deploy, SetKind, SetValue};
pub use output::{Level, level_of};
pub use probe::ReleaseState;

/// The helm of this agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Helm {
    /// Where it is.
    pub program: PathBuf,
    /// What it says it is.
    pub version: Version,
}

/// A helm version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// As helm says it: `v4.0.0`.
    pub text: String,
    /// Which command line it speaks.
    pub major: Major,
}

/// The two command lines of helm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Major {
    /// `--atomic`.
    Three,
    /// `--rollback-on-failure`.
    Four,
}

/// Why helm gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum HelmError {
    /// It does not run.
    #[error("cannot run helm as {program:?}; install it or name it with --helm PATH")]
    Start {
        /// What was tried.
        program: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It runs and is not one we know.
    #[error("{program:?} says it is helm {said:?}; version 3 or 4 is needed, name one with --helm PATH")]
    Version {
        /// What was tried.
        program: PathBuf,
        /// What it said, shortened.
        said: String,
    },
    /// It took too long.
    #[error("helm {what} gave no answer within {seconds} s")]
    Silent {
        /// `version`, `status`.
        what: &'static str,
        /// How long it had.
        seconds: u64,
    },
    /// It answered with an error.
    #[error("helm {what} failed: {said}")]
    Failed {
        /// `version`, `status`.
        what: &'static str,
        /// The last line of its standard error.
        said: String,
    },
}

impl Version {
    /// Reads `v3.19.0+g3d8990f`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let major = match text.trim_start_matches('v').split_once('.')?.0 {
            "3" => Major::Three,
            "4" => Major::Four,
            _ => return None,
        };
        Some(Self { text: text.to_owned(), major })
    }
}

impl Major {
    /// 3 or 4.
    pub fn number(self) -> u8 {
        match self {
            Self::Three => 3,
            Self::Four => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_helm_3_and_4_are_known() {
        assert_eq!(Version::parse("v3.19.0\n").unwrap().major, Major::Three);
        assert_eq!(Version::parse("v4.3.1+gabc").unwrap().major.number(), 4);
        for bad in ["", "v2.17.0", "version.BuildInfo{}", "v5.0.0"] {
            assert_eq!(Version::parse(bad), None, "{bad}");
        }
    }
}
