//! Numbers with their limits.

use std::fmt;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// A measured number and what it may be at most.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) what: &'static str,
    pub(super) unit: &'static str,
    pub(super) value: f64,
    pub(super) limit: f64,
    /// How many samples the value stands for.
    pub(super) samples: usize,
}

impl Measured {
    /// A percentile of times, in milliseconds.
    pub(super) fn time(what: &'static str, percent: f64, times: Vec<Duration>, limit: f64) -> Self {
        let samples = times.len();
        let value = percentile(times, percent).as_secs_f64() * 1000.0;
        Self { what, unit: "ms", value, limit, samples }
    }

    /// The resident memory of a process, in megabytes.
    pub(super) fn memory(what: &'static str, pid: u32, limit: f64) -> Result<Self> {
        let path = format!("/proc/{pid}/status");
        let status =
            fs::read_to_string(&path).with_context(|| format!("the process has ended: no {path}"))?;
        let bytes = resident(&status).with_context(|| format!("{path} has no VmRSS"))?;
        #[allow(clippy::cast_precision_loss)] // memory of a process is far below 2^52 bytes
        let value = bytes as f64 / 1e6;
        Ok(Self { what, unit: "MB", value, limit, samples: 1 })
    }

    pub(super) fn holds(&self) -> bool {
        self.value <= self.limit
    }

    pub(super) fn to_json(&self) -> Value {
        let Self { what, unit, value, limit, samples } = self;
        json!({"what": what, "unit": unit, "value": value, "limit": limit, "samples": samples, "ok": self.holds()})
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, unit, value, limit, samples } = self;
        let verdict = if self.holds() { "ok  " } else { "OVER" };
        write!(f, "{verdict} {what}: {value:.2} {unit} (limit {limit} {unit}, {samples} samples)")
    }
}

/// The value that `percent` of all are at or below. Zero for no times.
fn percentile(mut times: Vec<Duration>, percent: f64) -> Duration {
    times.sort_unstable();
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let rank = (times.len() as f64 * percent / 100.0).ceil() as usize;
    times.get(rank.clamp(1, times.len().max(1)) - 1).copied().unwrap_or_default()
}

/// The bytes of `VmRSS` in the text of `/proc/PID/status`.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let times: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(times.clone(), 50.0), Duration::from_millis(100));
        assert_eq!(percentile(times.clone(), 99.0), Duration::from_millis(198));
        assert_eq!(percentile(times, 100.0), Duration::from_millis(200));
        assert_eq!(percentile(vec![Duration::from_millis(7)], 99.0), Duration::from_millis(7));
        assert_eq!(percentile(Vec::new(), 99.0), Duration::ZERO);
    }

    #[test]
    fn resident_memory_is_read_in_bytes() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t   1024 kB\n"), Some(1_048_576));
        assert_eq!(resident("Name:\tx\n"), None);
    }

    #[test]
    fn a_number_at_its_limit_holds_and_one_above_does_not() {
        let at = Measured { what: "x", unit: "ms", value: 15.0, limit: 15.0, samples: 1 };
        assert!(at.holds());
        assert!(!Measured { value: 15.1, ..at }.holds());
    }
}
