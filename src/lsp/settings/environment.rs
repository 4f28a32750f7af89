//! The environment of the public client, honored.

use std::path::{Path, PathBuf};

use super::{Given, Layer, Mistake, Origin, Token, TokenSource};

/// What the `KTL_REMOTE_*` variables say. `variable` reads the environment.
pub(crate) fn from_environment(variable: &dyn Fn(&str) -> Option<String>) -> (Layer, Vec<Mistake>) {
    let mut mistakes = Vec::new();
    let text =
        |name: &str| variable(name).filter(|value| !value.is_empty()).map(|value| Given::new(value, name));
    let path =
        |name: &str| text(name).map(|given| Given { value: absolute(&given.value), origin: given.origin });
    let mut flag =
        |name: &str| match text(name).as_ref().map(|given| given.value.to_ascii_lowercase()).as_deref() {
            None => None,
            Some("1" | "t" | "true" | "yes" | "on") => Some(Given::new(true, name)),
            Some("0" | "f" | "false" | "no" | "off") => Some(Given::new(false, name)),
            Some(other) => {
                let origin = Origin { name: name.to_owned(), place: None };
                mistakes.push(origin.mistake(format!("expected true or false, found {other:?}")));
                None
            }
        };
    let secure = flag("KTL_REMOTE_TLS");
    let unverified = flag("KTL_REMOTE_TLS_INSECURE_SKIP_VERIFY");
    let layer = Layer {
        address: text("KTL_REMOTE_AGENT"),
        secure,
        http: None,
        ca: path("KTL_REMOTE_TLS_CA"),
        server_name: text("KTL_REMOTE_TLS_SERVER_NAME"),
        cert: path("KTL_REMOTE_TLS_CLIENT_CERT"),
        key: path("KTL_REMOTE_TLS_CLIENT_KEY"),
        unverified,
        token: text("KTL_REMOTE_TOKEN").map(|given| Given {
            value: TokenSource::Value(Token::new(given.value.trim())),
            origin: given.origin,
        }),
    };
    (layer, mistakes)
}

fn absolute(text: &str) -> PathBuf {
    std::path::absolute(text).unwrap_or_else(|_| Path::new(text).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_of_the_public_client_are_honored() {
        let (layer, mistakes) = from_environment(&|name| match name {
            "KTL_REMOTE_AGENT" => Some("ktl.example:7443".to_owned()),
            "KTL_REMOTE_TOKEN" => Some("secret".to_owned()),
            "KTL_REMOTE_TLS" | "KTL_REMOTE_TLS_INSECURE_SKIP_VERIFY" => Some("true".to_owned()),
            _ => None,
        });
        assert!(mistakes.is_empty());
        let remote = layer.resolve(&|_| None).unwrap().unwrap();
        assert_eq!(remote.address, "https://ktl.example:7443");
        assert_eq!(remote.tls.verification, crate::settings::Verification::None);
        assert_eq!(remote.token.unwrap().reveal(), "secret");
    }

    #[test]
    fn a_flag_that_is_no_flag_is_a_mistake_that_names_the_variable() {
        let (_, mistakes) = from_environment(&|name| (name == "KTL_REMOTE_TLS").then(|| "maybe".to_owned()));
        assert_eq!(mistakes[0].message, "KTL_REMOTE_TLS: expected true or false, found \"maybe\"");
    }
}
