//! When what stands for itself is ready: pods, volumes, services, definitions.

use k8s_openapi::{
    api::core::v1::{PersistentVolumeClaim, Pod, Service},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};

use super::Health;
use crate::frame::ObjectStatus;

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
pub(super) fn claim(claim: &PersistentVolumeClaim) -> Health {
    match claim.status.as_ref().and_then(|status| status.phase.as_deref()) {
        Some("Bound") => Health::exists(),
        Some("Lost") => Health::new(ObjectStatus::Failed, "Lost", "its volume is gone"),
        _ => Health::new(ObjectStatus::Pending, "", "not bound to a volume yet"),
    }
}

/// A Service: a load balancer is ready when it has an address.
pub(super) fn service(service: &Service) -> Health {
    let is_balancer = service.spec.as_ref().is_some_and(|spec| spec.type_.as_deref() == Some("LoadBalancer"));
    let ingress = service.status.as_ref().and_then(|status| status.load_balancer.as_ref()?.ingress.as_ref());
    if is_balancer && ingress.is_none_or(Vec::is_empty) {
        return Health::progressing("", "the load balancer has no address yet");
    }
    Health::exists()
}

/// A `CustomResourceDefinition`.
pub(super) fn definition(definition: &CustomResourceDefinition) -> Health {
    let conditions = definition.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut established = conditions.filter(|one| one.type_ == "Established" && one.status == "True");
    if established.next().is_some() {
        Health::exists()
    } else {
        Health::progressing("", "not established yet")
    }
}
