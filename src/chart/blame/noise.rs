//! What Helm prints around its message.

/// Phrases at the head of a message that say nothing about it.
const HEADS: &[&str] = &["Error: ", "INSTALLATION FAILED: ", "UPGRADE FAILED: ", "ROLLBACK FAILED: "];

/// The message of Helm's last error: log lines, warnings, prefixes and the advice at the end taken off. The text as it is
/// when nothing else is in it.
pub(super) fn strip(stderr: &str) -> String {
    let normal = stderr.replace("\r\n", "\n");
    let text = match normal.rfind("\nError: ") {
        Some(start) => &normal[start + 1..],
        None => &normal,
    };
    let mut lines = text.lines().skip_while(|line| is_log(line) && !line.starts_with("Error: "));
    let Some(first) = lines.next() else { return normal.trim().to_owned() };
    let mut message = first.to_owned();
    for line in lines {
        message.push('\n');
        message.push_str(line);
    }
    let mut message = message.as_str();
    if let Some(advice) = message.find("\n\nUse --debug flag to render out invalid YAML") {
        message = &message[..advice];
    }
    while let Some(rest) = HEADS.iter().find_map(|head| message.strip_prefix(head)) {
        message = rest;
    }
    message.trim_end().to_owned()
}

/// Lines of Helm's and Kubernetes' loggers.
fn is_log(line: &str) -> bool {
    let klog = line.len() > 5
        && matches!(line.as_bytes()[0], b'I' | b'W' | b'E')
        && line.as_bytes()[1..5].iter().all(u8::is_ascii_digit);
    let go_log = line.split_once(".go:").is_some_and(|(file, rest)| {
        file.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            && rest.starts_with(|c: char| c.is_ascii_digit())
    });
    line.is_empty() || line.starts_with("level=") || line.starts_with("WARNING: ") || klog || go_log
}

#[cfg(test)]
mod tests {
    use super::strip;

    #[test]
    fn logs_heads_and_advice_are_taken_off() {
        let text = "coalesce.go:237: warning: skipped\nlevel=WARN msg=\"x\"\nError: INSTALLATION FAILED: bad\n\nUse --debug flag to render out invalid YAML\n";
        assert_eq!(strip(text), "bad");
        assert_eq!(strip("level=ERROR msg=\"a\" error=\"b\"\nError: a: b\nmore\n"), "a: b\nmore");
    }

    #[test]
    fn a_text_without_an_error_stays() {
        assert_eq!(strip("something odd\n"), "something odd");
        assert_eq!(strip("level=WARN msg=only\n"), "level=WARN msg=only");
        assert_eq!(strip(""), "");
    }
}
