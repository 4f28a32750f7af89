//! The configuration of containerd, of the kubelet and of the pods' network.
//!
//! Promises: every path in it lies in the cluster's folder. Pure: the texts are returned, not written.

use std::path::Path;

use serde_json::{Value, json};

use super::super::keys::Keys;
use super::super::state::State;
use super::super::{cgroups, images};
use super::socket;

/// containerd's configuration. Debian has 1.6, which reads version 2; later ones read it too.
pub(super) fn containerd(dir: &Path, plugins: &Path) -> String {
    format!(
        r#"version = 2
root = "{dir}/containerd"
state = "{dir}/containerd-state"
# `opt` would make a folder outside of ours, the snapshotters would complain about disks that are not there.
disabled_plugins = [
  "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]

[grpc]
address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
stream_server_address = "127.0.0.1"
stream_server_port = "0"
# Root in a container often lacks CAP_SYS_RESOURCE; without this runc then dies with "can't get final child's PID".
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{dir}/network"
"#,
        dir = dir.display(),
        socket = socket(dir).display(),
        pause = images::PAUSE,
        plugins = plugins.display(),
    )
}

/// The network of the pods: each has an address of its own and a cable to the host, and no way further.
pub(super) fn network(dir: &Path, state: &State) -> Value {
    json!({
        "cniVersion": "0.4.0",
        "name": "ktl",
        "plugins": [{
            "type": "ptp",
            "ipMasq": false,
            "ipam": {
                "type": "host-local",
                "dataDir": dir.join("addresses"),
                "ranges": [[{"subnet": state.place.pod_subnet()}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    })
}

/// The kubelet's configuration.
pub(super) fn kubelet(dir: &Path, state: &State) -> Value {
    let keys = Keys::in_dir(dir);
    let mut config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "127.0.0.1",
        "port": state.place.node,
        "healthzPort": 0,
        // Only the API server gets in, by its certificate: what a kubelet runs, it runs as root.
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": false},
            "x509": {"clientCAFile": keys.authority},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "tlsCertFile": keys.certificate,
        "tlsPrivateKeyFile": keys.key,
        "containerRuntimeEndpoint": format!("unix://{}", socket(dir).display()),
        "podLogsDir": dir.join("pods"),
        // Nothing here needs them, and they would stay in the machine's firewall.
        "makeIPTablesUtilChains": false,
    });
    let limits = json!({
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", cgroups::name(dir)),
        "failCgroupV1": false,
        "failSwapOn": false,
        "enforceNodeAllocatable": [],
        // A developer's disk is often nearly full; our images are a few megabytes and cannot be pulled again.
        "evictionHard": {
            "memory.available": "50Mi",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "imagefs.available": "0%",
            "imagefs.inodesFree": "0%",
        },
        "imageGCHighThresholdPercent": 100,
        "serializeImagePulls": false,
        // Nobody answers there; without an address every pod gets a warning event that tests would stumble over.
        "clusterDNS": ["10.96.0.10"],
        "clusterDomain": "cluster.local",
        "resolvConf": "",
    });
    if let (Value::Object(config), Value::Object(limits)) = (&mut config, limits) {
        config.extend(limits);
    }
    config
}

#[cfg(test)]
mod tests {
    use super::super::super::{place, state::NodeKind};
    use super::*;

    #[test]
    fn two_clusters_share_no_path_port_or_pod_range() {
        let one = State::new("one", Path::new("/a"), NodeKind::Real, place::choose(&[], 0).unwrap());
        let place = place::choose(std::slice::from_ref(&one), 0).unwrap();
        let two = State::new("two", Path::new("/a"), NodeKind::Real, place);
        let text = |dir: &str, state| {
            let dir = Path::new(dir);
            let plugins = Path::new("/usr/lib/cni");
            format!("{}{}{}", containerd(dir, plugins), network(dir, state), kubelet(dir, state))
        };
        let (first, second) = (text("/c/one", &one), text("/c/two", &two));
        assert!(!second.contains("/c/one") && !first.contains("/c/two"));
        assert!(first.contains(&one.place.pod_subnet()) && !second.contains(&one.place.pod_subnet()));
        assert!(!second.contains(&format!("\"port\":{}", one.place.node)));
    }
}
