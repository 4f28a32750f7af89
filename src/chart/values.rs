//! Checks of a values file, or of any file that Helm reads as one map.

use crate::finding::{Finding, Place, Severity};
use crate::yaml;

/// What keeps Helm from reading a file: its YAML syntax. Empty when nothing does.
pub fn check(path: &str, text: &str) -> Vec<Finding> {
    let Some(problem) = yaml::problem(text) else { return Vec::new() };
    vec![Finding::at(Place::new(path, problem.span), Severity::Error, "values-syntax", problem.message)]
}
