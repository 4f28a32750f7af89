//! TLS on every port, and clients that have to show a certificate.

use std::{fs, path::Path};

use ktl_proto::api::v1::{AgentInfoRequest, agent_info_service_client::AgentInfoServiceClient};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};

use crate::support::{Agent, Data, WithToken};

/// Writes an authority, and a certificate of it for `localhost` with its key.
pub(crate) fn certificates(folder: &Path) {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let cert = params.signed_by(&key, &authority).unwrap();
    for (name, text) in
        [("ca.pem", authority.pem()), ("cert.pem", cert.pem()), ("key.pem", key.serialize_pem())]
    {
        fs::write(folder.join(name), text).unwrap();
    }
}

async fn channel(port: u16, config: ClientTlsConfig) -> Result<Channel, tonic::transport::Error> {
    let endpoint = Channel::from_shared(format!("https://localhost:{port}")).unwrap();
    endpoint.tls_config(config.domain_name("localhost")).unwrap().connect().await
}

#[tokio::test]
async fn only_clients_with_a_certificate_are_served_once_an_authority_is_named() {
    let (data, folder) = (Data::new(), tempfile::tempdir().unwrap());
    certificates(folder.path());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    let (cert, key, ca) = (path("cert.pem"), path("key.pem"), path("ca.pem"));
    let agent = Agent::start_with(&data, &["-tls-cert", &cert, "-tls-key", &key, "-tls-client-ca", &ca]);
    let trusting = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read("ca.pem")));
    let identity = Identity::from_pem(read("cert.pem"), read("key.pem"));

    let mut known = AgentInfoServiceClient::with_interceptor(
        channel(agent.port, trusting.clone().identity(identity)).await.unwrap(),
        WithToken,
    );
    assert!(known.get_info(AgentInfoRequest {}).await.is_ok());
    // TLS 1.3 tells a client without a certificate with its first answer.
    if let Ok(stranger) = channel(agent.port, trusting).await {
        let mut stranger = AgentInfoServiceClient::with_interceptor(stranger, WithToken);
        assert!(stranger.get_info(AgentInfoRequest {}).await.is_err());
    }
}
