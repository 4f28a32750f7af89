//! Durations and places in words.

use crate::frame::Place;

/// Nanoseconds as Go prints them, cut to tenths of a second: `0s`, `100ms`, `2.1s`, `1m2.5s`, `1h0m3s`.
pub(super) fn go_duration(nanos: i64) -> String {
    let tenths = nanos.max(0) / 100_000_000;
    let (seconds, tenth) = (tenths / 10, tenths % 10);
    if seconds == 0 {
        return if tenth == 0 { "0s".to_owned() } else { format!("{tenth}00ms") };
    }
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = if tenth == 0 { String::new() } else { format!(".{tenth}") };
    match (hours, minutes) {
        (0, 0) => format!("{seconds}{fraction}s"),
        (0, _) => format!("{minutes}m{seconds}{fraction}s"),
        _ => format!("{hours}h{minutes}m{seconds}{fraction}s"),
    }
}

/// `values.yaml:3:7: `, or nothing where no place is known.
pub(super) fn place(place: Option<&Place>) -> String {
    place.map(|place| format!("{}:{}:{}: ", place.file, place.line, place.column)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (millis, text) in [
            (0, "0s"),
            (99, "0s"),
            (150, "100ms"),
            (2100, "2.1s"),
            (60_000, "1m0s"),
            (62_540, "1m2.5s"),
            (3_603_000, "1h0m3s"),
        ] {
            assert_eq!(go_duration(millis * 1_000_000), text, "{millis}");
        }
        assert_eq!(go_duration(-5), "0s");
    }
}
