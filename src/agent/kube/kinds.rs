//! Kinds of objects: which ones belong to no namespace, and which ones become ready only after they exist.

use crate::frame::ObjectRef;
use kube::core::{ApiResource, GroupVersionKind};

/// Kinds without a namespace, by group. Kinds that are not listed are asked for, see [`crate::op`].
const CLUSTER_SCOPED: [(&str, &str); 22] = [
    ("", "Namespace"),
    ("", "Node"),
    ("", "PersistentVolume"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("apiregistration.k8s.io", "APIService"),
    ("certificates.k8s.io", "CertificateSigningRequest"),
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
    ("networking.k8s.io", "IngressClass"),
    ("node.k8s.io", "RuntimeClass"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("storage.k8s.io", "CSIDriver"),
    ("storage.k8s.io", "StorageClass"),
    ("storage.k8s.io", "VolumeAttributesClass"),
];

/// Kinds that are not ready just because they exist: these are watched. Others are only looked for.
const BECOME_READY: [(&str, &str); 10] = [
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("apps", "DaemonSet"),
    ("apps", "ReplicaSet"),
    ("batch", "Job"),
    ("", "Pod"),
    ("", "PersistentVolumeClaim"),
    ("", "Service"),
    ("", "ReplicationController"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
];

/// The group of `apps/v1`; the core group is empty.
pub fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// Whether objects of this kind belong to no namespace, as far as Kubernetes itself goes.
pub fn is_cluster_scoped(api_version: &str, kind: &str) -> bool {
    CLUSTER_SCOPED.contains(&(group_of(api_version), kind))
}

/// Whether objects of this kind become ready after they exist.
pub fn becomes_ready(object: &ObjectRef) -> bool {
    BECOME_READY.contains(&(group_of(&object.api_version), object.kind.as_str()))
}

/// Whether Kubernetes itself defines this kind, so that its plural and its scope need no question.
pub fn is_builtin(api_version: &str) -> bool {
    let group = group_of(api_version);
    !group.contains('.') || group.ends_with(".k8s.io")
}

/// How the API server calls this kind of object; the plural is guessed the way Kubernetes names its own.
pub fn resource(object: &ObjectRef) -> ApiResource {
    let (group, version) = object.api_version.split_once('/').unwrap_or(("", &object.api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &object.kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(api_version: &str, kind: &str) -> ObjectRef {
        ObjectRef { api_version: api_version.into(), kind: kind.into(), ..ObjectRef::default() }
    }

    #[test]
    fn groups_decide_not_names() {
        assert!(is_cluster_scoped("rbac.authorization.k8s.io/v1", "ClusterRole"));
        assert!(!is_cluster_scoped("rbac.authorization.k8s.io/v1", "Role"));
        assert!(!is_cluster_scoped("example.com/v1", "ClusterRole"));
        assert!(
            becomes_ready(&object("apps/v1", "Deployment")) && !becomes_ready(&object("v1", "ConfigMap"))
        );
        assert!(!becomes_ready(&object("example.com/v1", "Job")));
        assert!(
            is_builtin("batch/v1") && is_builtin("networking.k8s.io/v1") && !is_builtin("cert-manager.io/v1")
        );
    }

    #[test]
    fn plurals_are_those_of_kubernetes() {
        for (api_version, kind, plural) in [
            ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
            ("networking.k8s.io/v1", "Ingress", "ingresses"),
            ("v1", "Endpoints", "endpoints"),
            ("v1", "Service", "services"),
            ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
        ] {
            assert_eq!(resource(&object(api_version, kind)).plural, plural);
        }
    }
}
