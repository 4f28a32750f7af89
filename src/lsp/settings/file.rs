//! The `agent` block of `.ktl.yaml` and of `~/.ktl/config.yaml`.

use std::path::{Path, PathBuf};

use ktl_chart::{
    config::{self, AgentSettings},
    text::Spanned,
};

use super::{Given, Layer, Origin, TokenSource, resolve_path};

/// What `path` says; relative paths in it count from its folder.
pub(crate) fn from_config(path: &Path, agent: &AgentSettings) -> Layer {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let text = |key: &str, value: &Option<Spanned<String>>| {
        value
            .as_ref()
            .map(|spanned| Given { value: spanned.value.clone(), origin: origin(path, key, spanned) })
    };
    let file = |key: &str, value: &Option<Spanned<String>>| {
        value.as_ref().map(|spanned| Given {
            value: resolve_path(folder, &spanned.value),
            origin: origin(path, key, spanned),
        })
    };
    let variable = text("agent.tokenEnv", &agent.token_env)
        .map(|given| Given { value: TokenSource::Variable(given.value), origin: given.origin });
    let token_file = file("agent.tokenFile", &agent.token_file)
        .map(|given| Given { value: TokenSource::File(given.value), origin: given.origin });
    Layer {
        address: text("agent.address", &agent.address),
        secure: None,
        http: text("agent.http", &agent.http),
        ca: file("agent.tls.ca", &agent.tls.ca),
        server_name: text("agent.tls.serverName", &agent.tls.server_name),
        cert: file("agent.tls.cert", &agent.tls.cert),
        key: file("agent.tls.key", &agent.tls.key),
        unverified: None,
        token: variable.or(token_file),
    }
}

/// What the user's own file says; nothing when there is none.
pub(crate) fn from_user_file() -> Layer {
    let Some(home) = std::env::var_os("HOME").map(PathBuf::from) else { return Layer::default() };
    let path = home.join(".ktl/config.yaml");
    let Ok(text) = std::fs::read_to_string(&path) else { return Layer::default() };
    let parsed = config::parse(".ktl.yaml", &text);
    parsed.config.agent.as_ref().map_or_else(Layer::default, |agent| from_config(&path, agent))
}

fn origin(path: &Path, key: &str, spanned: &Spanned<String>) -> Origin {
    let name = path
        .file_name()
        .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    Origin { name: format!("{key} in {name}"), place: Some((path.to_owned(), spanned.span)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_count_from_the_folder_of_the_file_and_mistakes_have_their_place() {
        let text = "agent:\n  address: https://ktl.example:7443\n  tls: { ca: ./ca.pem }\n";
        let parsed = config::parse(".ktl.yaml", text);
        let layer = from_config(Path::new("/w/.ktl.yaml"), &parsed.config.agent.unwrap());
        assert_eq!(layer.ca.as_ref().unwrap().value, Path::new("/w/./ca.pem"));
        let mistakes = layer.resolve(&|_| None).unwrap_err();
        let (file, span) = mistakes[0].place.clone().unwrap();
        assert_eq!(file, Path::new("/w/.ktl.yaml"));
        assert_eq!(&text[span.range()], "./ca.pem");
    }
}
