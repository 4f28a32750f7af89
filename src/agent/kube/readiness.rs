//! When an object is ready: one pure function per kind.
//!
//! The rules are those of `kubectl rollout status`: the controller has seen the newest spec, every replica is of it,
//! and every replica is available. Kinds without a rule are ready when they exist.

use crate::frame::ObjectStatus;
use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet},
        batch::v1::Job,
        core::v1::{PersistentVolumeClaim, Pod, Service},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::core::DynamicObject;
use serde::de::DeserializeOwned;

use super::kinds::group_of;

/// How an object is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// In one word of ours.
    pub status: ObjectStatus,
    /// In one word of Kubernetes; empty where there is none.
    pub reason: String,
    /// In a sentence.
    pub message: String,
    /// How many parts are ready.
    pub ready: u32,
    /// How many there should be.
    pub desired: u32,
}

impl Health {
    fn new(status: ObjectStatus, reason: &str, message: impl Into<String>) -> Self {
        Self { status, reason: reason.to_owned(), message: message.into(), ready: 0, desired: 0 }
    }

    fn progressing(reason: &str, message: impl Into<String>) -> Self {
        Self::new(ObjectStatus::Progressing, reason, message)
    }

    fn count(self, ready: i32, desired: i32) -> Self {
        let count = |number: i32| u32::try_from(number).unwrap_or_default();
        Self { ready: count(ready), desired: count(desired), ..self }
    }

    /// An object that exists and needs nothing more.
    pub fn exists() -> Self {
        Self::new(ObjectStatus::Ready, "", "")
    }

    /// An object that is announced and not there yet.
    pub fn awaited() -> Self {
        Self::new(ObjectStatus::Pending, "", "")
    }
}

/// How this object is doing.
pub fn of(object: &DynamicObject) -> Health {
    let Some(types) = &object.types else { return Health::exists() };
    let rule: fn(&DynamicObject) -> Option<Health> = match (group_of(&types.api_version), types.kind.as_str())
    {
        ("apps", "Deployment") => |object| typed(object).map(|typed| deployment(&typed)),
        ("apps", "StatefulSet") => |object| typed(object).map(|typed| stateful_set(&typed)),
        ("apps", "DaemonSet") => |object| typed(object).map(|typed| daemon_set(&typed)),
        ("apps", "ReplicaSet") => |object| typed(object).map(|typed| replica_set(&typed)),
        ("batch", "Job") => |object| typed(object).map(|typed| job(&typed)),
        ("", "Pod") => |object| typed(object).map(|typed| pod(&typed)),
        ("", "PersistentVolumeClaim") => |object| typed(object).map(|typed| claim(&typed)),
        ("", "Service") => |object| typed(object).map(|typed| service(&typed)),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            |object| typed(object).map(|typed| definition(&typed))
        }
        _ => |_| None,
    };
    rule(object).unwrap_or_else(Health::exists)
}

/// The object as its own type; `None` for a shape this version of ours does not know.
pub fn typed<K: kube::Resource + DeserializeOwned>(object: &DynamicObject) -> Option<K> {
    object.clone().try_parse().ok()
}

/// A Deployment.
pub fn deployment(deployment: &Deployment) -> Health {
    let (spec, status) = (deployment.spec.clone(), deployment.status.clone().unwrap_or_default());
    let desired = spec.replicas.unwrap_or(1);
    let available = status.available_replicas.unwrap_or(0);
    let updated = status.updated_replicas.unwrap_or(0);
    if is_unseen(deployment.metadata.generation, status.observed_generation) {
        return unseen().count(0, desired);
    }
    let conditions = status.conditions.unwrap_or_default();
    let condition = |kind, value| {
        conditions
            .iter()
            .find(|one| one.type_.as_deref() == Some(kind) && one.status.as_deref() == Some(value))
    };
    let words = |reason: &Option<String>, message: &Option<String>| {
        (reason.clone().unwrap_or_default(), message.clone().unwrap_or_default())
    };
    let health = if let Some(stuck) = condition("Progressing", "False") {
        let (reason, message) = words(&stuck.reason, &stuck.message);
        Health::new(ObjectStatus::Failed, &reason, message)
    } else if spec.paused == Some(true) {
        Health::new(ObjectStatus::Ready, "Paused", "the rollout is paused")
    } else if updated >= desired && status.replicas.unwrap_or(0) <= updated && available >= desired {
        Health::exists()
    } else if let Some(refused) = condition("ReplicaFailure", "True") {
        let (reason, message) = words(&refused.reason, &refused.message);
        Health::progressing(&reason, message)
    } else if updated < desired {
        Health::progressing("", format!("{updated} of {desired} replicas updated"))
    } else if status.replicas.unwrap_or(0) > updated {
        Health::progressing("", "old replicas are still there")
    } else {
        Health::progressing("", format!("{available} of {desired} replicas available"))
    };
    health.count(available.min(updated), desired)
}

/// A `StatefulSet`.
pub fn stateful_set(set: &StatefulSet) -> Health {
    let (spec, status) = (set.spec.clone(), set.status.clone().unwrap_or_default());
    let desired = spec.replicas.unwrap_or(1);
    let ready = status.ready_replicas.unwrap_or(0);
    if is_unseen(set.metadata.generation, status.observed_generation) {
        return unseen().count(0, desired);
    }
    let strategy = spec.update_strategy.unwrap_or_default();
    let partition = strategy.rolling_update.and_then(|rolling| rolling.partition).unwrap_or(0);
    // Pods below the partition keep the old revision, with OnDelete all of them may.
    let to_update = if strategy.type_.as_deref() == Some("OnDelete") { 0 } else { desired - partition };
    let updated = status.updated_replicas.unwrap_or(0);
    let is_settled = partition > 0 || to_update == 0 || status.current_revision == status.update_revision;
    let health = if ready < desired {
        Health::progressing("", format!("{ready} of {desired} replicas ready"))
    } else if updated < to_update || !is_settled {
        Health::progressing("", format!("{updated} of {to_update} replicas updated"))
    } else {
        Health::exists()
    };
    health.count(ready, desired)
}

/// A `DaemonSet`.
pub fn daemon_set(set: &DaemonSet) -> Health {
    let status = set.status.clone().unwrap_or_default();
    let desired = status.desired_number_scheduled;
    if is_unseen(set.metadata.generation, status.observed_generation) {
        return unseen().count(0, desired);
    }
    let strategy = set.spec.update_strategy.as_ref();
    let on_delete = strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("OnDelete"));
    let updated = status.updated_number_scheduled.unwrap_or(0);
    let available = status.number_available.unwrap_or(0);
    let health = if updated < desired && !on_delete {
        Health::progressing("", format!("{updated} of {desired} pods updated"))
    } else if available < desired {
        Health::progressing("", format!("{available} of {desired} pods available"))
    } else {
        Health::exists()
    };
    health.count(available, desired)
}

/// A `ReplicaSet` of its own, without a Deployment.
pub fn replica_set(set: &ReplicaSet) -> Health {
    let status = set.status.clone().unwrap_or_default();
    let desired = set.spec.replicas.unwrap_or(1);
    let available = status.available_replicas.unwrap_or(0);
    if is_unseen(set.metadata.generation, status.observed_generation) {
        return unseen().count(0, desired);
    }
    let health = if available >= desired {
        Health::exists()
    } else {
        Health::progressing("", format!("{available} of {desired} replicas available"))
    };
    health.count(available, desired)
}

/// A Job: ready when it completed.
pub fn job(job: &Job) -> Health {
    let (spec, status) = (job.spec.clone().unwrap_or_default(), job.status.clone().unwrap_or_default());
    let desired = spec.completions.unwrap_or(1);
    let succeeded = status.succeeded.unwrap_or(0);
    let conditions = status.conditions.unwrap_or_default();
    let condition = |kind: &str| conditions.iter().find(|one| one.type_ == kind && one.status == "True");
    let health = if let Some(failed) = condition("Failed") {
        let (reason, message) = (failed.reason.clone().unwrap_or_default(), failed.message.clone());
        Health::new(ObjectStatus::Failed, &reason, message.unwrap_or_default())
    } else if condition("Complete").is_some() {
        Health::exists()
    } else if spec.suspend == Some(true) {
        Health::new(ObjectStatus::Ready, "Suspended", "the job is suspended")
    } else {
        Health::progressing("", format!("{succeeded} of {desired} pods completed"))
    };
    health.count(succeeded, desired)
}

/// A pod, of the release itself or behind one of its objects.
pub fn pod(pod: &Pod) -> Health {
    let status = pod.status.clone().unwrap_or_default();
    let containers = status.container_statuses.unwrap_or_default();
    let ready = i32::try_from(containers.iter().filter(|one| one.ready).count()).unwrap_or(0);
    let desired = pod.spec.as_ref().map_or(0, |spec| i32::try_from(spec.containers.len()).unwrap_or(0));
    let phase = status.phase.as_deref().unwrap_or("Pending");
    let is_ready = || {
        let conditions = status.conditions.iter().flatten();
        conditions.into_iter().any(|one| one.type_ == "Ready" && one.status == "True")
    };
    let reason = status.reason.clone().unwrap_or_default();
    let message = status.message.clone().unwrap_or_default();
    let health = match phase {
        "Succeeded" => Health::exists(),
        "Failed" => Health::new(ObjectStatus::Failed, &reason, message),
        _ if pod.metadata.deletion_timestamp.is_some() => Health::progressing("Terminating", ""),
        "Running" if is_ready() => Health::exists(),
        "Running" => Health::progressing(&reason, message),
        _ => Health::new(ObjectStatus::Pending, &reason, message),
    };
    health.count(ready, desired)
}

/// A `PersistentVolumeClaim`.
pub fn claim(claim: &PersistentVolumeClaim) -> Health {
    match claim.status.as_ref().and_then(|status| status.phase.as_deref()) {
        Some("Bound") => Health::exists(),
        Some("Lost") => Health::new(ObjectStatus::Failed, "Lost", "its volume is gone"),
        _ => Health::new(ObjectStatus::Pending, "", "not bound to a volume yet"),
    }
}

/// A Service: a load balancer is ready when it has an address.
pub fn service(service: &Service) -> Health {
    let is_balancer = service.spec.as_ref().is_some_and(|spec| spec.type_.as_deref() == Some("LoadBalancer"));
    let ingress = service.status.as_ref().and_then(|status| status.load_balancer.as_ref()?.ingress.as_ref());
    if is_balancer && ingress.is_none_or(Vec::is_empty) {
        return Health::progressing("", "the load balancer has no address yet");
    }
    Health::exists()
}

/// A `CustomResourceDefinition`.
pub fn definition(definition: &CustomResourceDefinition) -> Health {
    let conditions = definition.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut established = conditions.filter(|one| one.type_ == "Established" && one.status == "True");
    if established.next().is_some() {
        Health::exists()
    } else {
        Health::progressing("", "not established yet")
    }
}

fn is_unseen(generation: Option<i64>, observed: Option<i64>) -> bool {
    observed.unwrap_or(0) < generation.unwrap_or(0)
}

fn unseen() -> Health {
    Health::progressing("", "the controller has not seen the change yet")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The status, the reason, and ready/desired of an object.
    fn health(api_version: &str, kind: &str, rest: &Value) -> (ObjectStatus, String, String) {
        let mut object =
            json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": "x", "generation": 2 } });
        for (key, value) in rest.as_object().unwrap() {
            if key == "metadata" {
                object[key]["deletionTimestamp"] = value["deletionTimestamp"].clone();
            } else {
                object[key] = value.clone();
            }
        }
        let health = of(&serde_json::from_value(object).unwrap());
        (health.status, health.reason, format!("{}/{}", health.ready, health.desired))
    }

    #[track_caller]
    fn check(api_version: &str, kind: &str, table: &[(Value, ObjectStatus, &str, &str)]) {
        for (rest, status, reason, count) in table {
            let expected = (*status, (*reason).to_owned(), (*count).to_owned());
            assert_eq!(health(api_version, kind, rest), expected, "{rest}");
        }
    }

    #[test]
    fn deployments() {
        use ObjectStatus::{Failed, Progressing, Ready};
        let status = |fields: Value| {
            let mut status = json!({ "observedGeneration": 2 });
            status.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            json!({ "spec": { "replicas": 2, "selector": {}, "template": {} }, "status": status })
        };
        let condition = |kind: &str, value: &str, reason: &str| json!([{ "type": kind, "status": value, "reason": reason, "message": "m" }]);
        check(
            "apps/v1",
            "Deployment",
            &[
                (json!({}), Progressing, "", "0/1"),
                (
                    status(
                        json!({ "observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2 }),
                    ),
                    Progressing,
                    "",
                    "0/2",
                ),
                (
                    status(json!({ "replicas": 2, "updatedReplicas": 1, "availableReplicas": 2 })),
                    Progressing,
                    "",
                    "1/2",
                ),
                (
                    status(json!({ "replicas": 3, "updatedReplicas": 2, "availableReplicas": 3 })),
                    Progressing,
                    "",
                    "2/2",
                ),
                (
                    status(json!({ "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1 })),
                    Progressing,
                    "",
                    "1/2",
                ),
                (
                    status(json!({ "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2 })),
                    Ready,
                    "",
                    "2/2",
                ),
                (
                    status(
                        json!({ "replicas": 2, "conditions": condition("Progressing", "False", "ProgressDeadlineExceeded") }),
                    ),
                    Failed,
                    "ProgressDeadlineExceeded",
                    "0/2",
                ),
                (
                    status(json!({ "conditions": condition("ReplicaFailure", "True", "FailedCreate") })),
                    Progressing,
                    "FailedCreate",
                    "0/2",
                ),
            ],
        );
    }

    #[test]
    fn stateful_and_daemon_sets() {
        use ObjectStatus::{Progressing, Ready};
        let set = |status: Value, strategy: Value| json!({ "spec": { "replicas": 3, "selector": {}, "template": {}, "serviceName": "x", "updateStrategy": strategy }, "status": status });
        let full = json!({ "observedGeneration": 2, "replicas": 3, "readyReplicas": 3, "updatedReplicas": 3, "currentRevision": "b", "updateRevision": "b" });
        let half = json!({ "observedGeneration": 2, "replicas": 3, "readyReplicas": 3, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b" });
        check(
            "apps/v1",
            "StatefulSet",
            &[
                (set(full, json!({})), Ready, "", "3/3"),
                (set(half.clone(), json!({})), Progressing, "", "3/3"),
                (set(half.clone(), json!({ "rollingUpdate": { "partition": 2 } })), Ready, "", "3/3"),
                (set(half, json!({ "type": "OnDelete" })), Ready, "", "3/3"),
                (
                    set(json!({ "observedGeneration": 2, "replicas": 3, "readyReplicas": 2 }), json!({})),
                    Progressing,
                    "",
                    "2/3",
                ),
            ],
        );
        let daemons = |updated: u32, available: u32| {
            json!({ "status": { "observedGeneration": 2, "desiredNumberScheduled": 2, "currentNumberScheduled": 2, "numberMisscheduled": 0,
                "numberReady": 2, "updatedNumberScheduled": updated, "numberAvailable": available } })
        };
        check(
            "apps/v1",
            "DaemonSet",
            &[
                (daemons(2, 2), Ready, "", "2/2"),
                (daemons(1, 2), Progressing, "", "2/2"),
                (daemons(2, 1), Progressing, "", "1/2"),
            ],
        );
    }

    #[test]
    fn jobs_and_pods() {
        use ObjectStatus::{Failed, Pending, Progressing, Ready};
        let job = |kind: &str, reason: &str| json!({ "status": { "conditions": [{ "type": kind, "status": "True", "reason": reason }] } });
        check(
            "batch/v1",
            "Job",
            &[
                (json!({ "status": { "active": 1 } }), Progressing, "", "0/1"),
                (job("Complete", ""), Ready, "", "0/1"),
                (job("Failed", "BackoffLimitExceeded"), Failed, "BackoffLimitExceeded", "0/1"),
                (json!({ "spec": { "suspend": true, "template": {} } }), Ready, "Suspended", "0/1"),
            ],
        );
        let ready = json!([{ "type": "Ready", "status": "True" }]);
        check(
            "v1",
            "Pod",
            &[
                (json!({}), Pending, "", "0/0"),
                (json!({ "status": { "phase": "Running" } }), Progressing, "", "0/0"),
                (json!({ "status": { "phase": "Running", "conditions": ready } }), Ready, "", "0/0"),
                (json!({ "status": { "phase": "Succeeded" } }), Ready, "", "0/0"),
                (json!({ "status": { "phase": "Failed", "reason": "Evicted" } }), Failed, "Evicted", "0/0"),
                (
                    json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" }, "status": { "phase": "Running", "conditions": ready } }),
                    Progressing,
                    "Terminating",
                    "0/0",
                ),
            ],
        );
    }

    #[test]
    fn storage_services_and_the_rest() {
        use ObjectStatus::{Failed, Pending, Progressing, Ready};
        check(
            "v1",
            "PersistentVolumeClaim",
            &[
                (json!({ "status": { "phase": "Bound" } }), Ready, "", "0/0"),
                (json!({ "status": { "phase": "Pending" } }), Pending, "", "0/0"),
                (json!({ "status": { "phase": "Lost" } }), Failed, "Lost", "0/0"),
            ],
        );
        let balancer = json!({ "type": "LoadBalancer" });
        check(
            "v1",
            "Service",
            &[
                (json!({ "spec": { "type": "ClusterIP" } }), Ready, "", "0/0"),
                (json!({ "spec": balancer }), Progressing, "", "0/0"),
                (
                    json!({ "spec": balancer, "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.1" }] } } }),
                    Ready,
                    "",
                    "0/0",
                ),
            ],
        );
        check("v1", "ConfigMap", &[(json!({}), Ready, "", "0/0")]);
        check(
            "example.com/v1",
            "Deployment",
            &[(json!({ "status": { "phase": "Strange" } }), Ready, "", "0/0")],
        );
        let definition = |conditions: Value| {
            json!({ "spec": { "group": "g", "scope": "Namespaced", "names": { "kind": "K", "plural": "ks" }, "versions": [] },
                "status": { "conditions": conditions, "acceptedNames": { "kind": "K", "plural": "ks" }, "storedVersions": [] } })
        };
        check(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            &[
                (definition(json!([])), Progressing, "", "0/0"),
                (definition(json!([{ "type": "Established", "status": "True" }])), Ready, "", "0/0"),
            ],
        );
    }
}
