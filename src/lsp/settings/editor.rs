//! What the editor sends: `initializationOptions`, or its answer to `workspace/configuration`.
//!
//! The same names as in `.ktl.yaml`, with or without a `ktl` around them.

use std::path::Path;

use ktl_chart::suggest;
use serde_json::{Map, Value};

use super::{Given, Layer, Mistake, Origin, TokenSource, resolve_path};

/// What the editor's settings say about the agent; relative paths count from the workspace folder.
pub(crate) fn from_editor(settings: &Value, folder: &Path) -> (Layer, Vec<Mistake>) {
    let mut mistakes = Vec::new();
    let settings = settings.get("ktl").unwrap_or(settings);
    let Some(agent) = object(settings, "agent", "ktl.agent", &mut mistakes) else {
        return (Layer::default(), mistakes);
    };
    let mut block = Block { values: agent, path: "ktl.agent", mistakes: &mut mistakes };
    block.know(&["address", "tls", "tokenEnv", "tokenFile", "http", "sharedPaths"]);
    let variable = block.text("tokenEnv").map(|given| given.map(TokenSource::Variable));
    let token_file =
        block.text("tokenFile").map(|given| given.map(|text| TokenSource::File(resolve_path(folder, &text))));
    let mut layer = Layer {
        address: block.text("address"),
        http: block.text("http"),
        token: variable.or(token_file),
        ..Layer::default()
    };
    if let Some(tls) = object(&Value::Object(agent.clone()), "tls", "ktl.agent.tls", &mut mistakes) {
        let mut block = Block { values: tls, path: "ktl.agent.tls", mistakes: &mut mistakes };
        block.know(&["ca", "serverName", "cert", "key", "insecureSkipVerify"]);
        let mut file = |key| block.text(key).map(|given| given.map(|text| resolve_path(folder, &text)));
        (layer.ca, layer.cert, layer.key) = (file("ca"), file("cert"), file("key"));
        layer.server_name = block.text("serverName");
        layer.unverified = block.flag("insecureSkipVerify");
    }
    (layer, mistakes)
}

/// One object of the settings, by name in messages.
struct Block<'a> {
    values: &'a Map<String, Value>,
    path: &'static str,
    mistakes: &'a mut Vec<Mistake>,
}

impl Block<'_> {
    fn text(&mut self, key: &str) -> Option<Given<String>> {
        match self.values.get(key) {
            None | Some(Value::Null) => None,
            // Editors send their defaults, and the default of a text is often an empty one.
            Some(Value::String(text)) if text.is_empty() => None,
            Some(Value::String(text)) => Some(Given::new(text.clone(), &self.name(key))),
            Some(other) => self.wrong(key, "a text", other),
        }
    }

    fn flag(&mut self, key: &str) -> Option<Given<bool>> {
        match self.values.get(key) {
            None | Some(Value::Null) => None,
            Some(Value::Bool(flag)) => Some(Given::new(*flag, &self.name(key))),
            Some(other) => self.wrong(key, "true or false", other),
        }
    }

    fn know(&mut self, keys: &[&str]) {
        for key in self.values.keys().filter(|key| !keys.contains(&key.as_str())) {
            let hint = suggest::nearest(key, keys.iter().copied()).map_or_else(
                || format!("known are {}", keys.join(", ")),
                |near| format!("did you mean {near}?"),
            );
            self.mistakes.push(Mistake {
                message: format!("editor setting {}: unknown; {hint}", self.name(key)),
                place: None,
            });
        }
    }

    fn wrong<T>(&mut self, key: &str, expected: &str, found: &Value) -> Option<T> {
        let origin = Origin { name: format!("editor setting {}", self.name(key)), place: None };
        self.mistakes.push(origin.mistake(format!("expected {expected}, found {found}")));
        None
    }

    fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }
}

fn object<'a>(
    values: &'a Value,
    key: &str,
    path: &str,
    mistakes: &mut Vec<Mistake>,
) -> Option<&'a Map<String, Value>> {
    match values.get(key) {
        None | Some(Value::Null) => None,
        Some(Value::Object(object)) => Some(object),
        Some(other) => {
            let message = format!("editor setting {path}: expected an object, found {other}");
            mistakes.push(Mistake { message, place: None });
            None
        }
    }
}

impl<T> Given<T> {
    fn map<U>(self, change: impl FnOnce(T) -> U) -> Given<U> {
        Given { value: change(self.value), origin: self.origin }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_may_stand_in_a_block_of_their_own() {
        for settings in [
            json!({"ktl": {"agent": {"address": "http://a:1"}}}),
            json!({"agent": {"address": "http://a:1"}}),
        ] {
            let (layer, mistakes) = from_editor(&settings, Path::new("/w"));
            assert!(mistakes.is_empty());
            assert_eq!(layer.address.unwrap().value, "http://a:1");
        }
    }

    #[test]
    fn wrong_types_and_unknown_names_are_told_together() {
        let settings = json!({"agent": {"adress": "x", "http": 3, "tls": {"insecureSkipVerify": "yes"}}});
        let (_, mistakes) = from_editor(&settings, Path::new("/w"));
        let text: Vec<_> = mistakes.iter().map(|mistake| mistake.message.as_str()).collect();
        assert_eq!(text.len(), 3, "{text:?}");
        assert!(text.iter().any(|line| line.contains("did you mean address?")), "{text:?}");
        assert!(
            text.iter().any(|line| line.contains("ktl.agent.tls.insecureSkipVerify: expected true or false"))
        );
    }

    #[test]
    fn nothing_at_all_is_no_mistake() {
        for settings in [json!(null), json!({}), json!([]), json!({"agent": null})] {
            let (layer, mistakes) = from_editor(&settings, Path::new("/w"));
            assert!(layer.address.is_none() && mistakes.is_empty());
        }
    }
}
