//! What each kind of object says when it is ready, when it is not, and why.

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
    check("example.com/v1", "Deployment", &[(json!({ "status": { "phase": "Strange" } }), Ready, "", "0/0")]);
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
