//! What a session was told already, so that nothing is said twice: not when a watch starts over, and not when an
//! agent that was started again looks at the same objects.

use std::collections::{HashMap, HashSet};

use crate::{
    frame::{Body, Fact, Finding, ObjectEvent, ObjectRef, ObjectState, ObjectStatus, Severity},
    kube::pod::Certainty,
};

use super::Cause;

/// The memory of one session's rollout.
#[derive(Debug, Default)]
pub struct Told {
    states: HashMap<Key, State>,
    events: HashSet<(Key, String, String)>,
    causes: HashSet<(Key, String)>,
    /// Findings of an earlier life that name no field; their reason stands in their message.
    recalled: Vec<(Key, String)>,
    headline: Option<String>,
    has_told_logout: bool,
}

type Key = (String, String, String, String);
type State = (i32, String, u32, u32);

impl Told {
    /// Takes note of a fact of an earlier life.
    pub fn recall(&mut self, fact: &Fact) {
        match &fact.body {
            Some(Body::Object(state)) => {
                self.states.insert(key(state.object.as_ref()), value(state));
            }
            Some(Body::Event(event)) => {
                self.is_new_event(event);
            }
            Some(Body::Finding(finding)) if finding.object.is_some() => {
                self.keep_headline(std::slice::from_ref(finding));
                let object = key(finding.object.as_ref());
                if finding.field.is_empty() {
                    self.recalled.push((object, finding.message.clone()));
                } else {
                    self.causes.insert((object, finding.field.clone()));
                }
            }
            _ => {}
        }
    }

    /// Whether this state differs from the last one that was told of the object. That nothing was heard of it yet
    /// is only news where nothing was told before: a watch that starts over hears of everything anew.
    pub fn is_new_state(&mut self, state: &ObjectState) -> bool {
        let new = value(state);
        let is_unheard = new == (ObjectStatus::Pending.into(), String::new(), 0, 0);
        if is_unheard && self.states.contains_key(&key(state.object.as_ref())) {
            return false;
        }
        self.states.insert(key(state.object.as_ref()), new.clone()) != Some(new)
    }

    /// Whether this warning was not told yet; a repeat of it is no news.
    pub fn is_new_event(&mut self, event: &ObjectEvent) -> bool {
        self.events.insert((key(event.object.as_ref()), event.reason.clone(), event.message.clone()))
    }

    /// Whether this story was not told yet.
    pub fn is_new_cause(&mut self, cause: &Cause) -> bool {
        let (object, story) = cause.key();
        let object = key(Some(&object));
        let reason = format!(": {}: ", cause.reason);
        let is_recalled =
            self.recalled.iter().any(|(about, said)| *about == object && said.contains(&reason));
        self.causes.insert((object, story)) && !is_recalled
    }

    /// Whether it was not told yet that the cluster does not take our credentials: every watch hears of it.
    pub fn is_first_logout(&mut self) -> bool {
        !std::mem::replace(&mut self.has_told_logout, true)
    }

    /// Keeps the first sentence that told of a failure: what it was about may be gone when it is needed.
    pub fn keep_headline(&mut self, findings: &[Finding]) {
        let first = findings.iter().find(|finding| finding.severity() == Severity::Error);
        if self.headline.is_none() {
            self.headline = first.and_then(|finding| finding.message.lines().next()).map(str::to_owned);
        }
    }

    /// The first sentence that told of a failure.
    pub fn headline(&self) -> Option<&str> {
        self.headline.as_deref()
    }

    /// Which of these causes are worth telling now: new ones, but a crash that may be the only one is waited for.
    pub fn news<'a>(&mut self, causes: &'a [Cause]) -> Vec<&'a Cause> {
        let is_ripe = |cause: &&Cause| cause.reason != "Error" || cause.certainty == Certainty::Certain;
        causes.iter().filter(is_ripe).filter(|cause| self.is_new_cause(cause)).collect()
    }
}

fn key(object: Option<&ObjectRef>) -> Key {
    let ObjectRef { api_version, kind, namespace, name } = object.cloned().unwrap_or_default();
    (api_version, kind, namespace, name)
}

fn value(state: &ObjectState) -> State {
    (state.status, state.reason.clone(), state.ready, state.desired)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> ObjectRef {
        ObjectRef {
            kind: "Deployment".into(),
            namespace: "shop".into(),
            name: "web".into(),
            ..ObjectRef::default()
        }
    }

    fn cause(field: &str, reason: &str) -> Cause {
        let certainty = Certainty::Failing;
        let (field, reason, message) = (field.into(), reason.into(), "m".into());
        Cause { object: object(), field, reason, message, certainty, crashed: None }
    }

    fn finding(field: &str, message: &str) -> Fact {
        let severity = Severity::Error.into();
        let (object, field, message) = (Some(object()), field.into(), message.into());
        let finding = Finding { severity, object, field, message, ..Finding::default() };
        Fact { body: Some(Body::Finding(finding)) }
    }

    #[test]
    fn a_story_is_told_once() {
        let mut told = Told::default();
        assert!(told.is_new_cause(&cause("spec.image", "ErrImagePull")));
        assert!(!told.is_new_cause(&cause("spec.image", "ImagePullBackOff")));
        assert!(told.is_new_cause(&cause("", "FailedCreate")));
    }

    #[test]
    fn an_earlier_life_is_remembered() {
        let mut told = Told::default();
        told.recall(&finding("spec.image", "Deployment shop/web spec.image: ErrImagePull: no"));
        told.recall(&finding("", "Deployment shop/web: FailedCreate: exceeded quota"));
        assert!(!told.is_new_cause(&cause("spec.image", "ImagePullBackOff")));
        assert!(!told.is_new_cause(&cause("", "FailedCreate")));
        assert!(told.is_new_cause(&cause("", "Unhealthy")));
        assert_eq!(told.headline(), Some("Deployment shop/web spec.image: ErrImagePull: no"));
        let state = ObjectState { object: Some(object()), ready: 1, ..ObjectState::default() };
        told.recall(&Fact { body: Some(Body::Object(state.clone())) });
        assert!(!told.is_new_state(&state));
        assert!(told.is_new_state(&ObjectState { ready: 2, ..state.clone() }));
        let unheard = ObjectState { status: ObjectStatus::Pending.into(), ready: 0, ..state };
        assert!(!told.is_new_state(&unheard), "a watch that starts over is no news");
        assert!(Told::default().is_new_state(&unheard));
    }

    #[test]
    fn a_single_crash_is_no_news_yet() {
        let mut told = Told::default();
        let (crash, back_off) =
            (cause("spec.containers[0]", "Error"), cause("spec.containers[0]", "CrashLoopBackOff"));
        assert!(told.news(std::slice::from_ref(&crash)).is_empty());
        assert_eq!(told.news(&[crash, back_off]).len(), 1);
    }
}
