//! Which agent is meant, and how to reach it: one answer out of six places, or every mistake at once.
//!
//! Low to high: what we assume, `~/.ktl/config.yaml`, `.ktl.yaml`, the environment, the editor, the command line.
//! A higher place overrides single values of a lower one. Nothing here connects.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use ktl_chart::text::Span;

use crate::workspace;

mod editor;
mod environment;
mod file;
mod target;

pub(crate) use editor::from_editor;
pub(crate) use environment::from_environment;
pub(crate) use file::{from_config, from_user_file};
pub(crate) use target::{Asking, told};

/// An agent that the user configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remote {
    /// `https://host:port` or `http://host:port`.
    pub(crate) address: String,
    /// Certificates.
    pub(crate) tls: Tls,
    /// What proves who we are.
    pub(crate) token: Option<Token>,
    /// Where browsers reach it, for an agent that does not tell.
    pub(crate) http: Option<String>,
}

/// How the connection is secured, with `https`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tls {
    /// Certificates to trust; `None`: those of the machine.
    pub(crate) ca: Option<PathBuf>,
    /// The name in the certificate, where it is not the host's.
    pub(crate) server_name: Option<String>,
    /// Our own certificate and its key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    /// Whether the agent's certificate is checked.
    pub(crate) verification: Verification,
}

/// Whether the agent's certificate is checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Verification {
    /// It must be signed by somebody we trust, for the host that we asked for.
    #[default]
    Full,
    /// Anything is accepted, because the user said so; shown with the connection.
    None,
}

/// A secret that debug output does not show.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(String);

impl Token {
    /// The token as sent.
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Only for the header that carries it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}

impl Remote {
    /// An address and nothing else.
    pub(crate) fn plain(address: &str) -> Self {
        Self { address: address.to_owned(), tls: Tls::default(), token: None, http: None }
    }
}

/// What one place says; `None` where it says nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layer {
    /// Where the agent is: a URL, or `host:port`.
    pub(crate) address: Option<Given<String>>,
    /// `https` for an address without a scheme.
    pub(crate) secure: Option<Given<bool>>,
    /// The agent's HTTP side.
    pub(crate) http: Option<Given<String>>,
    /// Trusted certificates.
    pub(crate) ca: Option<Given<PathBuf>>,
    /// The name in the certificate.
    pub(crate) server_name: Option<Given<String>>,
    /// Our certificate.
    pub(crate) cert: Option<Given<PathBuf>>,
    /// Its key.
    pub(crate) key: Option<Given<PathBuf>>,
    /// Accept any certificate.
    pub(crate) unverified: Option<Given<bool>>,
    /// The token.
    pub(crate) token: Option<Given<TokenSource>>,
}

/// Where a token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenSource {
    /// Here it is.
    Value(Token),
    /// An environment variable.
    Variable(String),
    /// A file whose only content it is.
    File(PathBuf),
}

/// A value, and who gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given<T> {
    /// The value.
    pub(crate) value: T,
    /// Who gave it.
    pub(crate) origin: Origin,
}

/// Who gave a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// In words: `KTL_REMOTE_AGENT`, `agent.address in .ktl.yaml`, `--agent`.
    pub(crate) name: String,
    /// For files, the place.
    pub(crate) place: Option<(PathBuf, Span)>,
}

/// A setting that cannot work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// Names the setting, what was expected, and what to do.
    pub(crate) message: String,
    /// Where it is written, for settings in files.
    pub(crate) place: Option<(PathBuf, Span)>,
}

impl<T> Given<T> {
    /// A value from somewhere that is no file.
    pub(crate) fn new(value: T, name: &str) -> Self {
        Self { value, origin: Origin { name: name.to_owned(), place: None } }
    }
}

impl Origin {
    /// Whether a file of the workspace gave it. The user's own file has another name.
    fn is_in_workspace(&self) -> bool {
        self.place.as_ref().is_some_and(|(path, _)| workspace::has_config_name(path))
    }

    /// Something wrong with what this origin gave.
    fn mistake(&self, problem: impl fmt::Display) -> Mistake {
        Mistake { message: format!("{}: {problem}", self.name), place: self.place.clone() }
    }
}

impl Layer {
    /// The address given on the command line.
    pub(crate) fn from_argument(agent: Option<&str>) -> Self {
        Self { address: agent.map(|address| Given::new(address.to_owned(), "--agent")), ..Self::default() }
    }

    /// This layer with whatever a higher one says instead.
    #[must_use]
    pub(crate) fn under(self, higher: Self) -> Self {
        Self {
            address: higher.address.or(self.address),
            secure: higher.secure.or(self.secure),
            http: higher.http.or(self.http),
            ca: higher.ca.or(self.ca),
            server_name: higher.server_name.or(self.server_name),
            cert: higher.cert.or(self.cert),
            key: higher.key.or(self.key),
            unverified: higher.unverified.or(self.unverified),
            token: higher.token.or(self.token),
        }
    }

    /// Who gave the values.
    fn origins(&self) -> impl Iterator<Item = &Origin> {
        [
            origin(self.address.as_ref()),
            origin(self.secure.as_ref()),
            origin(self.http.as_ref()),
            origin(self.ca.as_ref()),
            origin(self.server_name.as_ref()),
            origin(self.cert.as_ref()),
            origin(self.key.as_ref()),
            origin(self.unverified.as_ref()),
            origin(self.token.as_ref()),
        ]
        .into_iter()
        .flatten()
    }

    /// What all layers together mean: `None` is the local agent. `variable` reads the environment.
    pub(crate) fn resolve(
        self,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Remote>, Vec<Mistake>> {
        let Some(address) = &self.address else { return Ok(None) };
        let mut mistakes = Vec::new();
        let url = collect(&mut mistakes, self.url(address));
        let token = collect(&mut mistakes, self.read_token(variable));
        let identity = collect(&mut mistakes, self.identity());
        for file in [&self.ca, &self.cert, &self.key].into_iter().flatten() {
            if !file.value.is_file() {
                mistakes.push(file.origin.mistake(format!("there is no file {}", file.value.display())));
            }
        }
        let (Some(address), Some(token), Some(identity), true) = (url, token, identity, mistakes.is_empty())
        else {
            return Err(mistakes);
        };
        let unverified = self.unverified.is_some_and(|given| given.value);
        Ok(Some(Remote {
            address,
            tls: Tls {
                ca: self.ca.map(|given| given.value),
                server_name: self.server_name.map(|given| given.value),
                identity,
                verification: if unverified { Verification::None } else { Verification::Full },
            },
            token,
            http: self.http.map(|given| given.value),
        }))
    }

    /// The address with its scheme. The public client writes `host:port` and says TLS beside it.
    fn url(&self, address: &Given<String>) -> Result<String, Mistake> {
        let text = address.value.trim();
        let wants_tls = self.secure.as_ref().map(|given| given.value);
        let has_tls = self.ca.is_some() || self.cert.is_some() || self.server_name.is_some();
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme @ ("http" | "https"), rest)) => (scheme, rest),
            Some((scheme, _)) => {
                return Err(address
                    .origin
                    .mistake(format!("expected http:// or https://, found {scheme}://")));
            }
            None if wants_tls.unwrap_or(has_tls) => ("https", text),
            None => ("http", text),
        };
        if scheme == "http" && wants_tls == Some(true) {
            return Err(address
                .origin
                .mistake("TLS is asked for, and the address says http://; write https://"));
        }
        let rest = rest.trim_end_matches('/');
        let valid = rest.parse::<tonic::transport::Uri>().is_ok_and(|uri| uri.host().is_some());
        let bare = rest.contains('/') || rest.is_empty() || !(valid || rest.starts_with('['));
        if bare {
            return Err(address
                .origin
                .mistake(format!("expected https://host:port, found {:?}", address.value)));
        }
        Ok(format!("{scheme}://{rest}"))
    }

    fn identity(&self) -> Result<Option<(PathBuf, PathBuf)>, Mistake> {
        match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Ok(Some((cert.value.clone(), key.value.clone()))),
            (None, None) => Ok(None),
            (Some(cert), None) => {
                Err(cert.origin.mistake("a certificate needs its key; give both or neither"))
            }
            (None, Some(key)) => Err(key.origin.mistake("a key needs its certificate; give both or neither")),
        }
    }

    fn read_token(&self, variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Token>, Mistake> {
        let Some(given) = &self.token else { return Ok(None) };
        let text = match &given.value {
            TokenSource::Value(token) => return Ok(Some(token.clone())),
            TokenSource::Variable(name) => variable(name)
                .ok_or_else(|| given.origin.mistake(format!("the environment variable {name} is not set"))),
            TokenSource::File(path) => fs::read_to_string(path)
                .map_err(|error| given.origin.mistake(format!("cannot read {}: {error}", path.display()))),
        }?;
        let text = text.trim();
        if text.is_empty() {
            return Err(given.origin.mistake("the token is empty"));
        }
        Ok(Some(Token::new(text)))
    }
}

/// `~/x` is below the user's home; anything else that is relative is below `base`.
pub(crate) fn resolve_path(base: &Path, text: &str) -> PathBuf {
    match text.strip_prefix("~/") {
        Some(rest) => std::env::var_os("HOME").map_or_else(|| base.to_owned(), PathBuf::from).join(rest),
        None => base.join(text),
    }
}

fn origin<T>(given: Option<&Given<T>>) -> Option<&Origin> {
    given.map(|given| &given.origin)
}

fn collect<T>(mistakes: &mut Vec<Mistake>, result: Result<T, Mistake>) -> Option<T> {
    result.map_err(|mistake| mistakes.push(mistake)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Layer {
        Layer::from_argument(Some(text))
    }

    fn resolved(layer: Layer) -> Remote {
        layer.resolve(&|_| None).unwrap().unwrap()
    }

    #[test]
    fn without_an_address_the_local_agent_is_meant() {
        assert_eq!(Layer::default().resolve(&|_| None), Ok(None));
    }

    #[test]
    fn a_higher_layer_overrides_single_values() {
        let low =
            Layer { http: Some(Given::new("http://low".to_owned(), "low")), ..address("https://low:1") };
        let remote = resolved(low.under(address("https://high:2")));
        assert_eq!((remote.address.as_str(), remote.http.as_deref()), ("https://high:2", Some("http://low")));
    }

    #[test]
    fn an_address_without_a_scheme_is_what_the_public_client_writes() {
        assert_eq!(resolved(address("127.0.0.1:7443")).address, "http://127.0.0.1:7443");
        let secure =
            Layer { secure: Some(Given::new(true, "KTL_REMOTE_TLS")), ..address("ktl.example:7443") };
        assert_eq!(resolved(secure).address, "https://ktl.example:7443");
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let layer = Layer {
            ca: Some(Given::new("/nonexistent/ca.pem".into(), "agent.tls.ca")),
            cert: Some(Given::new("/nonexistent/me.pem".into(), "agent.tls.cert")),
            token: Some(Given::new(TokenSource::Variable("NOPE".to_owned()), "agent.tokenEnv")),
            ..address("ftp://x")
        };
        let mistakes = layer.resolve(&|_| None).unwrap_err();
        let text: Vec<_> = mistakes.iter().map(|mistake| mistake.message.as_str()).collect();
        for name in ["--agent", "agent.tls.ca", "agent.tls.cert", "agent.tokenEnv"] {
            assert!(text.iter().any(|line| line.starts_with(name)), "{name} in {text:?}");
        }
    }

    #[test]
    fn addresses_that_lead_nowhere_are_mistakes() {
        for text in ["", "https://", "http://a/b", "two words"] {
            assert!(address(text).resolve(&|_| None).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_token_is_read_from_where_the_setting_says() {
        let layer = Layer {
            token: Some(Given::new(TokenSource::Variable("T".to_owned()), "agent.tokenEnv")),
            ..address("http://127.0.0.1:1")
        };
        let remote = layer.resolve(&|name| (name == "T").then(|| " secret\n".to_owned())).unwrap().unwrap();
        assert_eq!(remote.token.unwrap().reveal(), "secret");
    }

    #[test]
    fn debug_output_hides_a_token() {
        assert!(!format!("{:?}", Token::new("secret")).contains("secret"));
    }
}
