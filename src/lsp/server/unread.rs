//! Notifications whose params cannot be read.
//!
//! The router drops such a notification, and nobody answers one, so the user would only see that nothing happens. The
//! log says which it was and why; once for each method, because a client that gets one wrong gets all of them wrong.

use std::collections::HashSet;
use std::task::{Context, Poll};

use lsp_types::notification::{
    DidChangeConfiguration, DidChangeTextDocument, DidChangeWatchedFiles, DidChangeWorkspaceFolders,
    DidCloseTextDocument, DidOpenTextDocument, Initialized, Notification, WorkDoneProgressCancel,
};
use serde::Deserialize;
use serde_json::Value;
use tower::Service;
use tower_lsp::jsonrpc::Request;

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

/// A service that says what it cannot read.
pub(crate) struct Reading<S> {
    service: S,
    told: HashSet<&'static str>,
}

impl<S> Reading<S> {
    pub(crate) fn new(service: S) -> Self {
        Self { service, told: HashSet::new() }
    }

    /// What to log about a message, if there is something to say that was not said before.
    fn complaint(&mut self, request: &Request) -> Option<(&'static str, String)> {
        if request.id().is_some() {
            return None;
        }
        let (method, read) = TAKEN.into_iter().find(|(method, _)| *method == request.method())?;
        let error = match request.params() {
            Some(params) => read(params)?.to_string(),
            None => "it has no params".to_owned(),
        };
        self.told.insert(method).then_some((method, error))
    }
}

impl<S: Service<Request>> Service<Request> for Reading<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if let Some((method, error)) = self.complaint(&request) {
            tracing::warn!(
                method,
                error,
                "notification ignored: its params are not what the protocol says; another such one is not logged"
            );
        }
        self.service.call(request)
    }
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

    fn complaints(messages: &[(&'static str, Option<Value>)]) -> Vec<(&'static str, String)> {
        let mut reading = Reading::new(());
        let request = |(method, params): &(&'static str, Option<Value>)| match params {
            Some(params) => Request::build(*method).params(params.clone()).finish(),
            None => Request::build(*method).finish(),
        };
        messages.iter().filter_map(|message| reading.complaint(&request(message))).collect()
    }

    #[test]
    fn what_cannot_be_read_is_named_once_with_its_reason() {
        let wrong = ("textDocument/didChange", Some(json!({ "textDocument": 7 })));
        let absent = ("textDocument/didClose", None);
        let told = complaints(&[wrong.clone(), wrong, absent]);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].0 == "textDocument/didChange" && told[0].1.contains("invalid type"), "{told:?}");
        assert_eq!(told[1], ("textDocument/didClose", "it has no params".to_owned()));
    }

    #[test]
    fn what_can_be_read_or_is_not_ours_is_no_complaint() {
        let token = ("window/workDoneProgress/cancel", Some(json!({ "token": 7 })));
        let others = [("initialized", Some(json!({}))), ("$/setTrace", None), ("no/such/method", None)];
        assert_eq!(complaints(&[&[token], &others[..]].concat()), []);
        let mut reading = Reading::new(());
        let request = Request::build("textDocument/didChange").params(json!({})).id(1).finish();
        assert_eq!(reading.complaint(&request), None, "a request is answered");
    }
}
