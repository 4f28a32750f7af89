//! The certificate of a TLS port.

use std::sync::Arc;

use tokio_rustls::rustls::ServerConfig;

/// The settings of a TLS port: HTTP/2 is offered first, as Go's gRPC demands. With `clients_pem` only clients that
/// show a certificate of one of those authorities are served.
pub fn tls(
    cert_pem: &[u8],
    key_pem: &[u8],
    clients_pem: Option<&[u8]>,
) -> Result<Arc<ServerConfig>, TlsError> {
    use tokio_rustls::rustls::{
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    };
    let certs: Vec<_> = CertificateDer::pem_slice_iter(cert_pem)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::Cert(error.to_string()))?;
    if certs.is_empty() {
        return Err(TlsError::Cert("it holds no certificate".into()));
    }
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|error| TlsError::Key(error.to_string()))?;
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Pair(error.to_string()))?;
    let builder = match clients_pem {
        None => builder.with_no_client_auth(),
        Some(pem) => builder.with_client_cert_verifier(client_verifier(pem)?),
    };
    let mut config =
        builder.with_single_cert(certs, key).map_err(|error| TlsError::Pair(error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn client_verifier(
    pem: &[u8],
) -> Result<Arc<dyn tokio_rustls::rustls::server::danger::ClientCertVerifier>, TlsError> {
    use tokio_rustls::rustls::{
        RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, pem::PemObject as _},
        server::WebPkiClientVerifier,
    };
    let fail = |error: &dyn std::fmt::Display| TlsError::Clients(error.to_string());
    let mut roots = RootCertStore::empty();
    for cert in CertificateDer::pem_slice_iter(pem) {
        let cert = cert.map_err(|error| fail(&error))?;
        roots.add(cert).map_err(|error| fail(&error))?;
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    verifier.build().map_err(|error| fail(&error))
}

/// Why a certificate and a key are no use.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate.
    #[error("--tls-cert: {0}; expected a PEM file with the server's certificate first")]
    Cert(String),
    /// The key.
    #[error("--tls-key: {0}; expected a PEM file with one private key")]
    Key(String),
    /// The authorities of clients.
    #[error("--tls-client-ca: {0}; expected a PEM file with the certificates of at least one authority")]
    Clients(String),
    /// Both together.
    #[error("--tls-cert and --tls-key do not fit: {0}")]
    Pair(String),
}
