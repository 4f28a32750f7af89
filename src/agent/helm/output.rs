//! What a line of helm's output means.

/// How loud a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Helm tells what it does.
    Info,
    /// Worth a look.
    Warn,
    /// It failed because of this.
    Error,
}

/// Beginnings of lines on standard error and what they say. The first that fits counts.
const BEGINNINGS: [(&str, Level); 7] = [
    ("Error: ", Level::Error),
    ("level=ERROR", Level::Error),
    ("WARNING: ", Level::Warn),
    ("Warning: ", Level::Warn),
    ("warning: ", Level::Warn),
    ("level=WARN", Level::Warn),
    ("level=INFO", Level::Info),
];

/// The level of a line. Standard output is what was asked for, so it is never a warning.
pub fn level_of(is_stderr: bool, text: &str) -> Level {
    if !is_stderr {
        return Level::Info;
    }
    // Helm 4 puts the time before the level, klog a letter before the date.
    let text =
        if text.starts_with("time=") { text.split_once(' ').map_or(text, |(_, rest)| rest) } else { text };
    let level = BEGINNINGS.iter().find(|(beginning, _)| text.starts_with(beginning)).map(|(_, level)| *level);
    level.or_else(|| klog_level(text)).unwrap_or(Level::Info)
}

/// `W1122 07:11:15.905081   17380 warnings.go:70] …`.
fn klog_level(text: &str) -> Option<Level> {
    let mut bytes = text.bytes();
    let level = match bytes.next()? {
        b'W' => Level::Warn,
        b'E' | b'F' => Level::Error,
        _ => return None,
    };
    let is_date = bytes.by_ref().take(4).filter(u8::is_ascii_digit).count() == 4;
    (is_date && bytes.next() == Some(b' ')).then_some(level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helm_says_how_bad_it_is_in_several_ways() {
        for (text, level) in [
            ("Error: UPGRADE FAILED: no", Level::Error),
            ("time=2026-11-22T10:00:00Z level=WARN msg=\"upgrade failed\"", Level::Warn),
            ("level=INFO msg=x", Level::Info),
            ("W1122 07:11:15.905081   17380 warnings.go:70] unknown field", Level::Warn),
            ("E1122 07:11:15.905081   17380 reflector.go:205] failed", Level::Error),
            ("Everything is fine", Level::Info),
            ("W", Level::Info),
            ("coalesce.go:237: warning: skipped value", Level::Info),
            ("", Level::Info),
        ] {
            assert_eq!(level_of(true, text), level, "{text}");
        }
        assert_eq!(level_of(false, "Error: in the notes of a chart"), Level::Info);
    }
}
