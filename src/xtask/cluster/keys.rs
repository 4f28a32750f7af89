//! The certificates, keys and tokens of one cluster.
//!
//! Promises: made anew for each cluster and readable by its owner only, so that nobody else on the machine gets in:
//! what a cluster runs, it runs as root. Does not know who uses which.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use serde_json::json;

use super::state::State;
use crate::hex::hex;

/// Where the keys of a cluster are.
#[derive(Debug)]
pub(super) struct Keys {
    /// The authority that every program of the cluster trusts.
    pub(super) authority: PathBuf,
    /// One certificate for all of them, as server on loopback and as client.
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    /// Signs the tokens of service accounts.
    pub(super) accounts: PathBuf,
    /// Verifies them.
    pub(super) accounts_public: PathBuf,
    /// The file with the administrator's token.
    pub(super) tokens: PathBuf,
}

impl Keys {
    /// Where they are in the cluster folder `dir`.
    pub(super) fn in_dir(dir: &Path) -> Self {
        let keys = dir.join("keys");
        Self {
            authority: keys.join("authority.crt"),
            certificate: keys.join("cluster.crt"),
            key: keys.join("cluster.key"),
            accounts: keys.join("accounts.key"),
            accounts_public: keys.join("accounts.pub"),
            tokens: keys.join("tokens.csv"),
        }
    }
}

/// Makes the keys and the kubeconfig of the cluster in `dir`.
pub(super) fn write(dir: &Path, state: &State) -> Result<Keys> {
    let keys = Keys::in_dir(dir);
    fs::create_dir_all(dir.join("keys"))?;
    // The folder keeps everything inside from others: keys, tokens, sockets, pod data.
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;

    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, format!("ktl cluster {}", state.name));
    let authority_key = KeyPair::generate()?;
    fs::write(&keys.authority, authority.self_signed(&authority_key)?.pem())?;
    let issuer = Issuer::new(authority, authority_key);

    let names = ["localhost", "127.0.0.1", "10.96.0.1", "kubernetes.default.svc"];
    let mut leaf = CertificateParams::new(names.map(String::from).to_vec())?;
    leaf.distinguished_name.push(DnType::CommonName, "ktl");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate()?;
    fs::write(&keys.certificate, leaf.signed_by(&key, &issuer)?.pem())?;
    fs::write(&keys.key, key.serialize_pem())?;
    let accounts = KeyPair::generate()?;
    fs::write(&keys.accounts, accounts.serialize_pem())?;
    fs::write(&keys.accounts_public, accounts.public_key_pem())?;

    let token = token()?;
    fs::write(&keys.tokens, format!("{token},admin,admin,system:masters\n"))?;
    let config = kubeconfig(&format!("ktl-{}", state.name), state.place.api, &keys.authority, &token);
    fs::write(dir.join("kubeconfig"), serde_json::to_vec_pretty(&config)?)?;
    Ok(keys)
}

/// A kubeconfig with one context; JSON, which every reader of YAML reads.
fn kubeconfig(name: &str, port: u16, authority: &Path, token: &str) -> serde_json::Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {
            "server": format!("https://127.0.0.1:{port}"),
            "certificate-authority": authority,
        }}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    })
}

fn token() -> Result<String> {
    let mut bytes = [0; 24];
    fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .context("no /dev/urandom")?;
    Ok(hex(&bytes))
}

#[cfg(test)]
mod tests {
    use super::super::{place, state::NodeKind};
    use super::*;

    #[test]
    fn the_kubeconfig_verifies_the_server_and_only_the_owner_can_read_the_keys() {
        let dir = tempfile::tempdir().unwrap();
        let place = place::choose(&[], 0).unwrap();
        let state = State::new("dev", Path::new("/"), NodeKind::Real, place);
        let keys = write(dir.path(), &state).unwrap();
        let text = fs::read_to_string(dir.path().join("kubeconfig")).unwrap();
        assert!(text.contains("\"certificate-authority\"") && !text.contains("insecure"), "{text}");
        assert!(text.contains(&format!("https://127.0.0.1:{}", place.api)), "{text}");
        assert!(fs::read_to_string(&keys.accounts).unwrap().contains("PRIVATE KEY"));
        assert_eq!(fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
