//! What the tests of several modules share.

use ktl_fixtures::Mark;

use crate::finding::{Confidence, Finding, Severity};

/// Findings as marks: `error: words`, `likely error: words`, and their related places as `related: words`.
pub(crate) fn marks(findings: &[Finding]) -> Vec<Mark> {
    let mut marks = Vec::new();
    for finding in findings {
        let likely = if finding.confidence == Confidence::Likely { "likely " } else { "" };
        let place = finding.place.as_ref().map(|place| (place.file.clone(), place.span.range()));
        marks.push(Mark { place, text: format!("{likely}{}: {}", word(finding.severity), finding.message) });
        for related in &finding.related {
            let place = Some((related.place.file.clone(), related.place.span.range()));
            marks.push(Mark { place, text: format!("related: {}", related.message) });
        }
    }
    marks
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Information => "information",
        Severity::Hint => "hint",
    }
}
