//! Connections: HTTP/1.1 and HTTP/2 on one port, in clear or over TLS.
//!
//! Nobody who connects is believed to go on: each step of a connection has its time, and there are so many places and
//! no more. Who comes beyond them is told so.

mod certificate;
mod greeting;
mod room;

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use self::{
    greeting::{Protocol, greet},
    room::{Place, Room},
};
use crate::{http, shutdown::Shutdown};

pub use self::certificate::{TlsError, tls};

/// What a peer may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Time to shake hands, and once more to say which protocol it speaks.
    pub greeting: Duration,
    /// Time to send the head of a request over HTTP/1.1; such a connection rests no longer than that either.
    pub head: Duration,
    /// Over HTTP/2, silence after which a peer is asked whether it is there.
    pub silence: Duration,
    /// Time to answer that.
    pub answer: Duration,
    /// Connections at a time.
    pub connections: usize,
}

impl Limits {
    /// What suits browsers, Go clients and this process. Raises the number of files that it may open.
    pub fn of_process() -> Self {
        Self {
            greeting: Duration::from_secs(10),
            head: Duration::from_secs(10),
            silence: Duration::from_secs(25),
            answer: Duration::from_secs(20),
            connections: room::connections(4096),
        }
    }
}

/// What every connection of a port is served with.
struct Port {
    router: Router,
    /// The answer to those beyond the limit.
    full: Router,
    acceptor: Option<TlsAcceptor>,
    limits: Limits,
    shutdown: Shutdown,
}

/// Takes connections until the agent stops. Each ends after the requests that it has.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Arc<ServerConfig>>,
    limits: Limits,
    shutdown: Shutdown,
) {
    let room = Room::new(limits.connections);
    let full = http::full(limits.connections);
    let (stop, tasks) = (shutdown.token.clone(), shutdown.tasks.clone());
    let port = Arc::new(Port { router, full, acceptor: tls.map(TlsAcceptor::from), limits, shutdown });
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
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
        let Some(place) = room.take() else { continue };
        // Acknowledgements are small and must not wait to be collected.
        let _ = stream.set_nodelay(true);
        let port = Arc::clone(&port);
        tasks.spawn(async move { port.take(stream, place).await });
    }
}

/// How long a connection may stay after its client was told that the agent ends: requests in flight get their answer,
/// and a client that never leaves does not cost the whole grace.
const LINGER: Duration = Duration::from_secs(4);

impl Port {
    async fn take(&self, stream: TcpStream, place: Place) {
        match place {
            Place::Served(_held) => {
                let _connected = self.shutdown.connected();
                self.open(stream, &self.router).await;
            }
            Place::Refused(_held) => {
                tracing::warn!(limit = self.limits.connections, "a connection too many is refused");
                let _ = timeout(self.limits.greeting, self.open(stream, &self.full)).await;
            }
        }
    }

    async fn open(&self, stream: TcpStream, router: &Router) {
        let Some(acceptor) = &self.acceptor else { return self.connection(stream, router).await };
        match timeout(self.limits.greeting, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => self.connection(stream, router).await,
            Ok(Err(error)) => tracing::debug!(%error, "no TLS session"),
            Err(_) => tracing::debug!("no TLS session in time"),
        }
    }

    async fn connection(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        router: &Router,
    ) {
        let stop = &self.shutdown.token;
        let greeted = stop.run_until_cancelled(timeout(self.limits.greeting, greet(stream))).await;
        let (protocol, stream) = match greeted {
            Some(Ok(Ok(greeted))) => greeted,
            None | Some(Ok(Err(_))) => return,
            Some(Err(_)) => return tracing::debug!("a client connected and said nothing"),
        };
        let builder = self.builder(protocol);
        let service = TowerToHyperService::new(router.clone());
        let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                match timeout(LINGER, connection).await {
                    Ok(ended) => ended,
                    Err(_) => {
                        return tracing::debug!("a client kept its connection open after it was told to leave");
                    }
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error, "a connection broke");
        }
    }

    /// Windows are large enough that one reader that stops does not stall the other streams of its connection, and a
    /// client's own pings are not counted against it.
    fn builder(&self, protocol: Protocol) -> auto::Builder<TokioExecutor> {
        let Limits { head, silence, answer, .. } = self.limits;
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(head);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(silence)
            .keep_alive_timeout(answer)
            .initial_connection_window_size(16 * 1024 * 1024)
            .initial_stream_window_size(1024 * 1024)
            .max_concurrent_streams(2000)
            .max_header_list_size(64 * 1024);
        match protocol {
            Protocol::One => builder.http1_only(),
            Protocol::Two => builder.http2_only(),
        }
    }
}

#[cfg(test)]
mod tests;
