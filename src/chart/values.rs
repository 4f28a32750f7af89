//! Checks of a values file, or of any file that Helm reads as one map.

mod shape;

use crate::finding::{Edit, Finding, Place, Severity};
use crate::text::Span;
use crate::yaml::{self, Tree};

/// The longest text that is checked, in bytes. Helm itself refuses files of a chart above 5 MiB.
pub const MAX_BYTES: usize = 16 << 20;

/// What keeps Helm from reading a file, and what it would read otherwise than it looks: YAML syntax, a top that is no
/// map, keys that are no text, unknown aliases; keys given twice and a second document as warnings.
pub fn check(path: &str, text: &str) -> Vec<Finding> {
    if text.len() > MAX_BYTES {
        let message = format!(
            "the file has {} bytes and is not checked: ktl checks YAML up to {MAX_BYTES} bytes; split it",
            text.len()
        );
        let span = Span::new(0, text.find('\n').unwrap_or(text.len()).min(80));
        let span = (0..=span.end)
            .rev()
            .find(|end| text.is_char_boundary(*end))
            .map_or(span, |end| Span::new(0, end));
        return vec![Finding::at(Place::new(path, span), Severity::Information, "values-too-large", message)];
    }
    let scan = yaml::scan(text);
    if let Some(problem) = &scan.problem {
        return vec![syntax(path, "values-syntax", problem)];
    }
    let mut findings = shape::check(path, text, &Tree::parse(text));
    if let Some(span) = scan.too_deep {
        let message =
            format!("collections are nested more than {} deep; nothing below is checked", yaml::MAX_DEPTH);
        findings.push(Finding::at(Place::new(path, span), Severity::Information, "values-too-deep", message));
    }
    if let Some(span) = scan.second_document {
        let message = "helm reads only the first document of this file and ignores everything from here on";
        findings.push(Finding::at(
            Place::new(path, span),
            Severity::Warning,
            "values-second-document",
            message,
        ));
    }
    findings
}

/// Every `secret://` value of a values file. They are not supported yet: helm would deploy the reference itself as the
/// value, so each of these findings must stop an operation that uses the file.
pub fn secret_references(path: &str, text: &str) -> Vec<Finding> {
    if !text.contains("secret://") || text.len() > MAX_BYTES {
        return Vec::new();
    }
    shape::secret_references(path, text, &Tree::parse(text))
}

/// A syntax fault as a finding.
pub(crate) fn syntax(path: &str, code: &'static str, problem: &yaml::Problem) -> Finding {
    let message = match problem.hint {
        Some(hint) => format!("{}: {hint}", problem.words),
        None => problem.words.to_owned(),
    };
    let mut finding = Finding::at(Place::new(path, problem.span), Severity::Error, code, message);
    if let Some((span, why)) = problem.related {
        finding = finding.with_related(Place::new(path, span), why);
    }
    if let Some((title, span, new_text)) = &problem.fix {
        let edit = Edit { place: Place::new(path, *span), new_text: new_text.clone() };
        finding = finding.with_fix(*title, vec![edit]);
    }
    finding
}

#[cfg(test)]
mod tests;
