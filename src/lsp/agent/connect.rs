//! From settings to a connection that answered `Info` once.
//!
//! A token never travels in clear off loopback, and a certificate that nobody verified is accepted only when the
//! settings say so; the caution that this needs is here for those who show it.

use std::{net::IpAddr, sync::Arc, time::Duration};

use ktl_proto::control::v1::{InfoRequest, InfoResponse, agent_service_client::AgentServiceClient};
use tokio::time::timeout;
use tonic::{
    Code,
    service::interceptor::InterceptedService,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Uri},
};

use super::{
    AgentError, Target,
    bearer::Bearer,
    error::{broken, reason},
    link::Authorized,
    local,
    verify::AcceptAnything,
};
use crate::settings::{Remote, Tls, Verification};

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
const INFO_DEADLINE: Duration = Duration::from_secs(5);

/// A fresh connection and what its agent said of itself.
pub(super) struct Connected {
    pub(super) channel: Authorized,
    pub(super) http: Option<String>,
    pub(super) notice: Option<String>,
}

/// Connects to the target; starts the local agent if that is the one and none runs.
pub(super) async fn connect(target: &Target) -> Result<Connected, AgentError> {
    match target {
        Target::Remote(remote) => connect_remote(remote).await,
        Target::Local(agent) => {
            let running = local::ensure(agent).await?;
            let mut connected = connect_remote(&running.remote).await?;
            connected.notice = running.notice;
            Ok(connected)
        }
    }
}

/// Connects to one address and asks `Info`.
pub(super) async fn connect_remote(remote: &Remote) -> Result<Connected, AgentError> {
    let (channel, info) = ask(remote).await?;
    let http = info.map(|info| info.http_url).filter(|http| !http.is_empty()).or_else(|| remote.http.clone());
    Ok(Connected { channel, http, notice: None })
}

/// What the user should know before anything, a token above all, is sent to `remote`.
pub(super) fn caution(remote: &Remote) -> Option<String> {
    (remote.tls.verification == Verification::None && remote.address.starts_with("https:"))
        .then(|| format!("the certificate of {} is not verified, as the settings ask", remote.address))
}

/// The agent's own description; `None` for an agent without `ktl.control.v1`.
pub(super) async fn ask(remote: &Remote) -> Result<(Authorized, Option<InfoResponse>), AgentError> {
    let endpoint = endpoint(remote)?;
    let bearer = Bearer::new(remote.token.as_ref()).map_err(AgentError::Settings)?;
    let unreachable = |why: String| AgentError::Unreachable { address: remote.address.clone(), why };
    let channel: Channel = timeout(CONNECT_DEADLINE, endpoint.connect())
        .await
        .map_err(|_| unreachable(format!("no connection within {} s", CONNECT_DEADLINE.as_secs())))?
        .map_err(|error| {
            let why = innermost(&error);
            if is_distrust(&error) {
                AgentError::Untrusted { address: remote.address.clone(), why }
            } else {
                unreachable(why)
            }
        })?;
    let channel = InterceptedService::new(channel, bearer);
    let info = timeout(INFO_DEADLINE, AgentServiceClient::new(channel.clone()).info(InfoRequest {}))
        .await
        .map_err(|_| AgentError::Deadline { call: "info", seconds: INFO_DEADLINE.as_secs() })?;
    match info {
        Ok(info) => Ok((channel, Some(info.into_inner()))),
        Err(status) if status.code() == Code::Unimplemented => Ok((channel, None)),
        Err(status) if broken(&status) => Err(unreachable(reason(&status))),
        Err(status) => Err(AgentError::Refused(Box::new(status))),
    }
}

fn endpoint(remote: &Remote) -> Result<Endpoint, AgentError> {
    let uri: Uri = remote.address.parse().map_err(|_| {
        AgentError::Settings(format!(
            "the agent address {:?} is not a URL; write it as https://host:port",
            remote.address
        ))
    })?;
    if uri.scheme_str() == Some("http") && remote.token.is_some() && !is_loopback(&uri) {
        return Err(AgentError::Settings(format!(
            "{} would carry the token in clear over the network; use https, or an agent on 127.0.0.1",
            remote.address
        )));
    }
    let secure = uri.scheme_str() == Some("https");
    let endpoint = Endpoint::from(uri)
        .connect_timeout(CONNECT_DEADLINE)
        .http2_keep_alive_interval(Duration::from_secs(15))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(false);
    if secure { with_tls(endpoint, &remote.tls) } else { Ok(endpoint) }
}

fn with_tls(endpoint: Endpoint, tls: &Tls) -> Result<Endpoint, AgentError> {
    let mut config = ClientTlsConfig::new();
    if let Some(name) = &tls.server_name {
        config = config.domain_name(name);
    }
    if let Some((cert, key)) = &tls.identity {
        config = config.identity(Identity::from_pem(read(cert)?, read(key)?));
    }
    let wrong = |error: tonic::transport::Error| {
        AgentError::Settings(format!("the TLS settings of the agent do not work: {}", innermost(&error)))
    };
    match tls.verification {
        Verification::None => {
            endpoint.tls_config_with_verifier(config, Arc::new(AcceptAnything::new())).map_err(wrong)
        }
        Verification::Full => {
            config = match &tls.ca {
                Some(ca) => config.ca_certificate(Certificate::from_pem(read(ca)?)),
                None => config.with_native_roots(),
            };
            endpoint.tls_config(config).map_err(wrong)
        }
    }
}

fn read(path: &std::path::Path) -> Result<Vec<u8>, AgentError> {
    std::fs::read(path).map_err(|error| {
        AgentError::Settings(format!("cannot read {} for the agent's TLS: {error}", path.display()))
    })
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether it was we who did not believe the agent's certificate.
fn is_distrust(error: &tonic::transport::Error) -> bool {
    let first = Some(error as &dyn std::error::Error);
    std::iter::successors(first, |cause| cause.source()).any(|cause| {
        // An IO error names what is in it as itself, and not as its source.
        let inner = cause.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref());
        let tls = inner.and_then(|inner| inner.downcast_ref()).or_else(|| cause.downcast_ref());
        matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
    })
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Token;

    fn with_token(address: &str) -> Remote {
        Remote { token: Some(Token::new("t")), ..Remote::plain(address) }
    }

    #[test]
    fn a_token_is_never_sent_in_clear_off_loopback() {
        assert!(endpoint(&with_token("http://127.0.0.1:7443")).is_ok());
        assert!(endpoint(&with_token("http://[::1]:7443")).is_ok());
        assert!(endpoint(&with_token("http://localhost:7443")).is_ok());
        for address in ["http://10.0.0.1:7443", "http://ktl.example:7443", "http://127.0.0.1.example:1"] {
            let error = endpoint(&with_token(address)).unwrap_err();
            assert!(error.to_string().contains("in clear"), "{error}");
        }
    }

    #[test]
    fn a_missing_certificate_file_is_named() {
        let mut remote = Remote::plain("https://ktl.example:7443");
        remote.tls.ca = Some("/nonexistent/ca.pem".into());
        let error = endpoint(&remote).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/ca.pem"), "{error}");
    }
}
