//! A moment in time, and how Go writes one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment in Unix nanoseconds; 0 is "not yet".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment, by the agent's clock.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }

    /// The moment `by` earlier, not before the epoch.
    #[must_use]
    pub fn earlier(self, by: Duration) -> Self {
        let nanos = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(nanos).max(0))
    }

    /// `2026-11-22T23:04:05.000000006Z`; empty for 0.
    pub fn rfc3339(self) -> String {
        let nanos = self.0;
        if nanos <= 0 {
            return String::new();
        }
        let (days, rest) = (nanos.div_euclid(86_400_000_000_000), nanos.rem_euclid(86_400_000_000_000));
        let (year, month, day) = civil(days);
        let (seconds, fraction) = (rest / 1_000_000_000, rest % 1_000_000_000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:09}Z")
    }
}

/// The date of a day after 1970-01-01, in the proleptic Gregorian calendar. Years are counted from March, so that the
/// leap day is the last of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_go_writes_them() {
        assert_eq!(Timestamp(1_700_000_000_000_000_001).rfc3339(), "2023-11-14T22:13:20.000000001Z");
        assert_eq!(Timestamp(951_782_400_000_000_000).rfc3339(), "2000-02-29T00:00:00.000000000Z");
        assert_eq!(Timestamp(0).rfc3339(), "");
    }
}
