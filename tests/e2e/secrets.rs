//! No secret gets out: not into the journal, a log, a stream, an export or the editor.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use serde_json::json;

use crate::story::{Story, apply, verdict};
use crate::terminal::run;

#[test]
fn secrets_of_an_apply_are_nowhere_but_in_the_cluster() {
    let Some(story) = Story::begin("secrets", &["web", "secrets"]) else { return };
    let kubeconfig = fs::read_to_string(story.kubeconfig()).unwrap();
    let token = kubeconfig.split("token\": \"").nth(1).and_then(|rest| rest.split('"').next());
    let token = token.expect("the test cluster's kubeconfig has a token").to_owned();
    let mut canaries = vec!["canary-values-8b17f0".to_owned(), "canary-set-2d9e41".to_owned(), token];
    for canary in canaries.clone() {
        canaries.push(base64::engine::general_purpose::STANDARD.encode(canary));
    }

    let mut editor = story.editor();
    let started = apply(&mut editor, json!({ "release": "web" }));
    let end = verdict(&mut editor, &started);
    assert!(end.contains("done"), "{end}");
    let said: Vec<String> =
        ["window/logMessage", "window/showMessage", "$/progress", "textDocument/publishDiagnostics"]
            .iter()
            .flat_map(|method| editor.take_all(method))
            .map(|message| message.to_string())
            .collect();
    assert!(said.iter().any(|message| message.contains("The password is")), "helm's notes arrive: {said:#?}");

    let agent = story.agent();
    let api = format!("/api/v1/sessions/{}", started.session);
    let mut texts: Vec<(String, Vec<u8>)> = said
        .into_iter()
        .map(|message| ("what the editor was told".to_owned(), message.into_bytes()))
        .collect();
    for path in [api.clone(), format!("{api}/events"), format!("{api}/export"), "/api/v1/sessions".to_owned()]
    {
        let response = agent.get(&path);
        assert_eq!(response.status, 200, "{response:?}");
        texts.push((path, response.body.into_bytes()));
    }
    let terminal = run(&story, &["attach", &started.session]);
    texts.push(("the terminal".to_owned(), format!("{}{}", terminal.stdout, terminal.stderr).into_bytes()));
    editor.quit();

    let kept = files(&story.state());
    assert!(kept.iter().any(|path| path.extension().is_some_and(|kind| kind == "db")), "{kept:?}");
    texts.extend(
        kept.into_iter().map(|path| (path.display().to_string(), fs::read(&path).unwrap_or_default())),
    );
    for (place, text) in &texts {
        for canary in &canaries {
            assert!(!contains(text, canary.as_bytes()), "{canary} is in {place}: {}", around(text, canary));
        }
    }
}

fn contains(text: &[u8], words: &[u8]) -> bool {
    text.windows(words.len()).any(|window| window == words)
}

fn around(text: &[u8], words: &str) -> String {
    let text = String::from_utf8_lossy(text);
    let at = text.find(words).unwrap_or_default();
    text[..at].chars().rev().take(80).collect::<String>().chars().rev().collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(listing) = fs::read_dir(folder) else { return Vec::new() };
    let entries = listing.flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
