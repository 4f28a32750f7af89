//! The state of a rollout: pure. News in, states and causes out.
//!
//! A workload that existed before still has the pods of its last revision, and their troubles are not ours. Its pods
//! count only when the workload is *current*: new, changed since the watch began, equal to what was rendered, or
//! after helm is done. For a Deployment only the pods of its newest `ReplicaSet` count.

mod current;

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use self::current::{is_newest, is_part};
use super::{Cause, Seen};
use crate::{
    frame::{ObjectEvent, ObjectRef, ObjectState, ObjectStatus},
    kube::{
        kinds,
        pod::{Certainty, Trouble, trouble},
        readiness::{self, Health},
    },
    op::rendered::{Object, Rendered},
};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::{ResourceExt as _, core::DynamicObject};

/// How long a pod may fit nowhere before it is said: volumes bind and nodes come up in this time.
const MAY_PASS: Duration = Duration::from_secs(5);

/// Where a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Not ready, not failed.
    Going,
    /// Every object is ready, or cannot be watched.
    Ready,
    /// At least one object says itself that it failed.
    Failed,
}

/// All objects of a release with what is behind them.
pub struct Board {
    targets: Vec<Target>,
    behind: BTreeMap<(String, String, String), Behind>,
    events: Vec<(ObjectEvent, Option<usize>)>,
    since: HashMap<(usize, String), Instant>,
    is_helm_done: bool,
    denied: Vec<(String, String)>,
    is_logged_out: bool,
}

/// An object of the release, or a hook.
struct Target {
    object: Object,
    is_hook: bool,
    live: Option<DynamicObject>,
    /// The generation before this operation; `None` for an object that was not there.
    before: Option<i64>,
    is_denied: bool,
    /// It was there in this operation and is not any more.
    is_gone: bool,
}

/// A pod or a `ReplicaSet`.
struct Behind {
    live: DynamicObject,
    pod: Option<Pod>,
}

impl Board {
    /// The objects of a release, none of them seen yet.
    pub fn new(rendered: &Rendered) -> Self {
        let target = |is_hook: bool| {
            move |object: &Object| Target {
                object: object.clone(),
                is_hook,
                live: None,
                before: None,
                is_denied: false,
                is_gone: false,
            }
        };
        let hooks = rendered.hooks.iter().filter(|hook| kinds::becomes_ready(&hook.name)).map(target(true));
        let targets = rendered.objects.iter().map(target(false)).chain(hooks).collect();
        let (behind, events, since) = (BTreeMap::new(), Vec::new(), HashMap::new());
        let (is_helm_done, denied, is_logged_out) = (false, Vec::new(), false);
        Self { targets, behind, events, since, is_helm_done, denied, is_logged_out }
    }

    /// Everything that is to be watched.
    pub fn objects(&self) -> impl Iterator<Item = ObjectRef> + '_ {
        self.targets.iter().map(|target| target.object.name.clone())
    }

    /// Helm ended well: what it applied exists, and every pod counts.
    pub fn helm_is_done(&mut self) {
        self.is_helm_done = true;
    }

    /// Takes a piece of news.
    pub fn see(&mut self, seen: Seen) {
        match seen {
            Seen::Object(object, is_first) => self.see_object(*object, is_first),
            Seen::Gone(object) => self.see_gone(&object),
            Seen::Denied { group, kind, namespace, resource } => {
                self.denied.push((resource, namespace.clone()));
                for target in &mut self.targets {
                    let name = &target.object.name;
                    let is_kind = name.kind == kind && kinds::group_of(&name.api_version) == group;
                    target.is_denied |= is_kind && name.namespace == namespace;
                }
            }
            Seen::LoggedOut => self.is_logged_out = true,
            Seen::Tick => {}
        }
    }

    fn see_object(&mut self, object: DynamicObject, is_first: bool) {
        let kind = object.types.as_ref().map_or("", |types| types.kind.as_str());
        if kind == "Event" {
            // Warnings from before this operation are an old story.
            if !is_first {
                self.see_event(&object);
            }
            return;
        }
        if let Some(target) = self.target_of(&object) {
            let target = &mut self.targets[target];
            if is_first {
                target.before = Some(object.metadata.generation.unwrap_or(0));
            }
            (target.live, target.is_gone) = (Some(object.clone()), false);
        }
        if matches!(kind, "Pod" | "ReplicaSet") {
            let pod = if kind == "Pod" { readiness::typed(&object) } else { None };
            self.behind.insert(key_of(&object), Behind { live: object, pod });
        }
    }

    fn see_gone(&mut self, object: &DynamicObject) {
        if let Some(target) = self.target_of(object) {
            let target = &mut self.targets[target];
            (target.live, target.is_gone) = (None, true);
        }
        self.behind.remove(&key_of(object));
    }

    fn see_event(&mut self, object: &DynamicObject) {
        let Some(event) = readiness::typed::<Event>(object) else { return };
        let about = &event.involved_object;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let about = ObjectRef {
            api_version: text(&about.api_version),
            kind: text(&about.kind),
            namespace: text(&about.namespace),
            name: text(&about.name),
        };
        let series = event.series.as_ref().and_then(|series| series.count);
        let count = u32::try_from(series.or(event.count).unwrap_or(1)).unwrap_or(1);
        let Some(owner) = self.owner_of(&about) else { return };
        let (reason, message) = (text(&event.reason), text(&event.message));
        let event = ObjectEvent { object: Some(about), warning: true, reason, message, count };
        let is_same = |(old, _): &&mut (ObjectEvent, Option<usize>)| {
            old.object == event.object && old.reason == event.reason && old.message == event.message
        };
        match self.events.iter_mut().find(is_same) {
            Some((old, _)) => old.count = old.count.max(event.count),
            None => self.events.push((event, Some(owner))),
        }
    }

    /// The state of every object, then of every pod behind one that counts.
    pub fn states(&self) -> Vec<ObjectState> {
        let objects = self.targets.iter().filter(|target| !target.is_hook);
        let objects = objects.map(|target| state(target.object.name.clone(), self.health(target), None));
        let pods = self.pods().map(|(owner, behind, pod)| {
            let mut health = readiness::pod(pod);
            if let Some(trouble) = trouble(pod) {
                (health.reason, health.message) = (trouble.reason, trouble.message);
            }
            state(name_of(&behind.live), health, Some(self.targets[owner].object.name.clone()))
        });
        objects.chain(pods).collect()
    }

    /// The warnings that were given since the watch began.
    pub fn warnings(&self) -> impl Iterator<Item = &ObjectEvent> {
        self.events.iter().map(|(event, _)| event)
    }

    /// What was refused to be watched: resource and namespace.
    pub fn take_denied(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.denied)
    }

    /// Whether the cluster took our credentials away: what is on the board stays as it is.
    pub fn is_logged_out(&self) -> bool {
        self.is_logged_out
    }

    /// Why objects do not become ready, the surest first; an object that is ready has no causes.
    pub fn causes(&mut self, now: Instant) -> Vec<Cause> {
        let mut found: Vec<(usize, Cause)> = self.pod_causes(now);
        for (event, owner) in &self.events {
            let Some(owner) = *owner else { continue };
            let target = &self.targets[owner];
            let count = event.count;
            let cause = Cause::of_event(&target.object.name, &event.reason, &event.message, count);
            found.extend(cause.map(|cause| (owner, cause)));
        }
        for (index, target) in self.targets.iter().enumerate().filter(|(_, target)| self.is_current(target)) {
            let has_cause =
                found.iter().any(|(owner, cause)| *owner == index && cause.certainty > Certainty::MayPass);
            let own = Cause::of_health(&target.object.name, &self.health(target)).filter(|_| !has_cause);
            found.extend(own.map(|cause| (index, cause)));
        }
        found.retain(|(owner, _)| self.health(&self.targets[*owner]).status != ObjectStatus::Ready);
        found.sort_by_key(|(_, cause)| std::cmp::Reverse(cause.certainty));
        found.into_iter().map(|(_, cause)| cause).collect()
    }

    fn pod_causes(&mut self, now: Instant) -> Vec<(usize, Cause)> {
        let troubled = |(owner, behind, pod): (usize, &Behind, &Pod)| {
            Some((owner, name_of(&behind.live), trouble(pod)?))
        };
        let troubles: Vec<(usize, ObjectRef, Trouble)> = self.pods().filter_map(troubled).collect();
        let is_there = |(owner, reason): &(usize, String)| {
            troubles.iter().any(|(index, _, trouble)| index == owner && trouble.reason == *reason)
        };
        self.since.retain(|key, _| is_there(key));
        let mut found = Vec::new();
        for (owner, pod, trouble) in troubles {
            let since = *self.since.entry((owner, trouble.reason.clone())).or_insert(now);
            if trouble.certainty == Certainty::MayPass && now.duration_since(since) < MAY_PASS {
                continue;
            }
            found.push((owner, Cause::of_pod(&self.targets[owner].object.name, &pod, trouble)));
        }
        found
    }

    /// Whether every pod that counts is ready, too: workloads and their pods are heard of on different ways.
    pub fn pods_are_ready(&self) -> bool {
        self.pods().all(|(_, _, pod)| readiness::pod(pod).status == ObjectStatus::Ready)
    }

    /// Where the rollout stands. Hooks are helm's.
    pub fn progress(&self) -> Progress {
        let mut progress = Progress::Ready;
        for target in self.targets.iter().filter(|target| !target.is_hook) {
            match self.health(target).status {
                ObjectStatus::Failed => return Progress::Failed,
                ObjectStatus::Ready | ObjectStatus::Unknown => {}
                _ => progress = Progress::Going,
            }
        }
        progress
    }

    /// How many objects nobody knows of whether they are ready. They do not hold a rollout up.
    pub fn unseen(&self) -> usize {
        let objects = self.targets.iter().filter(|target| !target.is_hook);
        objects.filter(|target| self.health(target).status == ObjectStatus::Unknown).count()
    }

    /// The objects that are not ready, with how they are doing.
    pub fn not_ready(&self) -> Vec<(ObjectRef, Health)> {
        let objects = self.targets.iter().filter(|target| !target.is_hook);
        let all = objects.map(|target| (target.object.name.clone(), self.health(target)));
        all.filter(|(_, health)| !matches!(health.status, ObjectStatus::Ready | ObjectStatus::Unknown))
            .collect()
    }

    /// The objects that exist and are not ready: what an operation that stops here leaves behind.
    pub fn left_behind(&self) -> Vec<ObjectRef> {
        let existing = self.targets.iter().filter(|target| !target.is_hook && target.live.is_some());
        let unready = existing.filter(|target| self.health(target).status != ObjectStatus::Ready);
        unready.map(|target| target.object.name.clone()).collect()
    }

    fn health(&self, target: &Target) -> Health {
        if target.is_denied {
            let status = ObjectStatus::Unknown;
            return Health { status, reason: "Forbidden".to_owned(), ..Health::awaited() };
        }
        match &target.live {
            Some(_) if !kinds::becomes_ready(&target.object.name) => Health::exists(),
            Some(live) if self.is_current(target) => readiness::of(live),
            None if target.is_gone => Health { status: ObjectStatus::Gone, ..Health::awaited() },
            None if self.is_helm_done && !kinds::becomes_ready(&target.object.name) => Health::exists(),
            _ => Health::awaited(),
        }
    }

    fn is_current(&self, target: &Target) -> bool {
        let Some(live) = &target.live else { return false };
        let is_changed = target.before.is_none_or(|before| live.metadata.generation.unwrap_or(0) > before);
        self.is_helm_done || is_changed || is_part(&target.object.body["spec"], &live.data["spec"])
    }

    /// The pods that count, each with the target it belongs to.
    fn pods(&self) -> impl Iterator<Item = (usize, &Behind, &Pod)> {
        self.behind.values().filter_map(|behind| {
            let pod = behind.pod.as_ref()?;
            let (owner, set) = self.owner_of_live(&behind.live)?;
            let target = &self.targets[owner];
            let is_itself = target.object.name.kind == "Pod";
            let counts =
                !is_itself && self.is_current(target) && is_newest(target.live.as_ref(), set, &behind.live);
            counts.then_some((owner, behind, pod))
        })
    }

    /// The target behind an object that was named: itself, or the one that owns it.
    fn owner_of(&self, about: &ObjectRef) -> Option<usize> {
        let is_same = |target: &Target| {
            let name = &target.object.name;
            name.kind == about.kind && name.name == about.name && name.namespace == about.namespace
        };
        self.targets.iter().position(is_same).or_else(|| {
            let key = (about.kind.clone(), about.namespace.clone(), about.name.clone());
            self.owner_of_live(&self.behind.get(&key)?.live).map(|(owner, _)| owner)
        })
    }

    /// The target that owns a pod or a `ReplicaSet`, and the `ReplicaSet` between them where there is one.
    fn owner_of_live<'a>(&'a self, object: &'a DynamicObject) -> Option<(usize, Option<&'a DynamicObject>)> {
        if let Some(target) = self.target_of(object) {
            return Some((target, None));
        }
        let owner = object.owner_references().iter().find(|owner| owner.controller == Some(true))?;
        let namespace = object.namespace().unwrap_or_default();
        let is_owner = |target: &Target| {
            let name = &target.object.name;
            name.kind == owner.kind && name.name == owner.name && name.namespace == namespace
        };
        if let Some(target) = self.targets.iter().position(is_owner) {
            let is_set = object.types.as_ref().is_some_and(|types| types.kind == "ReplicaSet");
            return Some((target, is_set.then_some(object)));
        }
        let key = (owner.kind.clone(), namespace, owner.name.clone());
        let between = &self.behind.get(&key).filter(|_| owner.kind == "ReplicaSet")?.live;
        self.owner_of_live(between).map(|(target, _)| (target, Some(between)))
    }

    fn target_of(&self, object: &DynamicObject) -> Option<usize> {
        let name = name_of(object);
        let group = kinds::group_of(&name.api_version);
        self.targets.iter().position(|target| {
            let own = &target.object.name;
            own.kind == name.kind
                && own.name == name.name
                && own.namespace == name.namespace
                && kinds::group_of(&own.api_version) == group
        })
    }
}

fn state(object: ObjectRef, health: Health, owner: Option<ObjectRef>) -> ObjectState {
    let Health { status, reason, message, ready, desired } = health;
    ObjectState { object: Some(object), status: status.into(), reason, message, ready, desired, owner }
}

fn name_of(object: &DynamicObject) -> ObjectRef {
    let types = object.types.clone().unwrap_or_default();
    let namespace = object.namespace().unwrap_or_default();
    ObjectRef { api_version: types.api_version, kind: types.kind, namespace, name: object.name_any() }
}

fn key_of(object: &DynamicObject) -> (String, String, String) {
    let name = name_of(object);
    (name.kind, name.namespace, name.name)
}

#[cfg(test)]
mod tests;
