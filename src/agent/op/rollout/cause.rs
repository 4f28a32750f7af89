//! Why an object of the release does not become ready, in the words that a user needs.

use crate::{
    frame::{ObjectRef, ObjectStatus},
    kube::{
        logs::Life,
        pod::{Certainty, Trouble},
        readiness::Health,
    },
};

/// How many lines of a container are quoted in its cause.
const QUOTED: usize = 5;

/// A cause, with the object of the release that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The object of the release, not the pod behind it.
    pub object: ObjectRef,
    /// The field at fault in that object; empty where none is known.
    pub field: String,
    /// One word of Kubernetes.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// How sure it is that this ends badly.
    pub certainty: Certainty,
    /// The container whose last words may say more.
    pub crashed: Option<Life>,
}

impl Cause {
    /// The trouble of a pod, told of the object that owns it.
    pub fn of_pod(object: &ObjectRef, pod: &ObjectRef, trouble: Trouble) -> Self {
        let prefix = pod_spec_of(&object.kind);
        let field =
            if trouble.field.is_empty() { String::new() } else { format!("{prefix}.{}", trouble.field) };
        let Trouble { reason, message, certainty, crashed, .. } = trouble;
        let crashed = crashed.map(|crashed| Life {
            namespace: pod.namespace.clone(),
            pod: pod.name.clone(),
            container: crashed.container,
            restarts: crashed.restarts,
            is_over: crashed.is_over,
        });
        Self { object: object.clone(), field, reason, message, certainty, crashed }
    }

    /// What the object says of itself once it has failed.
    pub fn of_health(object: &ObjectRef, health: &Health) -> Option<Self> {
        if health.status != ObjectStatus::Failed {
            return None;
        }
        let field = match health.reason.as_str() {
            "ProgressDeadlineExceeded" => "spec.progressDeadlineSeconds",
            "BackoffLimitExceeded" => "spec.backoffLimit",
            "DeadlineExceeded" => "spec.activeDeadlineSeconds",
            _ => "",
        };
        let certainty = Certainty::Certain;
        let (reason, message) = (health.reason.clone(), health.message.clone());
        let field = field.to_owned();
        Some(Self { object: object.clone(), field, reason, message, certainty, crashed: None })
    }

    /// A warning that Kubernetes gave about the object or something behind it; `None` for one that passes.
    pub fn of_event(object: &ObjectRef, reason: &str, message: &str, count: u32) -> Option<Self> {
        let spec = pod_spec_of(&object.kind);
        let (field, certainty) = match reason {
            // A quota, an admission policy or a missing service account: nothing comes up until somebody acts.
            "FailedCreate" if count >= 3 => (String::new(), Certainty::Certain),
            "FailedCreate" => (String::new(), Certainty::Failing),
            "FailedMount" | "FailedAttachVolume" if count >= 2 => {
                (format!("{spec}.volumes"), Certainty::Failing)
            }
            "Unhealthy" if count >= 3 => (String::new(), Certainty::MayPass),
            _ => return None,
        };
        let (reason, message) = (reason.to_owned(), message.trim().to_owned());
        Some(Self { object: object.clone(), field, reason, message, certainty, crashed: None })
    }

    /// An object that is not ready when there is no time left, and nobody says why.
    pub fn of_silence(object: &ObjectRef, health: &Health, seconds: u64) -> Self {
        let state = match health.message.as_str() {
            "" if health.desired > 0 => format!("{} of {} ready", health.ready, health.desired),
            "" => "nothing was heard of it".to_owned(),
            message => message.to_owned(),
        };
        let message = format!("not ready after {seconds} s: {state}");
        let reason = if health.reason.is_empty() { "Timeout".to_owned() } else { health.reason.clone() };
        let (object, field, certainty) = (object.clone(), String::new(), Certainty::Failing);
        Self { object, field, reason, message, certainty, crashed: None }
    }

    /// Adds what the container said last; the whole of it is in the log.
    pub fn add_last_words(&mut self, lines: &[String]) {
        let said: Vec<&str> =
            lines.iter().map(String::as_str).filter(|line| !line.trim().is_empty()).collect();
        let last = &said[said.len().saturating_sub(QUOTED)..];
        if !last.is_empty() {
            self.message.push_str("\nit said last:");
            for line in last {
                self.message.extend(["\n  ", line]);
            }
        }
    }

    /// Two causes with one key are one story that goes on: a pull that fails, then backs off.
    pub fn key(&self) -> (ObjectRef, String) {
        let story = if self.field.is_empty() { &self.reason } else { &self.field };
        (self.object.clone(), story.clone())
    }
}

fn pod_spec_of(kind: &str) -> &'static str {
    if kind == "Pod" { "spec" } else { "spec.template.spec" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str) -> ObjectRef {
        ObjectRef { kind: kind.into(), name: "web".into(), ..ObjectRef::default() }
    }

    #[test]
    fn a_pull_that_fails_and_then_backs_off_is_one_story() {
        let trouble = |reason: &str| Trouble {
            reason: reason.into(),
            message: String::new(),
            field: "containers[0].image".into(),
            certainty: Certainty::Failing,
            crashed: None,
        };
        let (deployment, pod) = (object("Deployment"), object("Pod"));
        let first = Cause::of_pod(&deployment, &pod, trouble("ErrImagePull"));
        assert_eq!(first.field, "spec.template.spec.containers[0].image");
        assert_eq!(first.key(), Cause::of_pod(&deployment, &pod, trouble("ImagePullBackOff")).key());
        assert_eq!(Cause::of_pod(&pod, &pod, trouble("x")).field, "spec.containers[0].image");
    }

    #[test]
    fn the_last_words_of_a_container_stand_below_the_cause() {
        let mut cause = Cause::of_silence(&object("Pod"), &Health::awaited(), 1);
        let before = cause.message.clone();
        cause.add_last_words(&[String::new()]);
        assert_eq!(cause.message, before);
        let lines: Vec<String> =
            (0..7).map(|number| format!("line {number}")).chain([String::new()]).collect();
        cause.add_last_words(&lines);
        let expected = "\nit said last:\n  line 2\n  line 3\n  line 4\n  line 5\n  line 6";
        assert_eq!(cause.message, before + expected);
    }

    #[test]
    fn warnings_count_when_they_come_again() {
        let of_event =
            |reason, count| Cause::of_event(&object("Deployment"), reason, "m", count).map(|it| it.certainty);
        assert_eq!(of_event("FailedCreate", 1), Some(Certainty::Failing));
        assert_eq!(of_event("FailedCreate", 3), Some(Certainty::Certain));
        assert_eq!(of_event("FailedMount", 1), None);
        assert_eq!(of_event("Unhealthy", 2), None);
        assert_eq!(of_event("Unhealthy", 3), Some(Certainty::MayPass));
        assert_eq!(of_event("Pulling", 9), None);
    }

    #[test]
    fn silence_is_told_with_what_is_known() {
        let health = Health { ready: 0, desired: 2, ..Health::awaited() };
        let cause = Cause::of_silence(&object("Deployment"), &health, 300);
        assert_eq!(
            (cause.reason.as_str(), cause.message.as_str()),
            ("Timeout", "not ready after 300 s: 0 of 2 ready")
        );
    }
}
