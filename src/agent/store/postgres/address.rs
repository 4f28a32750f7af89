//! Where the database is: the URL of `--store`, what it means, and how it is shown.

use std::{fmt, path::Path, str::FromStr, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// A database, by a URL as `psql` takes it. It is shown without its password and its settings.
#[derive(Clone)]
pub struct PostgresUrl {
    config: tokio_postgres::Config,
    tls: MakeRustlsConnect,
    shown: String,
}

/// Why a text is not a URL of a database; none of these repeats what was typed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// Another kind of address.
    #[error("expected postgres://USER@HOST/DATABASE")]
    Scheme,
    /// A part that the driver does not take.
    #[error("{0}; expected postgres://USER@HOST/DATABASE?sslmode=require")]
    Part(String),
    /// No database is named.
    #[error("it names no database: expected postgres://USER@HOST/DATABASE")]
    NoDatabase,
    /// `sslmode` is something else.
    #[error("sslmode={0:?} is none of disable, prefer, require, verify-ca and verify-full")]
    Mode(String),
    /// The certificates cannot be read.
    #[error("sslrootcert={file}: {why}")]
    Roots {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
}

impl PostgresUrl {
    /// Whether a text is meant as such a URL.
    pub fn is_meant(text: &str) -> bool {
        ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme))
    }

    pub(super) fn config(&self) -> &tokio_postgres::Config {
        &self.config
    }

    pub(super) fn tls(&self) -> MakeRustlsConnect {
        self.tls.clone()
    }
}

impl FromStr for PostgresUrl {
    type Err = InvalidUrl;

    /// `sslrootcert` and the `verify-` modes are read here, because the driver knows neither. Where TLS is used, the
    /// server is always verified.
    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        if !Self::is_meant(text) {
            return Err(InvalidUrl::Scheme);
        }
        let (place, settings) = text.split_once('?').unwrap_or((text, ""));
        let (mut mode, mut roots, mut rest) = (SslMode::Prefer, None, Vec::new());
        for setting in settings.split('&').filter(|setting| !setting.is_empty()) {
            match setting.split_once('=') {
                Some(("sslmode", word)) => mode = ssl_mode(word)?,
                Some(("sslrootcert", file)) => roots = Some(file),
                _ => rest.push(setting),
            }
        }
        let plain = format!("{place}?{}", rest.join("&"));
        let mut config: tokio_postgres::Config =
            plain.parse().map_err(|error| InvalidUrl::Part(said(&error)))?;
        if config.get_dbname().is_none_or(str::is_empty) {
            return Err(InvalidUrl::NoDatabase);
        }
        config
            .ssl_mode(mode)
            .application_name("ktl-agent")
            .connect_timeout(Duration::from_secs(5))
            .keepalives_idle(Duration::from_secs(10))
            .tcp_user_timeout(Duration::from_secs(15));
        let shown = shown(&config);
        Ok(Self { tls: tls(mode, roots)?, config, shown })
    }
}

fn said(error: &tokio_postgres::Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    cause.unwrap_or_else(|| error.to_string())
}

fn ssl_mode(word: &str) -> Result<SslMode, InvalidUrl> {
    match word {
        "disable" => Ok(SslMode::Disable),
        "prefer" => Ok(SslMode::Prefer),
        "require" | "verify-ca" | "verify-full" => Ok(SslMode::Require),
        other => Err(InvalidUrl::Mode(other.to_owned())),
    }
}

fn tls(mode: SslMode, file: Option<&str>) -> Result<MakeRustlsConnect, InvalidUrl> {
    let mut roots = RootCertStore::empty();
    match file {
        Some(file) => {
            let bad = |why: String| InvalidUrl::Roots { file: file.to_owned(), why };
            let read =
                CertificateDer::pem_file_iter(Path::new(file)).map_err(|error| bad(error.to_string()))?;
            for certificate in read {
                let certificate = certificate.map_err(|error| bad(error.to_string()))?;
                roots.add(certificate).map_err(|error| bad(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(bad("it holds no certificate".into()));
            }
        }
        // What of the system's certificates cannot be read is missing, and a server that needs it is refused.
        None if mode != SslMode::Disable => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        None => {}
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| InvalidUrl::Part(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn shown(config: &tokio_postgres::Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        Some(Host::Unix(path)) => path.display().to_string(),
        None => String::new(),
    };
    let port = config.get_ports().first().map(|port| format!(":{port}")).unwrap_or_default();
    format!("postgres://{host}{port}/{}", config.get_dbname().unwrap_or_default())
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        let url: PostgresUrl =
            "postgres://ann:s3cret@db.example:5433/ktl?sslmode=disable&connect_timeout=3".parse().unwrap();
        assert_eq!(url.to_string(), "postgres://db.example:5433/ktl");
        assert!(!format!("{url:?}").contains("s3cret"));
        assert_eq!(url.config().get_user(), Some("ann"));
    }

    #[test]
    fn what_is_no_url_is_refused_without_repeating_it() {
        for (text, words) in [
            ("mysql://ann:s3cret@db/ktl", "expected postgres://"),
            ("postgres://ann:s3cret@db", "names no database"),
            ("postgres://ann:s3cret@db/ktl?sslmode=s3", "sslmode=\"s3\" is none of"),
            ("postgres://ann:s3cret@db:nine/ktl", "expected postgres://"),
            ("postgres://ann:s3cret@db/ktl?colour=red", "colour"),
            ("postgres://ann:s3cret@db/ktl?sslrootcert=/none.pem", "sslrootcert=/none.pem: "),
        ] {
            let said = text.parse::<PostgresUrl>().unwrap_err().to_string();
            assert!(said.contains(words) && !said.contains("s3cret"), "{text}: {said}");
        }
    }
}
