//! When what runs pods is ready.

use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet},
    batch::v1::Job,
};

use super::Health;
use crate::frame::ObjectStatus;

/// A Deployment.
pub(super) fn deployment(deployment: &Deployment) -> Health {
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
pub(super) fn stateful_set(set: &StatefulSet) -> Health {
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
pub(super) fn daemon_set(set: &DaemonSet) -> Health {
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
pub(super) fn replica_set(set: &ReplicaSet) -> Health {
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
pub(super) fn job(job: &Job) -> Health {
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

fn is_unseen(generation: Option<i64>, observed: Option<i64>) -> bool {
    observed.unwrap_or(0) < generation.unwrap_or(0)
}

fn unseen() -> Health {
    Health::progressing("", "the controller has not seen the change yet")
}
