//! The command lines of etcd, the API server, the controller manager and the scheduler.
//!
//! Promises: all of them listen on 127.0.0.1 only and ask every caller who it is. Starts nothing itself.

use std::path::Path;

use super::init::{Plan, Service};
use super::keys::Keys;
use super::state::State;

/// Services get addresses from here, but no traffic: nothing plays kube-proxy. Clusters may share the range.
const SERVICE_RANGE: &str = "10.96.0.0/16";

/// What runs in the cluster in `dir`, the node apart.
pub(super) fn plan(dir: &Path, state: &State, keys: &Keys) -> Plan {
    let kubectl = state.assets.join("kubectl").display().to_string();
    let kubeconfig = dir.join("kubeconfig").display().to_string();
    let ready = ["--kubeconfig", &kubeconfig, "get", "--raw", "/readyz"].map(String::from);
    let service =
        |name: &str, args| Service { name: name.to_owned(), program: state.assets.join(name), args };
    Plan {
        mounts: Vec::new(),
        first: vec![
            service("etcd", etcd(dir, state, keys)),
            service("kube-apiserver", api_server(dir, state, keys)),
        ],
        ready: [kubectl].into_iter().chain(ready).collect(),
        // These give up when the API server does not answer within seconds, so they wait for it.
        then: vec![
            service("kube-controller-manager", controller_manager(&kubeconfig, keys)),
            service("kube-scheduler", scheduler(&kubeconfig)),
        ],
    }
}

fn etcd(dir: &Path, state: &State, keys: &Keys) -> Vec<String> {
    let client = format!("https://127.0.0.1:{}", state.place.etcd);
    let peer = format!("https://127.0.0.1:{}", state.place.etcd_peer);
    vec![
        format!("--data-dir={}", dir.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        "--client-cert-auth".into(),
        format!("--trusted-ca-file={}", keys.authority.display()),
        format!("--cert-file={}", keys.certificate.display()),
        format!("--key-file={}", keys.key.display()),
        "--peer-client-cert-auth".into(),
        format!("--peer-trusted-ca-file={}", keys.authority.display()),
        format!("--peer-cert-file={}", keys.certificate.display()),
        format!("--peer-key-file={}", keys.key.display()),
        // The cluster does not outlive the machine, so its data need not either.
        "--unsafe-no-fsync".into(),
    ]
}

fn api_server(dir: &Path, state: &State, keys: &Keys) -> Vec<String> {
    let (certificate, key, authority) =
        (keys.certificate.display(), keys.key.display(), keys.authority.display());
    let accounts = keys.accounts.display();
    vec![
        format!("--etcd-servers=https://127.0.0.1:{}", state.place.etcd),
        format!("--etcd-cafile={authority}"),
        format!("--etcd-certfile={certificate}"),
        format!("--etcd-keyfile={key}"),
        format!("--secure-port={}", state.place.api),
        "--bind-address=127.0.0.1".into(),
        format!("--cert-dir={}", dir.join("api").display()),
        format!("--tls-cert-file={certificate}"),
        format!("--tls-private-key-file={key}"),
        format!("--token-auth-file={}", keys.tokens.display()),
        "--authorization-mode=RBAC,Node".into(),
        format!("--service-cluster-ip-range={SERVICE_RANGE}"),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        format!("--service-account-key-file={}", keys.accounts_public.display()),
        format!("--service-account-signing-key-file={accounts}"),
        "--allow-privileged=true".into(),
        // The node is called localhost, so that logs and exec travel over loopback.
        "--kubelet-preferred-address-types=Hostname".into(),
        format!("--kubelet-certificate-authority={authority}"),
        format!("--kubelet-client-certificate={certificate}"),
        format!("--kubelet-client-key={key}"),
    ]
}

fn controller_manager(kubeconfig: &str, keys: &Keys) -> Vec<String> {
    vec![
        format!("--kubeconfig={kubeconfig}"),
        format!("--service-account-private-key-file={}", keys.accounts.display()),
        format!("--root-ca-file={}", keys.authority.display()),
        "--use-service-account-credentials".into(),
        "--leader-elect=false".into(),
        // Nobody reads its metrics: a port less to find free.
        "--secure-port=0".into(),
    ]
}

fn scheduler(kubeconfig: &str) -> Vec<String> {
    vec![format!("--kubeconfig={kubeconfig}"), "--leader-elect=false".into(), "--secure-port=0".into()]
}

#[cfg(test)]
mod tests {
    use super::super::{place, state::NodeKind};
    use super::*;

    #[test]
    fn nothing_listens_off_loopback_and_nobody_comes_in_unasked() {
        let dir = Path::new("/c");
        let state = State::new("dev", Path::new("/a"), NodeKind::Real, place::choose(&[], 0).unwrap());
        let plan = plan(dir, &state, &Keys::in_dir(dir));
        let all: Vec<&String> =
            plan.first.iter().chain(&plan.then).flat_map(|service| &service.args).collect();
        for flag in ["--listen-client-urls", "--listen-peer-urls"] {
            let value = all.iter().find(|arg| arg.starts_with(flag)).unwrap();
            assert!(value.contains("https://127.0.0.1:"), "{value}");
        }
        for flag in ["--client-cert-auth", "--peer-client-cert-auth", "--bind-address=127.0.0.1"] {
            assert!(all.iter().any(|arg| *arg == flag), "{flag}");
        }
    }
}
