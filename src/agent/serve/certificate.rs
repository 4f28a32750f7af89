//! The certificate of a TLS port.

use std::sync::Arc;

use tokio_rustls::rustls::ServerConfig;

/// The settings of a TLS port: HTTP/2 is offered first, as Go's gRPC demands.
pub fn tls(cert_pem: &[u8], key_pem: &[u8]) -> Result<Arc<ServerConfig>, TlsError> {
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
    let mut config = builder
        .with_no_client_auth()
        .with_single_cert(certs, key)
        .map_err(|error| TlsError::Pair(error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
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
    /// Both together.
    #[error("--tls-cert and --tls-key do not fit: {0}")]
    Pair(String),
}
