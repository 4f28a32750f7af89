//! What is kept, as typed.

use std::time::Duration;

use clap::Args;
use ktl_chart::config::duration as go;

use crate::{
    duration,
    store::{Retention, Rule},
};

/// How often retention is applied when nobody says.
const INTERVAL: Duration = Duration::from_mins(1);

/// The limits of what is kept. A limit of 0 is none.
#[derive(Args, Clone, Debug, Default)]
pub struct RetentionArgs {
    /// Keep at most N sessions; finished ones go, the oldest end first.
    #[arg(long, alias = "mirror-max-sessions", value_name = "N")]
    pub max_sessions: Option<u64>,
    /// Keep at most N frames of each session; its oldest go, and its viewers are told.
    #[arg(long, alias = "mirror-max-frames", value_name = "N")]
    pub max_frames: Option<u64>,
    /// Keep the database with its log below so many bytes: 500000000, 500MB, 2GiB.
    #[arg(long, alias = "mirror-max-bytes", value_name = "SIZE")]
    pub max_bytes: Option<String>,
    /// Keep sessions for so long after their end: 90d, 12h.
    #[arg(long, value_name = "TIME")]
    pub max_age: Option<String>,
    /// Another age for some sessions, such as keep=1d,tag.ci=true or keep=forever,status=error. May be given several
    /// times: the first that matches counts.
    #[arg(long, value_name = "RULE")]
    pub retain: Vec<String>,
}

impl RetentionArgs {
    /// What is meant, and every mistake. `local` is the agent of one user, whose disk nobody looks after.
    pub fn read(&self, local: bool) -> Result<Retention, Vec<String>> {
        let mut mistakes = Vec::new();
        let mut note = |flag: &str, text: &str, expected: &str| {
            mistakes.push(format!("{flag} {text}: expected {expected}"));
        };
        let mut retention = if local { LOCAL } else { Retention::default() };
        set(&mut retention.max_sessions, self.max_sessions);
        set(&mut retention.max_frames, self.max_frames);
        if let Some(text) = &self.max_bytes {
            match bytes(text) {
                Some(bytes) => set(&mut retention.max_bytes, Some(bytes)),
                None => note("--max-bytes", text, "a size, such as 500MB or 2GiB"),
            }
        }
        if let Some(text) = &self.max_age {
            match time(text) {
                Some(age) => retention.max_age = (age > Duration::ZERO).then_some(age),
                None => note("--max-age", text, "a time, such as 90d or 12h"),
            }
        }
        for text in &self.retain {
            match text.parse::<Rule>() {
                Ok(rule) => retention.rules.push(rule),
                Err(error) => mistakes.push(format!("--retain {text}: {error}")),
            }
        }
        if mistakes.is_empty() { Ok(retention) } else { Err(mistakes) }
    }
}

/// What the agent of one user keeps.
const LOCAL: Retention = Retention {
    max_sessions: Some(1000),
    max_bytes: Some(2 << 30),
    max_age: Some(Duration::from_hours(2160)),
    max_frames: None,
    rules: Vec::new(),
};

fn set(limit: &mut Option<u64>, typed: Option<u64>) {
    if let Some(typed) = typed {
        *limit = (typed > 0).then_some(typed);
    }
}

/// How often retention is applied, at most every second; 0 is the default, as for the public agent.
pub(super) fn interval(text: Option<&str>) -> Result<Duration, String> {
    match text.map(|text| (text, time(text))) {
        None | Some((_, Some(Duration::ZERO))) => Ok(INTERVAL),
        Some((_, Some(interval))) => Ok(interval.max(Duration::from_secs(1))),
        Some((text, None)) => Err(format!("--prune-interval {text}: expected a time, such as 30s or 5m")),
    }
}

/// With days, as people keep things; else as Go writes it.
fn time(text: &str) -> Option<Duration> {
    duration::parse(text).or_else(|| go::parse(text))
}

/// A number of bytes, with the units of a disk (powers of 1000) or of memory (powers of 1024).
fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim_start() {
        "" | "B" => 1,
        "kB" | "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_overrides_what_the_local_agent_keeps_and_0_lifts_it() {
        let typed = RetentionArgs {
            max_sessions: Some(0),
            max_bytes: Some("1GiB".into()),
            retain: vec!["keep=1d,tag.ci=".into()],
            ..RetentionArgs::default()
        };
        let kept = typed.read(true).unwrap();
        assert_eq!((kept.max_sessions, kept.max_bytes, kept.rules.len()), (None, Some(1 << 30), 1));
        assert_eq!(kept.max_age, LOCAL.max_age);
        assert_eq!(RetentionArgs::default().read(false), Ok(Retention::default()));
    }

    #[test]
    fn every_mistake_names_its_flag_and_what_was_expected() {
        let typed = RetentionArgs {
            max_bytes: Some("2 gigs".into()),
            max_age: Some("soon".into()),
            retain: vec!["keep=1d,color=red".into()],
            ..RetentionArgs::default()
        };
        let mistakes = typed.read(false).unwrap_err().join("\n");
        for words in ["--max-bytes 2 gigs", "2GiB", "--max-age soon", "90d", "--retain keep=1d", "\"color\""]
        {
            assert!(mistakes.contains(words), "{words} is not in {mistakes}");
        }
        assert!(interval(Some("often")).unwrap_err().contains("--prune-interval often"));
        assert_eq!((interval(None), interval(Some("5s"))), (Ok(INTERVAL), Ok(Duration::from_secs(5))));
    }

    #[test]
    fn sizes_have_the_units_of_disks_and_of_memory() {
        assert_eq!((bytes("12"), bytes("2kB"), bytes("2 KiB")), (Some(12), Some(2000), Some(2048)));
        assert_eq!((bytes(""), bytes("1.5GB"), bytes("99999999TiB")), (None, None, None));
    }
}
