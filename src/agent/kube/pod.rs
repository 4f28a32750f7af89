//! Why a pod does not come up: one pure function over what the kubelet says of its containers.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod};

/// A reason why a pod, and with it its workload, does not become ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// One word of Kubernetes: `ImagePullBackOff`.
    pub reason: String,
    /// A sentence with the container in it.
    pub message: String,
    /// The field at fault inside a pod spec: `containers[0].image`; empty where no field is known.
    pub field: String,
    /// Whether waiting can help. A certain cause ends an operation that asked to fail fast.
    pub certainty: Certainty,
    /// The container that ran and crashed: its last words may say why.
    pub crashed: Option<Crashed>,
}

/// A container that ran and crashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crashed {
    /// Its name.
    pub container: String,
    /// How often it was started again before.
    pub restarts: i32,
    /// Whether it waits for its next start already.
    pub is_over: bool,
}

/// How sure it is that this ends badly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// It may mend itself: nothing fits on a node right now, a probe fails for the moment.
    MayPass,
    /// It failed and is tried again.
    Failing,
    /// Nothing changes until somebody changes something.
    Certain,
}

/// A crash that comes back this often is no start-up race any more.
const CERTAIN_RESTARTS: i32 = 3;

/// Reasons of a waiting container, the field at fault, and how sure it is.
const WAITING: [(&str, &str, Certainty); 11] = [
    ("ErrImagePull", "image", Certainty::Failing),
    ("ImagePullBackOff", "image", Certainty::Certain),
    ("InvalidImageName", "image", Certainty::Certain),
    ("ErrImageNeverPull", "imagePullPolicy", Certainty::Certain),
    ("ImageInspectError", "image", Certainty::Failing),
    ("RegistryUnavailable", "image", Certainty::Failing),
    ("CreateContainerConfigError", "env", Certainty::Certain),
    ("CreateContainerError", "", Certainty::Certain),
    ("RunContainerError", "command", Certainty::Failing),
    ("StartError", "command", Certainty::Failing),
    ("PostStartHookError", "lifecycle", Certainty::Failing),
];

/// The worst that the kubelet and the scheduler say of this pod.
pub fn trouble(pod: &Pod) -> Option<Trouble> {
    if pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let status = pod.status.as_ref()?;
    let init = status.init_container_statuses.iter().flatten().map(|one| ("initContainers", one));
    let main = status.container_statuses.iter().flatten().map(|one| ("containers", one));
    let containers = init.chain(main).filter_map(|(list, one)| container(pod, list, one));
    containers.chain(unschedulable(pod)).max_by_key(|trouble| trouble.certainty)
}

fn container(pod: &Pod, list: &str, status: &ContainerStatus) -> Option<Trouble> {
    let place = format!("{list}[{}]", index_of(pod, list, &status.name));
    let state = status.state.clone().unwrap_or_default();
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().unwrap_or_default();
        if reason == "CrashLoopBackOff" {
            return Some(crash(&place, status, ended(status.last_state.as_ref())?, reason));
        }
        let (_, field, certainty) = WAITING.iter().find(|(known, ..)| *known == reason)?;
        let message = waiting.message.clone().unwrap_or_default();
        let message = format!("container {} does not start: {message}", status.name);
        let field = if field.is_empty() { place } else { format!("{place}.{field}") };
        return Some(Trouble {
            reason: reason.to_owned(),
            message,
            field,
            certainty: *certainty,
            crashed: None,
        });
    }
    let terminated = ended(Some(&state))?;
    (terminated.exit_code != 0).then(|| crash(&place, status, terminated, "Error"))
}

/// A container that ended by itself: out of memory, or with an exit code.
fn crash(place: &str, status: &ContainerStatus, end: &ContainerStateTerminated, reason: &str) -> Trouble {
    let is_certain = reason == "CrashLoopBackOff" && status.restart_count >= CERTAIN_RESTARTS;
    let certainty = if is_certain { Certainty::Certain } else { Certainty::Failing };
    let said = end.reason.clone().unwrap_or_default();
    let restarts = match status.restart_count {
        0 => String::new(),
        1 => ", restarted once".to_owned(),
        count => format!(", restarted {count} times"),
    };
    let name = &status.name;
    // A command that could not be started said nothing.
    let crashed = (said != "StartError").then(|| Crashed {
        container: status.name.clone(),
        restarts: status.restart_count,
        is_over: reason == "CrashLoopBackOff",
    });
    if said == "OOMKilled" {
        let message = format!("container {name} was killed, it used more memory than its limit{restarts}");
        let field = format!("{place}.resources.limits.memory");
        return Trouble { reason: said, message, field, certainty, crashed };
    }
    let exit = match end.signal {
        Some(signal) => format!("signal {signal}"),
        None => format!("exit code {}", end.exit_code),
    };
    let detail = end.message.as_deref().map(|message| format!(": {}", message.trim())).unwrap_or_default();
    let message = format!("container {name} ended with {exit} ({said}){restarts}{detail}");
    let field =
        if matches!(end.exit_code, 126..=128) { format!("{place}.command") } else { place.to_owned() };
    let reason = if said == "StartError" { said } else { reason.to_owned() };
    Trouble { reason, message, field, certainty, crashed }
}

fn ended(state: Option<&ContainerState>) -> Option<&ContainerStateTerminated> {
    state?.terminated.as_ref()
}

fn unschedulable(pod: &Pod) -> Option<Trouble> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let scheduled = conditions.iter().find(|one| one.type_ == "PodScheduled" && one.status == "False")?;
    if scheduled.reason.as_deref() != Some("Unschedulable") {
        return None;
    }
    let said = scheduled.message.as_deref().unwrap_or_default();
    // The second sentence is about preemption and says the same once more.
    let said = said.split(" preemption:").next().unwrap_or_default().trim_end_matches(['.', ',']);
    let reason = "Unschedulable".to_owned();
    Some(Trouble {
        reason,
        message: format!("no node takes the pod: {said}"),
        field: String::new(),
        certainty: Certainty::MayPass,
        crashed: None,
    })
}

fn index_of(pod: &Pod, list: &str, name: &str) -> usize {
    let Some(spec) = &pod.spec else { return 0 };
    let containers =
        if list == "initContainers" { spec.init_containers.as_deref() } else { Some(&*spec.containers) };
    containers.unwrap_or_default().iter().position(|one| one.name == name).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(container: &Value) -> Pod {
        let mut status =
            json!({ "name": "app", "image": "i", "imageID": "", "ready": false, "restartCount": 0 });
        status.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
        let spec = json!({ "containers": [{ "name": "side" }, { "name": "app" }] });
        serde_json::from_value(
            json!({ "metadata": { "name": "x" }, "spec": spec, "status": { "containerStatuses": [status] } }),
        )
        .unwrap()
    }

    #[test]
    fn what_the_kubelet_says_becomes_a_cause() {
        use Certainty::{Certain, Failing};
        let waiting =
            |reason: &str| json!({ "state": { "waiting": { "reason": reason, "message": "because" } } });
        let crash = |restarts: i32, end: Value| json!({ "restartCount": restarts, "state": { "waiting": { "reason": "CrashLoopBackOff" } }, "lastState": { "terminated": end } });
        for (status, reason, field, certainty, words) in [
            (waiting("ErrImagePull"), "ErrImagePull", "containers[1].image", Failing, "because"),
            (
                waiting("ImagePullBackOff"),
                "ImagePullBackOff",
                "containers[1].image",
                Certain,
                "container app",
            ),
            (
                waiting("CreateContainerConfigError"),
                "CreateContainerConfigError",
                "containers[1].env",
                Certain,
                "because",
            ),
            (
                crash(1, json!({ "exitCode": 3, "reason": "Error" })),
                "CrashLoopBackOff",
                "containers[1]",
                Failing,
                "exit code 3 (Error), restarted once",
            ),
            (
                crash(4, json!({ "exitCode": 3, "reason": "Error" })),
                "CrashLoopBackOff",
                "containers[1]",
                Certain,
                "restarted 4 times",
            ),
            (
                crash(1, json!({ "exitCode": 137, "reason": "OOMKilled" })),
                "OOMKilled",
                "containers[1].resources.limits.memory",
                Failing,
                "memory",
            ),
            (
                json!({ "state": { "terminated": { "exitCode": 127, "reason": "StartError", "message": "no such file" } } }),
                "StartError",
                "containers[1].command",
                Failing,
                "no such file",
            ),
        ] {
            let found = trouble(&pod(&status)).unwrap();
            assert_eq!(
                (found.reason.as_str(), found.field.as_str(), found.certainty),
                (reason, field, certainty)
            );
            assert!(found.message.contains(words), "{}", found.message);
        }
    }

    #[test]
    fn only_a_container_that_ran_has_last_words() {
        let crashed = |status: Value| trouble(&pod(&status)).unwrap().crashed;
        let end = |reason: &str| json!({ "terminated": { "exitCode": 1, "reason": reason } });
        let back_off = json!({ "waiting": { "reason": "CrashLoopBackOff" } });
        let again = json!({ "restartCount": 2, "state": back_off, "lastState": end("Error") });
        let expected = Crashed { container: "app".to_owned(), restarts: 2, is_over: true };
        assert_eq!(crashed(again), Some(expected.clone()));
        let now = json!({ "restartCount": 2, "state": end("OOMKilled") });
        assert_eq!(crashed(now), Some(Crashed { is_over: false, ..expected }));
        assert_eq!(crashed(json!({ "state": end("StartError") })), None);
        assert_eq!(crashed(json!({ "state": { "waiting": { "reason": "ErrImagePull" } } })), None);
    }

    #[test]
    fn a_pod_on_its_way_is_no_trouble() {
        for status in [
            json!({ "state": { "waiting": { "reason": "ContainerCreating" } } }),
            json!({ "state": { "waiting": { "reason": "PodInitializing" } } }),
            json!({ "state": { "running": {} } }),
            json!({ "state": { "terminated": { "exitCode": 0, "reason": "Completed" } } }),
        ] {
            assert_eq!(trouble(&pod(&status)), None, "{status}");
        }
    }

    #[test]
    fn a_pod_that_fits_nowhere_may_still_fit_later() {
        let mut pod = pod(&json!({}));
        let condition = json!({ "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/1 nodes are available: 1 Insufficient memory. preemption: none." });
        pod.status.as_mut().unwrap().conditions = Some(vec![serde_json::from_value(condition).unwrap()]);
        let found = trouble(&pod).unwrap();
        assert_eq!(found.certainty, Certainty::MayPass);
        assert_eq!(found.message, "no node takes the pod: 0/1 nodes are available: 1 Insufficient memory");
    }
}
