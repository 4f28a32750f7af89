//! What runs found, as diagnostics that follow their text.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use lsp_types::{CodeDescription, Diagnostic, NumberOrString, Uri};
use ropey::Rope;
use serde_json::json;

use super::Refresh;
use crate::{
    board::Side,
    capabilities::Agreed,
    convert::{self, Files},
    editor::Editor,
    runs::{Held, Placed, Runs, placed},
    task,
};

/// Shows what runs found, and goes on showing it as runs and texts change.
pub(crate) fn show_runs(editor: Editor, runs: Runs, refresh: Refresh) {
    task::spawn("runs", async move {
        let mut shown: Vec<Uri> = Vec::new();
        let mut lenses_said = Vec::new();
        loop {
            runs.changed().await;
            let newest = runs.newest();
            let lenses_say = said(&newest);
            if lenses_say != lenses_said {
                lenses_said = lenses_say;
                refresh.lenses();
            }
            let work = editor.clone();
            let by_file =
                task::blocking("findings", move || by_file(&work, &newest)).await.unwrap_or_default();
            let gone = shown.iter().filter(|uri| by_file.iter().all(|(shown, _)| shown != *uri));
            for uri in gone {
                editor.board.show(Side::Runs, uri, Vec::new());
            }
            shown = by_file.iter().map(|(uri, _)| uri.clone()).collect();
            for (uri, diagnostics) in by_file {
                editor.board.show(Side::Runs, &uri, diagnostics);
            }
        }
    });
}

/// The diagnostics of all runs, by file.
fn by_file(editor: &Editor, runs: &[Held]) -> Vec<(Uri, Vec<Diagnostic>)> {
    let mut texts = Texts { editor, read: HashMap::new() };
    let mut files: Vec<(Uri, Vec<Diagnostic>)> = Vec::new();
    for held in runs {
        texts.read_all(held.texts.keys());
        let now = |path: &Path| texts.read.get(path).map(|(_, text)| text.to_string());
        for found in placed(held, &now) {
            let Some((uri, diagnostic)) = diagnostic(&found, &texts, editor.agreed()) else { continue };
            match files.iter_mut().find(|(known, _)| *known == uri) {
                Some((_, diagnostics)) => diagnostics.push(diagnostic),
                None => files.push((uri, vec![diagnostic])),
            }
        }
    }
    files
}

/// A finding of a run: a diagnostic that knows its session.
fn diagnostic(placed: &Placed, files: &impl Files, agreed: &Agreed) -> Option<(Uri, Diagnostic)> {
    let (uri, mut diagnostic) = convert::diagnostic(&placed.finding, files, agreed.encoding)?;
    diagnostic.code = Some(NumberOrString::String(placed.code.clone()));
    if let Some(data) = diagnostic.data.as_mut() {
        data["sessionId"] = json!(placed.session);
    }
    if let Some(url) = &placed.url {
        match url.parse() {
            Ok(href) if agreed.code_description => {
                diagnostic.code_description = Some(CodeDescription { href });
            }
            // A client that does not make the code a link shows the message all the same.
            _ => diagnostic.message = format!("{}\n{url}", diagnostic.message),
        }
    }
    Some((uri, diagnostic))
}

/// The files that runs speak of, as the user sees them.
struct Texts<'a> {
    editor: &'a Editor,
    read: HashMap<PathBuf, (Uri, Rope)>,
}

impl Texts<'_> {
    fn read_all<'p>(&mut self, paths: impl Iterator<Item = &'p PathBuf>) {
        for path in paths {
            if !self.read.contains_key(path)
                && let Some(found) = self.look_up(path)
            {
                self.read.insert(path.clone(), found);
            }
        }
    }

    fn look_up(&self, path: &Path) -> Option<(Uri, Rope)> {
        if let Some(open) = self.editor.documents.of_file(path) {
            return Some((open.uri, open.text));
        }
        let text = std::fs::read(path).ok()?;
        Some((Uri::from_file_path(path)?, Rope::from_str(&String::from_utf8_lossy(&text))))
    }
}

impl Files for Texts<'_> {
    fn find(&self, file: &str) -> Option<(Uri, Rope)> {
        self.read.get(Path::new(file)).cloned()
    }
}

/// What lenses say about a session: whether it runs, or may.
type Said = (String, bool, bool);

fn said(newest: &[Held]) -> Vec<Said> {
    let mut said: Vec<Said> = newest
        .iter()
        .map(|held| (held.run.session.clone(), held.run.is_running(), held.run.is_in_doubt()))
        .collect();
    said.sort();
    said
}

#[cfg(test)]
mod tests {
    use ktl_chart::{
        finding::{Confidence, Finding, Place, Severity},
        text::Span,
    };

    use super::*;

    struct One;

    impl Files for One {
        fn find(&self, file: &str) -> Option<(Uri, Rope)> {
            (file == "/w/v.yaml").then(|| ("file:///w/v.yaml".parse().unwrap(), Rope::from_str("a: b\n")))
        }
    }

    fn shown(agreed: &Agreed) -> Diagnostic {
        let place = Place { file: "/w/v.yaml".to_owned(), span: Span::new(3, 4) };
        let finding = Finding {
            place: Some(place),
            confidence: Confidence::Exact,
            ..Finding::unplaced(Severity::Error, "", "no")
        };
        let placed = Placed {
            finding,
            code: "values-syntax".to_owned(),
            session: "s1".to_owned(),
            url: Some("http://127.0.0.1:1/s/s1".to_owned()),
        };
        diagnostic(&placed, &One, agreed).unwrap().1
    }

    #[test]
    fn a_finding_of_a_run_knows_its_session_and_links_to_it() {
        let linked = shown(&Agreed { code_description: true, ..Agreed::default() });
        assert_eq!(linked.code, Some(NumberOrString::String("values-syntax".to_owned())));
        assert_eq!(linked.data.unwrap()["sessionId"], "s1");
        assert_eq!(linked.code_description.unwrap().href.as_str(), "http://127.0.0.1:1/s/s1");
        assert_eq!(linked.message, "no");
    }

    #[test]
    fn a_client_without_links_reads_the_address_in_the_message() {
        let plain = shown(&Agreed::default());
        assert!(plain.code_description.is_none());
        assert_eq!(plain.message, "no\nhttp://127.0.0.1:1/s/s1");
    }
}
