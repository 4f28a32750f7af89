//! All six places together: which agent a piece of work goes to.

use std::path::{Path, PathBuf};

use ktl_chart::config;
use serde_json::Value;

use super::{Layer, Mistake, Origin, from_config, from_editor, from_environment, from_user_file};
use crate::{
    agent::{Target, local::LocalAgent},
    workspace::{self, Buffers},
};

/// Who asks for an agent, and with which words of its own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asking {
    /// The folders of the workspace.
    pub(crate) folders: Vec<PathBuf>,
    /// What the editor's settings say.
    pub(crate) editor: Value,
    /// `--agent`.
    pub(crate) argument: Option<String>,
}

impl Asking {
    /// The agent for work on what `file` describes, or for the workspace as a whole. Reads files.
    pub(crate) fn target(&self, file: Option<&Path>, buffers: &Buffers) -> Result<Target, Vec<Mistake>> {
        let (layer, mistakes) = self.layers(file, buffers);
        match layer.resolve(&variable) {
            Ok(remote) if mistakes.is_empty() => {
                Ok(remote.map_or_else(|| Target::Local(LocalAgent::of_user()), Target::Remote))
            }
            Ok(_) => Err(mistakes),
            Err(wrong) => Err(mistakes.into_iter().chain(wrong).collect()),
        }
    }

    /// Whether the workspace's own files say where the agent is, or what it is told of us. Whoever wrote them need not
    /// be somebody whom the user trusts. Reads none of the files that they name.
    pub(crate) fn heeds_workspace(&self, buffers: &Buffers) -> bool {
        let (layer, _) = self.layers(None, buffers);
        layer.address.is_some() && layer.origins().any(Origin::is_in_workspace)
    }

    /// All places together, and what is wrong with some of them.
    fn layers(&self, file: Option<&Path>, buffers: &Buffers) -> (Layer, Vec<Mistake>) {
        let (environment, mut mistakes) = from_environment(&variable);
        let folder = self.folders.first().map_or(Path::new("/"), PathBuf::as_path);
        let (editor, wrong) = from_editor(&self.editor, folder);
        mistakes.extend(wrong);
        let layer = from_user_file()
            .under(self.written(file, buffers))
            .under(environment)
            .under(editor)
            .under(Layer::from_argument(self.argument.as_deref()));
        (layer, mistakes)
    }

    /// The first `agent` block of: the file itself, then the workspace folders.
    fn written(&self, file: Option<&Path>, buffers: &Buffers) -> Layer {
        let own = file.filter(|path| workspace::is_config(path, buffers)).map(Path::to_owned);
        let roots = self.folders.iter().flat_map(|folder| workspace::configs_in(folder, buffers));
        own.into_iter()
            .chain(roots)
            .find_map(|path| {
                let text = buffers.text(&path).ok()?;
                let agent = config::parse(&path.display().to_string(), &text).config.agent?;
                Some(from_config(&path, &agent))
            })
            .unwrap_or_default()
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Mistakes as one message.
pub(crate) fn told(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(|mistake| mistake.message.as_str()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_argument_wins_over_the_file_and_the_file_counts_without_one() {
        let folder = tempfile::tempdir().unwrap();
        let text = "agent:\n  address: http://127.0.0.1:1\n";
        std::fs::write(folder.path().join(".ktl.yaml"), text).unwrap();
        let mut asking = Asking { folders: vec![folder.path().to_owned()], ..Asking::default() };
        let address = |asking: &Asking| match asking.target(None, &Buffers::default()).unwrap() {
            Target::Remote(remote) => remote.address,
            Target::Local(_) => "local".to_owned(),
        };
        assert_eq!(address(&asking), "http://127.0.0.1:1");
        asking.argument = Some("http://127.0.0.1:2".to_owned());
        assert_eq!(address(&asking), "http://127.0.0.1:2");
    }

    #[test]
    fn what_the_workspace_says_of_an_agent_is_told_from_what_the_user_says() {
        let folder = tempfile::tempdir().unwrap();
        let mut asking = Asking { folders: vec![folder.path().to_owned()], ..Asking::default() };
        let mut heeds = |text: &str, editor: Value| {
            std::fs::write(folder.path().join(".ktl.yaml"), text).unwrap();
            asking.editor = editor;
            asking.heeds_workspace(&Buffers::default())
        };
        let of_user = json!({ "agent": { "address": "https://mine:1" } });
        assert!(heeds("agent: { address: https://theirs:1 }\n", Value::Null));
        assert!(
            heeds("agent: { tokenEnv: AWS_SECRET_ACCESS_KEY }\n", of_user.clone()),
            "their choice of token"
        );
        assert!(!heeds("agent: { address: https://theirs:1 }\n", of_user.clone()), "the editor's wins");
        assert!(!heeds("releases: []\n", of_user));
        assert!(!heeds("agent: { tokenEnv: AWS_SECRET_ACCESS_KEY }\n", Value::Null), "the local agent");
    }
}
