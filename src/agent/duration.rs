//! Spans of time as people type and read them: `90d`, `1h30m`, `500ms`.

use std::time::Duration;

/// The units, the longest first, with their milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads numbers with units, one after the other. A lone `0` needs no unit. `None` for anything else.
pub fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut millis: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, behind) = rest.split_at(digits);
        let letters = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(letters);
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        millis = millis.checked_add(number.parse::<u64>().ok()?.checked_mul(*factor)?)?;
        rest = behind;
    }
    (!text.is_empty()).then(|| Duration::from_millis(millis))
}

/// Writes what [`parse`] reads, without the units that are zero.
pub fn words(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut words = Vec::new();
    for (unit, factor) in UNITS {
        if left >= factor {
            words.push(format!("{}{unit}", left / factor));
            left %= factor;
        }
    }
    if words.is_empty() { "0".to_owned() } else { words.concat() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read_back_as_it_was_written() {
        for text in ["0", "90d", "1h30m", "5s", "500ms", "1d2h3m4s5ms"] {
            assert_eq!(parse(text).map(words).as_deref(), Some(text));
        }
        assert_eq!(parse("90m").map(words).as_deref(), Some("1h30m"));
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in ["", "5", "d", "5 d", "-5d", "1.5h", "5w", "99999999999999999999d", "300000000000d"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
