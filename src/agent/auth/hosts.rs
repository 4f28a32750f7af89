//! Under which names this agent is reached. A browser that was tricked by DNS sends another name, and is refused.

use std::net::{IpAddr, SocketAddr};

/// The `Host` values that are ours, and the origins that belong to them.
#[derive(Clone, Debug)]
pub struct Hosts {
    names: Vec<String>,
    origins: Vec<String>,
    /// Ports on every address: any literal address with this port is ours, for only a name can be pointed elsewhere.
    any_address: Vec<u16>,
}

impl Hosts {
    /// The names of an agent that listens on `bound`, and that of `public_url` (`scheme://host[:port]`).
    pub fn new(bound: &[SocketAddr], public_url: Option<&str>) -> Self {
        let own = |bound: &SocketAddr| {
            let port = bound.port();
            let local = ["127.0.0.1", "localhost", "[::1]"].map(|name| format!("{name}:{port}"));
            local.into_iter().chain([bound.to_string()])
        };
        let mut names: Vec<String> = bound.iter().flat_map(own).collect();
        let mut origins: Vec<String> =
            names.iter().flat_map(|name| [format!("http://{name}"), format!("https://{name}")]).collect();
        if let Some(url) = public_url.map(|url| url.trim_end_matches('/').to_ascii_lowercase()) {
            let host = url.split_once("://").map_or(url.as_str(), |(_, host)| host);
            names.push(host.split('/').next().unwrap_or(host).to_owned());
            origins.push(url.clone());
        }
        let everywhere = bound.iter().filter(|bound| bound.ip().is_unspecified());
        Self { names, origins, any_address: everywhere.map(SocketAddr::port).collect() }
    }

    /// Whether a `Host` or `:authority` is ours.
    pub fn allow(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        self.names.contains(&host) || self.is_address(&host)
    }

    /// Whether an `Origin` is a page of ours.
    pub fn allow_origin(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        let host = origin.split_once("://").map_or("", |(_, host)| host);
        self.origins.contains(&origin) || self.is_address(host)
    }

    fn is_address(&self, host: &str) -> bool {
        let found = self.any_address.iter().find_map(|port| host.strip_suffix(&format!(":{port}")));
        found.is_some_and(|ip| ip.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_names_are_ours() {
        let hosts = Hosts::new(&["127.0.0.1:7443".parse().unwrap()], Some("https://ktl.example.com/"));
        for ours in ["127.0.0.1:7443", "localhost:7443", "LOCALHOST:7443", "[::1]:7443", "ktl.example.com"] {
            assert!(hosts.allow(ours), "{ours}");
        }
        for other in [
            "127.0.0.1",
            "localhost:7444",
            "evil.example.com:7443",
            "127.0.0.1:7443.evil.com",
            "",
            "10.0.0.7:7443",
        ] {
            assert!(!hosts.allow(other), "{other}");
        }
        assert!(hosts.allow_origin("http://localhost:7443") && hosts.allow_origin("https://ktl.example.com"));
        for other in
            ["null", "http://localhost:3000", "https://ktl.example.com.evil.com", "http://ktl.example.com"]
        {
            assert!(!hosts.allow_origin(other), "{other}");
        }
    }

    #[test]
    fn an_agent_on_every_address_is_reached_by_address_and_not_by_any_name() {
        let hosts = Hosts::new(&["0.0.0.0:7443".parse().unwrap()], None);
        assert!(hosts.allow("10.0.0.7:7443") && !hosts.allow("10.0.0.7:80") && !hosts.allow("evil.com:7443"));
    }
}
