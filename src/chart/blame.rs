//! From a failure to the place in the user's files that caused it.
//!
//! Helm's text says what is wrong, and where only now and then: a line number in it may be off, count in a text that
//! exists nowhere, or name the template when a value is at fault. So the sources are read again, and the text is used
//! for what it is good for. What cannot be known from text is left unknown, or said to be likely: a value that breaks
//! a template, a rendered line, a field that the API server refused need a renderer that knows origins.

mod chart;
mod files;
mod layers;
mod noise;
mod release;
mod scene;
mod schema;
mod set;
mod template;

use std::collections::BTreeMap;

use crate::finding::{Finding, ObjectRef, Place};
use scene::Scene;

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
    let scene = Scene::new(case);
    let mut findings = match outcome {
        Outcome::Helm { step, stderr, .. } => helm(&scene, *step, stderr),
        Outcome::Object { object, field, reason, message } => {
            vec![release::object(&scene, object, field.as_deref(), reason, message)]
        }
        Outcome::Message(message) => vec![release::unknown(&scene, "operation-failed", message.trim())],
    };
    for finding in &mut findings {
        let related = finding.related.iter_mut().map(|related| &mut related.place);
        related.chain(&mut finding.place).for_each(|place| show(&scene, place));
    }
    findings
}

/// Widens what takes no room, such as an empty key, to the word before it.
fn show(scene: &Scene<'_>, place: &mut Place) {
    if let Some(text) = scene.text(&place.file).filter(|_| place.span.is_empty()) {
        place.span = crate::yaml::shown(text, place.span);
    }
}

/// A reader of one family of messages; `None` where the message is of another family.
type Reader = fn(&Scene<'_>, &str) -> Option<Vec<Finding>>;

/// In the order of how certain a message is recognized.
const READERS: &[Reader] =
    &[schema::read, template::read, files::read, set::read, chart::read, release::read];

// Helm's major version is not asked: the wording changed within Helm 3, so the text itself says which it is.
fn helm(scene: &Scene<'_>, step: HelmStep, stderr: &str) -> Vec<Finding> {
    let message = noise::strip(stderr);
    for reader in READERS {
        if let Some(findings) = reader(scene, &message).filter(|findings| !findings.is_empty()) {
            return findings;
        }
    }
    match step {
        // What helm tells after rendering, it was told by the cluster.
        HelmStep::Upgrade => release::refused(scene, &message),
        HelmStep::Template => vec![release::unknown(scene, "helm-failed", &message)],
    }
}

#[cfg(test)]
mod tests;
