//! When an object is ready: one pure function per kind.
//!
//! The rules are those of `kubectl rollout status`: the controller has seen the newest spec, every replica is of it,
//! and every replica is available. Kinds without a rule are ready when they exist.

mod single;
mod workload;

use kube::core::DynamicObject;
use serde::de::DeserializeOwned;

use self::{
    single::{claim, definition, service},
    workload::{daemon_set, deployment, job, replica_set, stateful_set},
};
use super::kinds::group_of;
use crate::frame::ObjectStatus;

pub use self::single::pod;

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

#[cfg(test)]
mod tests;
