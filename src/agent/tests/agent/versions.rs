//! One port for both versions of HTTP, in clear and over TLS: a browser's streams share a connection where they can.

use std::{fs, sync::Arc, time::Duration};

use axum::http::{Request, Response, Version};
use futures::{StreamExt as _, future::join_all};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};
use tonic::{
    body::Body,
    transport::{Certificate, Channel, ClientTlsConfig},
};
use tower::{Service as _, ServiceExt as _};

use crate::{
    support::{Agent, Data, TOKEN, frame, publish},
    tls::certificates,
};

/// A request of HTTP/2, over the connection of a gRPC client: that is what shares it.
async fn get(channel: &Channel, url: &str) -> Response<Body> {
    let request = Request::get(url).version(Version::HTTP_2).header("x-ktl-token", TOKEN);
    let mut channel = channel.clone();
    channel.ready().await.unwrap().call(request.body(Body::empty()).unwrap()).await.unwrap()
}

/// Reads an event stream until it has this text.
async fn until(answer: Response<Body>, text: &str) {
    assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
    let mut body = axum::body::Body::new(answer.into_body()).into_data_stream();
    let mut seen = String::new();
    let reading = async {
        while !seen.contains(text) {
            seen.push_str(&String::from_utf8_lossy(&body.next().await.unwrap().unwrap()));
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading).await.unwrap();
}

#[tokio::test]
async fn forty_streams_and_a_call_share_one_connection_in_clear() {
    let data = Data::new();
    let agent = Agent::start(&data);
    publish(&mut agent.mirror().await, vec![frame("s", "one")]).await.unwrap();
    let channel = agent.channel().await;
    let url = format!("http://127.0.0.1:{}/api/v1/sessions/s/events", agent.port);
    let streams = join_all((0..40).map(|_| get(&channel, &url))).await;
    publish(&mut agent.mirror().await, vec![frame("s", "two")]).await.unwrap();
    join_all(streams.into_iter().map(|stream| until(stream, ":2\n"))).await;
    // The same port, the other version.
    assert_eq!(agent.get("/api/v1/sessions/s").await.status, 200);
}

#[tokio::test]
async fn over_tls_the_client_chooses_the_version() {
    let (data, folder) = (Data::new(), tempfile::tempdir().unwrap());
    certificates(folder.path());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let agent = Agent::start_with(&data, &["--tls-cert", &path("cert.pem"), "--tls-key", &path("key.pem")]);
    let ca = fs::read(folder.path().join("ca.pem")).unwrap();

    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&ca)).domain_name("localhost");
    let url = format!("https://localhost:{}", agent.port);
    let channel =
        Channel::from_shared(url.clone()).unwrap().tls_config(tls).unwrap().connect().await.unwrap();
    let answer = get(&channel, &format!("{url}/api/v1/sessions")).await;
    assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));

    for (offered, agreed) in
        [(vec!["http/1.1"], Some("http/1.1")), (vec!["http/1.1", "h2"], Some("h2")), (vec![], None)]
    {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&ca).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = offered.into_iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(("127.0.0.1", agent.port)).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed.map(str::as_bytes));
        if agreed == Some("h2") {
            continue;
        }
        let head =
            format!("GET /healthz HTTP/1.1\r\nhost: localhost:{}\r\nconnection: close\r\n\r\n", agent.port);
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok\n"), "{answer}");
    }
}
