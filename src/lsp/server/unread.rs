//! Notifications whose params cannot be read.
//!
//! The router drops such a notification, and nobody answers one, so the user would only see that nothing happens. The
//! log says which it was and why; once for each method, because a client that gets one wrong gets all of them wrong.
//! A change that was dropped costs the document its text, until the whole of it comes again.

use std::collections::HashSet;
use std::task::{Context, Poll};

use lsp_types::Uri;
use lsp_types::notification::{
    DidChangeConfiguration, DidChangeTextDocument, DidChangeWatchedFiles, DidChangeWorkspaceFolders,
    DidCloseTextDocument, DidOpenTextDocument, Initialized, Notification, WorkDoneProgressCancel,
};
use serde::Deserialize;
use serde_json::Value;
use tower::Service;
use tower_lsp::LspService;
use tower_lsp::jsonrpc::Request;

use super::Server;

/// Says why params cannot be read, if they cannot.
type Read = fn(&Value) -> Option<serde_json::Error>;

/// The notifications that the server takes.
const TAKEN: [(&str, Read); 8] = [
    taken::<Initialized>(),
    taken::<DidOpenTextDocument>(),
    taken::<DidChangeTextDocument>(),
    taken::<DidCloseTextDocument>(),
    taken::<DidChangeConfiguration>(),
    taken::<DidChangeWorkspaceFolders>(),
    taken::<DidChangeWatchedFiles>(),
    taken::<WorkDoneProgressCancel>(),
];

/// The service, and a word about what it cannot read.
pub(crate) struct Reading {
    service: LspService<Server>,
    told: HashSet<&'static str>,
}

impl Reading {
    pub(crate) fn new(service: LspService<Server>) -> Self {
        Self { service, told: HashSet::new() }
    }

    /// Says what is wrong with a message, if it is a notification of ours that cannot be read.
    fn look_at(&mut self, message: &Request) {
        let Some((method, why)) = unreadable(message) else { return };
        if method == DidChangeTextDocument::METHOD
            && let Some(uri) = document_of(message.params())
        {
            self.service.inner().misread(&uri, why.clone());
        }
        if self.told.insert(method) {
            tracing::warn!(
                method,
                why,
                "notification ignored: its params are not what the protocol says; another such one is not logged"
            );
        }
    }
}

impl Service<Request> for Reading {
    type Response = <LspService<Server> as Service<Request>>::Response;
    type Error = <LspService<Server> as Service<Request>>::Error;
    type Future = <LspService<Server> as Service<Request>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, message: Request) -> Self::Future {
        self.look_at(&message);
        self.service.call(message)
    }
}

/// The method of a notification of ours that cannot be read, and why it cannot.
fn unreadable(message: &Request) -> Option<(&'static str, String)> {
    if message.id().is_some() {
        return None;
    }
    let (method, read) = TAKEN.into_iter().find(|(method, _)| *method == message.method())?;
    let why = match message.params() {
        Some(params) => read(params)?.to_string(),
        None => "it has no params".to_owned(),
    };
    Some((method, why))
}

fn document_of(params: Option<&Value>) -> Option<Uri> {
    params?.get("textDocument")?.get("uri")?.as_str()?.parse().ok()
}

const fn taken<N: Notification>() -> (&'static str, Read)
where
    N::Params: for<'de> Deserialize<'de>,
{
    (N::METHOD, |params| N::Params::deserialize(params).err())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn notification(method: &'static str, params: Option<Value>) -> Option<(&'static str, String)> {
        let message = Request::build(method);
        let message = match params {
            Some(params) => message.params(params),
            None => message,
        };
        unreadable(&message.finish())
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_reason() {
        let wrong = notification("textDocument/didChange", Some(json!({ "textDocument": 7 })));
        let (method, why) = wrong.unwrap();
        assert!(method == "textDocument/didChange" && why.contains("invalid type"), "{why}");
        let absent = notification("textDocument/didClose", None);
        assert_eq!(absent, Some(("textDocument/didClose", "it has no params".to_owned())));
    }

    #[test]
    fn what_can_be_read_or_is_not_ours_is_left_alone() {
        for (method, params) in [
            ("window/workDoneProgress/cancel", Some(json!({ "token": 7 }))),
            ("initialized", Some(json!({}))),
            ("$/setTrace", None),
            ("no/such/method", None),
        ] {
            assert_eq!(notification(method, params), None, "{method}");
        }
        let answered = Request::build("textDocument/didChange").params(json!({})).id(1).finish();
        assert_eq!(unreadable(&answered), None, "a request is answered");
    }
}
