//! Lets the user choose, where the client can ask; silence is no choice.

use std::time::Duration;

use lsp_types::{MessageActionItem, MessageType};
use serde_json::Value;
use tokio::time::timeout;

use super::{Arguments, Command, Desk};
use crate::task;

/// How long a question waits for its answer.
const PATIENCE: Duration = Duration::from_mins(2);
/// More buttons than this help nobody.
const MOST: usize = 8;

impl Desk {
    /// Offers `choices` (arguments of the same command) and carries out the one that is taken.
    pub(super) fn offer(&self, question: &'static str, choices: &[Value], command: fn(Arguments) -> Command) {
        let choices: Vec<(String, Arguments)> = choices.iter().take(MOST).filter_map(titled).collect();
        let desk = self.clone();
        task::spawn("offer", async move {
            if choices.is_empty() || !desk.editor().agreed().message_actions {
                let names: Vec<&str> = choices.iter().map(|(title, _)| title.as_str()).collect();
                let message = format!("{question} {}", names.join(", "));
                return desk.editor().client.show_message(MessageType::WARNING, message).await;
            }
            let items = choices.iter().map(|(title, _)| MessageActionItem {
                title: title.clone(),
                properties: std::collections::HashMap::default(),
            });
            let ask =
                desk.editor().client.show_message_request(MessageType::INFO, question, Some(items.collect()));
            let Ok(Ok(Some(taken))) = timeout(PATIENCE, ask).await else { return };
            let Some((_, arguments)) = choices.into_iter().find(|(title, _)| *title == taken.title) else {
                return;
            };
            if let Err(message) = desk.carry_out(command(arguments), None).await {
                desk.editor().client.show_message(MessageType::ERROR, message).await;
            }
        });
    }
}

/// `web (shop)`, and what to pass on when it is taken.
fn titled(choice: &Value) -> Option<(String, Arguments)> {
    let word = |name: &str| choice.get(name).and_then(Value::as_str).map(str::to_owned);
    let arguments = Arguments {
        release: word("release"),
        workspace: word("workspace"),
        session_id: word("sessionId"),
        ..Arguments::default()
    };
    let name = word("release").or_else(|| word("sessionId"))?;
    let place = word("namespace").or_else(|| word("workspace"));
    Some((place.map_or_else(|| name.clone(), |place| format!("{name} ({place})")), arguments))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_choice_is_shown_with_its_place_and_passed_on_as_arguments() {
        let (title, arguments) =
            titled(&json!({ "release": "web", "workspace": "/w", "namespace": "shop" })).unwrap();
        assert_eq!(title, "web (shop)");
        assert_eq!(arguments, Arguments::of_release("web", std::path::Path::new("/w")));
        assert!(titled(&json!({})).is_none());
    }
}
