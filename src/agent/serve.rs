//! Connections: HTTP/1.1 and HTTP/2 on one port, in clear or over TLS.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use crate::shutdown::Shutdown;

/// A peer that has not sent its request's head, or shaken hands, by then is not going to.
const HEAD: Duration = Duration::from_secs(10);

/// Takes connections until the agent stops. Each ends after the requests that it has.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Arc<ServerConfig>>,
    shutdown: Shutdown,
) {
    let acceptor = tls.map(TlsAcceptor::from);
    loop {
        let accepted = tokio::select! {
            () = shutdown.token.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors: the queue keeps the peer until one is free.
                tracing::warn!(%error, "cannot take a connection");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Acknowledgements are small and must not wait to be collected.
        let _ = stream.set_nodelay(true);
        let (router, shutdown, acceptor) = (router.clone(), shutdown.clone(), acceptor.clone());
        let tasks = shutdown.tasks.clone();
        tasks.spawn(async move {
            let _connected = shutdown.connected();
            match acceptor {
                None => connection(stream, router, &shutdown).await,
                Some(acceptor) => match timeout(HEAD, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => connection(stream, router, &shutdown).await,
                    Ok(Err(error)) => tracing::debug!(%error, "no TLS session"),
                    Err(_) => tracing::debug!("no TLS session in time"),
                },
            }
        });
    }
}

/// How long a connection may stay after its client was told that the agent ends: requests in flight get their answer,
/// and a client that never leaves does not cost the whole grace.
const LINGER: Duration = Duration::from_secs(4);

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    shutdown: &Shutdown,
) {
    let builder = builder();
    let service = TowerToHyperService::new(router);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.token.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match timeout(LINGER, connection).await {
                Ok(ended) => ended,
                Err(_) => return tracing::debug!("a client kept its connection open after it was told to leave"),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a connection broke");
    }
}

/// Windows are large enough that one reader that stops does not stall the other streams of its connection, and a
/// client's own pings are not counted against it.
fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(25))
        .keep_alive_timeout(Duration::from_secs(20))
        .initial_connection_window_size(16 * 1024 * 1024)
        .initial_stream_window_size(1024 * 1024)
        .max_concurrent_streams(2000)
        .max_header_list_size(64 * 1024);
    builder
}

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
