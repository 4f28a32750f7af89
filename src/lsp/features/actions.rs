//! Code actions: what the lenses offer, for editors without lenses, and the fixes of findings.

use lsp_types::{
    CodeAction, CodeActionKind, CodeActionOrCommand, CodeActionParams, Diagnostic, Range, TextEdit, Uri,
    WorkspaceEdit,
};
use ropey::Rope;
use serde::Deserialize;
use serde_json::Value;

use super::{Offer, lenses};
use crate::{capabilities::Agreed, command::Arguments};

/// What can be done at a place of a document.
pub(crate) fn actions(
    params: &CodeActionParams,
    offers: &[Offer],
    text: &Rope,
    agreed: &Agreed,
) -> Vec<CodeActionOrCommand> {
    let wants = |kind: &CodeActionKind| {
        params.context.only.as_ref().is_none_or(|only| {
            only.iter().any(|wanted| wanted.as_str().is_empty() || kind.as_str().starts_with(wanted.as_str()))
        })
    };
    let mut actions = Vec::new();
    for diagnostic in params.context.diagnostics.iter().filter(|diagnostic| is_ours(diagnostic)) {
        if wants(&CodeActionKind::QUICKFIX) && agreed.action_literals {
            actions.extend(fixes(diagnostic));
        }
        if wants(&CodeActionKind::EMPTY) {
            actions.extend(replay(diagnostic, agreed));
        }
    }
    if wants(&CodeActionKind::EMPTY) {
        let here = offers.iter().filter(|offer| lenses::touches(offer, text, params.range, agreed.encoding));
        actions.extend(here.map(|offer| CodeActionOrCommand::Command(lenses::command(offer, agreed))));
    }
    actions
}

fn is_ours(diagnostic: &Diagnostic) -> bool {
    diagnostic.source.as_deref() == Some("ktl")
}

/// A fix as it travels in the data of a diagnostic.
#[derive(Deserialize)]
struct Fix {
    title: String,
    edits: Vec<Edit>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Edit {
    uri: Uri,
    range: Range,
    new_text: String,
}

fn fixes(diagnostic: &Diagnostic) -> Vec<CodeActionOrCommand> {
    let data = diagnostic.data.as_ref().and_then(|data| data.get("fixes")).cloned().unwrap_or(Value::Null);
    let fixes: Vec<Fix> = serde_json::from_value(data).unwrap_or_default();
    let is_only = fixes.len() == 1;
    fixes
        .into_iter()
        .map(|fix| {
            CodeActionOrCommand::CodeAction(CodeAction {
                title: fix.title,
                kind: Some(CodeActionKind::QUICKFIX),
                diagnostics: Some(vec![diagnostic.clone()]),
                edit: Some(workspace_edit(fix.edits)),
                is_preferred: Some(is_only),
                ..CodeAction::default()
            })
        })
        .collect()
}

#[allow(clippy::mutable_key_type)] // The protocol's own type; its hash does not depend on what is mutable in it.
fn workspace_edit(edits: Vec<Edit>) -> WorkspaceEdit {
    let mut changes = std::collections::HashMap::<Uri, Vec<TextEdit>>::new();
    for edit in edits {
        changes.entry(edit.uri).or_default().push(TextEdit::new(edit.range, edit.new_text));
    }
    WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() }
}

/// The way from a finding of a run to the run.
fn replay(diagnostic: &Diagnostic, agreed: &Agreed) -> Option<CodeActionOrCommand> {
    let session = diagnostic.data.as_ref()?.get("sessionId")?.as_str()?;
    Some(CodeActionOrCommand::Command(lsp_types::Command {
        title: "Replay the run that found this".to_owned(),
        command: agreed.command_id("ktl.openReplay"),
        arguments: Some(Arguments::of_session(session).list()),
    }))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use serde_json::json;

    use super::*;
    use crate::{
        features::{
            lenses::tests::{CONFIG, releases},
            offers,
        },
        runs::Runs,
    };

    fn titles(line: u32, diagnostics: &Value, only: Option<&str>) -> Vec<String> {
        let mut context = json!({ "diagnostics": diagnostics });
        if let Some(only) = only {
            context["only"] = json!([only]);
        }
        let params = serde_json::from_value(json!({
            "textDocument": { "uri": "file:///w/.ktl.yaml" },
            "range": { "start": { "line": line, "character": 0 }, "end": { "line": line, "character": 0 } },
            "context": context,
        }));
        let offers = offers(&releases(), &Runs::default(), UNIX_EPOCH);
        let agreed = Agreed { action_literals: true, ..Agreed::default() };
        actions(&params.unwrap(), &offers, &Rope::from_str(CONFIG), &agreed)
            .into_iter()
            .map(|action| match action {
                CodeActionOrCommand::Command(command) => command.title,
                CodeActionOrCommand::CodeAction(action) => action.title,
            })
            .collect()
    }

    fn diagnostic() -> Value {
        let range = json!({ "start": { "line": 1, "character": 4 }, "end": { "line": 1, "character": 8 } });
        json!([{
            "range": range, "message": "m", "source": "ktl",
            "data": {
                "sessionId": "s1",
                "fixes": [{ "title": "change to web", "edits": [{ "uri": "file:///w/.ktl.yaml", "range": range, "newText": "web" }] }],
            },
        }])
    }

    #[test]
    fn what_a_lens_offers_is_an_action_on_every_line_of_the_entry() {
        assert_eq!(titles(1, &json!([]), None), ["Apply (dev/shop)"]);
        assert_eq!(titles(2, &json!([]), None), ["Apply (dev/shop)"]);
        assert_eq!(titles(0, &json!([]), None), [""; 0]);
    }

    #[test]
    fn a_finding_brings_its_fixes_and_its_run() {
        assert_eq!(titles(0, &diagnostic(), None), ["change to web", "Replay the run that found this"]);
    }

    #[test]
    fn a_client_that_asks_for_fixes_gets_only_fixes() {
        assert_eq!(titles(1, &diagnostic(), Some("quickfix")), ["change to web"]);
        assert_eq!(titles(1, &diagnostic(), Some("refactor")), [""; 0]);
    }
}
