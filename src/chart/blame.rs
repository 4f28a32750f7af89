//! From a failure to the place in the user's files that caused it.

use std::collections::BTreeMap;

use crate::finding::{Confidence, Finding, ObjectRef, Place, Severity};

/// What took part in an operation that failed.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// Every source by its path (relative, with `/`).
    pub sources: &'a BTreeMap<String, String>,
    /// The chart: the path of its directory, or a reference such as `oci://…`, as far as the sources know it.
    pub chart: &'a str,
    /// The values files, low to high.
    pub values: &'a [String],
    /// The path of the `.ktl.yaml` that names the release.
    pub config_path: Option<&'a str>,
    /// The release's name.
    pub release: &'a str,
}

/// How an operation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Helm said no.
    Helm {
        /// In which step.
        step: HelmStep,
        /// Helm's major version, 3 or 4.
        major: u32,
        /// What it printed, unchanged.
        stderr: String,
    },
    /// The cluster refused an object, or an object does not come up.
    Object {
        /// The object.
        object: ObjectRef,
        /// The field at fault as the API names it: `spec.template.spec.containers[0].image`.
        field: Option<String>,
        /// One word: `Invalid`, `Forbidden`, `ImagePullBackOff`, ….
        reason: String,
        /// The sentence.
        message: String,
    },
    /// Anything else, in words.
    Message(String),
}

/// What helm was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelmStep {
    /// `helm template`.
    Template,
    /// `helm upgrade --install`.
    Upgrade,
}

/// The findings of a failure: one at least. A place that is not known is `None`, never a guess.
pub fn blame(case: &Case<'_>, outcome: &Outcome) -> Vec<Finding> {
    let (code, message) = match outcome {
        Outcome::Helm { stderr, .. } => ("helm", stderr.trim().to_owned()),
        Outcome::Object { message, .. } => ("object", message.clone()),
        Outcome::Message(message) => ("operation", message.clone()),
    };
    let mut finding = Finding::unplaced(Severity::Error, code, message);
    if let Outcome::Object { object, field, .. } = outcome {
        finding.object = Some(object.clone());
        finding.field.clone_from(field);
    }
    if let Some(place) = release_place(case) {
        finding.place = Some(place);
        finding.confidence = Confidence::Likely;
    }
    vec![finding]
}

fn release_place(case: &Case<'_>) -> Option<Place> {
    if let Some(path) = case.config_path {
        let config = crate::config::parse(path, case.sources.get(path)?).config;
        let release = config.releases.into_iter().find(|release| release.name.value == case.release)?;
        return Some(Place::new(path, release.name.span));
    }
    let path = format!("{}/Chart.yaml", case.chart);
    let chart = crate::chart_file::parse(&path, case.sources.get(&path)?);
    Some(Place::new(path, chart.name?.span))
}
