//! What the editor can ask us to do, as types from the door on.
//!
//! Every command works without an argument, answers at once, and does its work in a task. The argument is one object,
//! whose JSON Schema is `editors/schema/commands.schema.json`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use lsp_types::{ExecuteCommandParams, ProgressToken, Uri};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

mod apply;
mod attach;
mod desk;
mod doubt;
mod here;
mod log;
mod offer;
mod restore;
mod restraint;
mod reveal;
mod watch;

pub(crate) use desk::Desk;

/// The ids, without the prefix that a client may have asked for.
pub(crate) const COMMANDS: &[&str] =
    &["ktl.apply", "ktl.cancel", "ktl.attach", "ktl.openReplay", "ktl.showSessions"];

/// What a client asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Apply a release.
    Apply(Arguments),
    /// Stop a session.
    Cancel(Arguments),
    /// Follow a session.
    Attach(Arguments),
    /// Open the page of a session.
    OpenReplay(Arguments),
    /// List the sessions of the workspace.
    ShowSessions(Arguments),
}

/// The one argument of every command; each member has a default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Arguments {
    /// The release, as `.ktl.yaml` or `Chart.yaml` names it. Without it the only one is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) release: Option<String>,
    /// The folder to look for the release in, as a path or a `file:` URI. Without it all workspace folders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) workspace: Option<String>,
    /// The session: for `ktl.apply` the id to use (one that runs is joined), otherwise the one that is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) session_id: Option<String>,
    /// Labels for the session.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: BTreeMap<String, String>,
    /// Values files beside a chart without `.ktl.yaml` that are put on top of its `values.yaml`, low to high.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) values: Vec<String>,
}

/// The answer to every command.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    /// The session that was started or is meant; null when nothing was started.
    pub(crate) session_id: Option<String>,
    /// Its page; null until the agent has told its address.
    pub(crate) url: Option<String>,
    /// What could be meant, when that is more than one thing. Each is an argument for the same command.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) choices: Vec<Value>,
}

impl Command {
    /// Decodes a request. The error names what is wrong with it.
    pub(crate) fn parse(
        params: ExecuteCommandParams,
        prefix: &str,
    ) -> Result<(Self, Option<ProgressToken>), String> {
        let name = params.command.strip_prefix(prefix).unwrap_or(&params.command);
        let build = match name {
            "ktl.apply" => Self::Apply,
            "ktl.cancel" => Self::Cancel,
            "ktl.attach" => Self::Attach,
            "ktl.openReplay" => Self::OpenReplay,
            "ktl.showSessions" => Self::ShowSessions,
            _ => {
                return Err(format!(
                    "unknown command {}; known are: {}",
                    params.command,
                    COMMANDS.join(", ")
                ));
            }
        };
        let arguments = arguments(name, params.arguments)?;
        Ok((build(arguments), params.work_done_progress_params.work_done_token))
    }

    /// The session that the client named.
    pub(crate) fn session(&self) -> Option<&str> {
        let (Self::Apply(arguments)
        | Self::Cancel(arguments)
        | Self::Attach(arguments)
        | Self::OpenReplay(arguments)
        | Self::ShowSessions(arguments)) = self;
        arguments.session_id.as_deref()
    }
}

fn arguments(command: &str, mut values: Vec<Value>) -> Result<Arguments, String> {
    if values.len() > 1 {
        return Err(format!("{command} takes one object, found {} arguments", values.len()));
    }
    match values.pop() {
        None | Some(Value::Null) => Ok(Arguments::default()),
        Some(value @ Value::Object(_)) => {
            serde_json::from_value(value).map_err(|error| format!("the argument of {command}: {error}"))
        }
        Some(other) => {
            Err(format!("{command} takes an object such as {{\"release\": \"web\"}}, found {other}"))
        }
    }
}

impl Arguments {
    /// The folder that was named, absolute.
    pub(crate) fn folder(&self) -> Result<Option<PathBuf>, String> {
        let Some(text) = &self.workspace else { return Ok(None) };
        let path = match text.parse::<Uri>() {
            Ok(uri) if text.contains("://") => crate::documents::path_of(&uri),
            _ => Some(PathBuf::from(text)),
        };
        path.filter(|path| path.is_absolute())
            .map(Some)
            .ok_or_else(|| format!("workspace: expected an absolute path or a file: URI, found {text:?}"))
    }

    /// That names a release of one folder.
    pub(crate) fn of_release(release: &str, folder: &Path) -> Self {
        Self {
            release: Some(release.to_owned()),
            workspace: Some(folder.display().to_string()),
            ..Self::default()
        }
    }

    /// That names a session.
    pub(crate) fn of_session(session: &str) -> Self {
        Self { session_id: Some(session.to_owned()), ..Self::default() }
    }

    /// As the list that goes with a command.
    pub(crate) fn list(&self) -> Vec<Value> {
        vec![json!(self)]
    }
}

impl Answer {
    /// A session and its page.
    pub(crate) fn session(session: &str, url: Option<String>) -> Self {
        Self { session_id: Some(session.to_owned()), url, choices: Vec::new() }
    }

    /// Nothing was started; these could be meant.
    pub(crate) fn choices(choices: Vec<Value>) -> Self {
        Self { choices, ..Self::default() }
    }
}

/// The published schema: for each command its argument, and the answer that all of them give.
#[cfg(test)]
fn schema() -> Value {
    let argument = schemars::schema_for!(Arguments);
    let answer = schemars::schema_for!(Answer);
    let commands: serde_json::Map<String, Value> = COMMANDS
        .iter()
        .map(|command| ((*command).to_owned(), json!({ "$ref": "#/$defs/Arguments" })))
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The commands of ktl-lsp: the one optional argument of each, by its id",
        "type": "object",
        "properties": commands,
        "additionalProperties": false,
        "$defs": { "Arguments": bare(argument), "Answer": bare(answer) },
    })
}

#[cfg(test)]
fn bare(schema: schemars::Schema) -> Value {
    let mut value = schema.to_value();
    if let Some(object) = value.as_object_mut() {
        object.remove("$schema");
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(command: &str, arguments: &Value) -> Result<Command, String> {
        let params = serde_json::from_value(json!({ "command": command, "arguments": arguments })).unwrap();
        Command::parse(params, "left.").map(|(command, _)| command)
    }

    #[test]
    fn every_command_works_without_an_argument() {
        for command in COMMANDS {
            for arguments in [json!([]), json!([null]), json!([{}])] {
                parse(command, &arguments).unwrap();
            }
            let absent = serde_json::from_value(json!({ "command": command, "title": "extra" })).unwrap();
            Command::parse(absent, "").unwrap();
        }
    }

    #[test]
    fn a_prefix_that_the_client_asked_for_is_taken_off() {
        assert_eq!(parse("left.ktl.apply", &json!([])), Ok(Command::Apply(Arguments::default())));
    }

    #[test]
    fn what_is_wrong_with_an_argument_is_named() {
        for (arguments, words) in [
            (json!([{ "relase": "web" }]), "relase"),
            (json!([{ "release": 3 }]), "the argument of ktl.apply"),
            (json!(["web"]), "takes an object"),
            (json!([{}, {}]), "2 arguments"),
        ] {
            let error = parse("ktl.apply", &arguments).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        assert!(parse("ktl.fly", &json!([])).unwrap_err().contains("ktl.showSessions"));
    }

    #[test]
    fn a_workspace_is_a_path_or_a_file_uri() {
        let folder = |text: &str| Arguments { workspace: Some(text.into()), ..Arguments::default() }.folder();
        assert_eq!(folder("/w"), Ok(Some("/w".into())));
        assert_eq!(folder("file:///w%20x"), Ok(Some("/w x".into())));
        assert!(folder("w").is_err());
        assert!(folder("https://example.com/w").is_err());
    }

    #[test]
    fn a_token_that_the_client_sends_is_kept() {
        let params = serde_json::from_value(json!({ "command": "ktl.apply", "workDoneToken": "t" })).unwrap();
        let (_, token) = Command::parse(params, "").unwrap();
        assert_eq!(token, Some(ProgressToken::String("t".to_owned())));
    }

    #[test]
    fn the_published_schema_is_current() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("editors/schema/commands.schema.json");
        let expected = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
        if std::env::var_os("KTL_UPDATE_SCHEMA").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &expected).unwrap();
        }
        let published = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(published, expected, "run the test with KTL_UPDATE_SCHEMA=1 to write {}", path.display());
    }
}
