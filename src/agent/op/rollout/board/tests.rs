//! The board, by stories of what the cluster says.

use serde_json::{Value, json};

use super::*;

const MANIFEST: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec: { replicas: 1, template: { spec: { containers: [{ name: app, image: 'web:2' }] } } }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
---
apiVersion: batch/v1
kind: Job
metadata: { name: migrate, annotations: { helm.sh/hook: pre-upgrade } }
spec: { template: { spec: { containers: [{ name: job, image: 'job:1' }] } } }
";

fn board() -> Board {
    Board::new(&Rendered::parse(MANIFEST, "shop"))
}

fn object(value: Value) -> Box<DynamicObject> {
    Box::new(serde_json::from_value(value).unwrap())
}

fn deployment(generation: i64, image: &str, available: i64) -> Box<DynamicObject> {
    object(json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "web", "namespace": "shop", "generation": generation,
            "annotations": { "deployment.kubernetes.io/revision": generation.to_string() } },
        "spec": { "replicas": 1, "selector": {}, "template": { "spec": { "dnsPolicy": "Default", "containers": [{ "name": "app", "image": image }] } } },
        "status": { "observedGeneration": generation, "replicas": 1, "updatedReplicas": 1, "availableReplicas": available },
    }))
}

fn replica_set(revision: i64) -> Box<DynamicObject> {
    object(json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": { "name": format!("web-{revision}"), "namespace": "shop",
            "annotations": { "deployment.kubernetes.io/revision": revision.to_string() },
            "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "u", "controller": true }] },
    }))
}

fn pod(owner_kind: &str, owner: &str, reason: &str) -> Box<DynamicObject> {
    let state = json!({ "waiting": { "reason": reason, "message": "said the kubelet" } });
    object(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": format!("{owner}-pod"), "namespace": "shop",
            "ownerReferences": [{ "apiVersion": "apps/v1", "kind": owner_kind, "name": owner, "uid": "u", "controller": true }] },
        "spec": { "containers": [{ "name": "app" }] },
        "status": { "phase": "Pending", "containerStatuses": [{ "name": "app", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state }] },
    }))
}

fn event(kind: &str, name: &str, reason: &str, count: i64) -> Box<DynamicObject> {
    object(json!({
        "apiVersion": "v1", "kind": "Event", "metadata": { "name": "e", "namespace": "shop" },
        "involvedObject": { "apiVersion": "apps/v1", "kind": kind, "namespace": "shop", "name": name },
        "reason": reason, "message": "no", "type": "Warning", "count": count,
    }))
}

fn reasons(board: &mut Board) -> Vec<String> {
    board.causes(Instant::now()).into_iter().map(|cause| cause.reason).collect()
}

#[test]
fn a_new_workload_is_told_until_it_is_ready() {
    let mut board = board();
    assert_eq!(board.progress(), Progress::Going);
    board.see(Seen::Object(deployment(1, "web:2", 0), false));
    board.see(Seen::Object(replica_set(1), false));
    board.see(Seen::Object(pod("ReplicaSet", "web-1", "ImagePullBackOff"), false));
    assert_eq!(reasons(&mut board), ["ImagePullBackOff"]);
    let pod = board.states().into_iter().find(|state| state.owner.is_some()).unwrap();
    assert_eq!((pod.reason.as_str(), pod.owner.unwrap().kind.as_str()), ("ImagePullBackOff", "Deployment"));
    board.see(Seen::Object(deployment(1, "web:2", 1), false));
    assert!(reasons(&mut board).is_empty(), "a ready object has no causes");
    board.helm_is_done();
    assert_eq!(board.progress(), Progress::Ready);
}

#[test]
fn what_was_broken_before_is_not_ours_until_it_changes() {
    let mut board = board();
    board.see(Seen::Object(deployment(4, "web:1", 0), true));
    board.see(Seen::Object(replica_set(4), true));
    board.see(Seen::Object(pod("ReplicaSet", "web-4", "ImagePullBackOff"), true));
    assert!(reasons(&mut board).is_empty());
    board.see(Seen::Object(deployment(5, "web:2", 0), false));
    assert!(reasons(&mut board).is_empty(), "the pod belongs to the last revision");
    board.see(Seen::Object(replica_set(5), false));
    board.see(Seen::Object(pod("ReplicaSet", "web-5", "CreateContainerConfigError"), false));
    assert_eq!(reasons(&mut board), ["CreateContainerConfigError"]);
}

#[test]
fn the_same_broken_release_again_is_ours_at_once() {
    let mut board = board();
    board.see(Seen::Object(deployment(4, "web:2", 0), true));
    board.see(Seen::Object(replica_set(4), true));
    board.see(Seen::Object(pod("ReplicaSet", "web-4", "ImagePullBackOff"), true));
    assert_eq!(reasons(&mut board), ["ImagePullBackOff"]);
}

#[test]
fn a_hook_has_causes_but_is_not_waited_for() {
    let mut board = board();
    board.see(Seen::Object(
        object(json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "migrate", "namespace": "shop" },
            "status": { "active": 1 } })),
        false,
    ));
    board.see(Seen::Object(pod("Job", "migrate", "ErrImagePull"), false));
    assert_eq!(reasons(&mut board), ["ErrImagePull"]);
    board.see(Seen::Object(deployment(1, "web:2", 1), false));
    board.helm_is_done();
    assert_eq!(board.progress(), Progress::Ready);
}

#[test]
fn a_quota_is_told_of_the_workload_behind_the_replica_set() {
    let mut board = board();
    board.see(Seen::Object(deployment(1, "web:2", 0), false));
    board.see(Seen::Object(replica_set(1), false));
    board.see(Seen::Object(event("ReplicaSet", "web-1", "FailedCreate", 1), true));
    assert!(reasons(&mut board).is_empty(), "a warning from before is an old story");
    board.see(Seen::Object(event("ReplicaSet", "web-1", "FailedCreate", 2), false));
    board.see(Seen::Object(event("ReplicaSet", "other", "FailedCreate", 2), false));
    let causes = board.causes(Instant::now());
    assert_eq!((causes.len(), causes[0].object.kind.as_str()), (1, "Deployment"));
    assert_eq!(board.warnings().count(), 1);
}

#[test]
fn a_pod_that_fits_nowhere_is_told_after_a_while() {
    let mut board = board();
    board.see(Seen::Object(deployment(1, "web:2", 0), false));
    board.see(Seen::Object(replica_set(1), false));
    let mut waiting = pod("ReplicaSet", "web-1", "x");
    waiting.data["status"] = json!({ "phase": "Pending", "conditions": [
        { "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available" }] });
    board.see(Seen::Object(waiting, false));
    let now = Instant::now();
    assert!(board.causes(now).is_empty());
    assert_eq!(board.causes(now + MAY_PASS).len(), 1);
}

#[test]
fn what_may_not_be_watched_does_not_hold_the_rollout() {
    let mut board = board();
    let denied = |resource: &str, group: &str, kind: &str| {
        let (resource, group, kind) = (resource.to_owned(), group.to_owned(), kind.to_owned());
        Seen::Denied { resource, group, kind, namespace: "shop".to_owned() }
    };
    assert_eq!(board.unseen(), 0);
    board.see(denied("deployments", "apps", "Deployment"));
    board.helm_is_done();
    assert_eq!(board.unseen(), 1);
    assert_eq!(board.progress(), Progress::Ready);
    assert_eq!(board.take_denied(), [("deployments".to_owned(), "shop".to_owned())]);
    assert!(board.take_denied().is_empty());
    let state = board.states().remove(0);
    assert_eq!((state.status(), state.reason.as_str()), (ObjectStatus::Unknown, "Forbidden"));
}

#[test]
fn without_credentials_nothing_more_is_seen_and_nothing_passes_for_ready() {
    let mut board = board();
    assert!(!board.is_logged_out());
    board.see(Seen::LoggedOut);
    board.see(Seen::LoggedOut);
    assert!(board.is_logged_out() && board.take_denied().is_empty());
    assert_eq!(board.progress(), Progress::Going);
}

#[test]
fn a_failed_job_of_the_release_fails_the_rollout() {
    let manifest = "apiVersion: batch/v1\nkind: Job\nmetadata: { name: once }\n";
    let mut board = Board::new(&Rendered::parse(manifest, "shop"));
    let conditions =
        json!([{ "type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "m" }]);
    board.see(Seen::Object(
        object(json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "once", "namespace": "shop" },
            "status": { "conditions": conditions } })),
        false,
    ));
    assert_eq!(board.progress(), Progress::Failed);
    assert_eq!(reasons(&mut board), ["BackoffLimitExceeded"]);
}
