//! What belongs to this operation: pods of the newest revision, and objects that are as they were rendered.

use kube::{ResourceExt as _, core::DynamicObject};
use serde_json::Value;

/// Whether a pod belongs to the newest revision of its workload.
pub(super) fn is_newest(
    workload: Option<&DynamicObject>,
    set: Option<&DynamicObject>,
    pod: &DynamicObject,
) -> bool {
    const REVISION: &str = "deployment.kubernetes.io/revision";
    let Some(workload) = workload else { return false };
    if let Some(set) = set {
        return set.annotations().get(REVISION) == workload.annotations().get(REVISION);
    }
    let wanted = workload.data["status"]["updateRevision"].as_str();
    let has = pod.labels().get("controller-revision-hash").map(String::as_str);
    wanted.is_none() || has.is_none() || wanted == has
}

/// Whether everything that was rendered is there as it was rendered; the API server adds defaults of its own, and
/// leaves out what is empty.
pub(super) fn is_part(rendered: &Value, live: &Value) -> bool {
    match (rendered, live) {
        (Value::Object(wanted), Value::Object(found)) => wanted
            .iter()
            .all(|(key, wanted)| found.get(key).map_or(is_empty(wanted), |found| is_part(wanted, found))),
        (Value::Array(wanted), Value::Array(found)) => {
            wanted.len() == found.len()
                && wanted.iter().zip(found).all(|(wanted, found)| is_part(wanted, found))
        }
        _ => rendered == live,
    }
}

/// What Kubernetes does not write down: `initialDelaySeconds: 0` is not there when it is read again.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Bool(true) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_kubernetes_leaves_out_because_it_is_empty_is_there() {
        let rendered =
            json!({ "probe": { "initialDelaySeconds": 0, "periodSeconds": 1 }, "args": [], "env": {} });
        assert!(is_part(&rendered, &json!({ "probe": { "periodSeconds": 1, "timeoutSeconds": 1 } })));
        assert!(!is_part(&rendered, &json!({ "probe": { "initialDelaySeconds": 5, "periodSeconds": 1 } })));
        assert!(!is_part(&rendered, &json!({ "probe": {} })));
    }
}
