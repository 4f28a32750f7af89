//! Hands messages to the service in the order in which they came.
//!
//! A handler's first step runs before the next message is looked at, so handlers that do their part before their
//! first `.await` are in order by construction. Notifications run that step right here. Requests run it on a worker
//! and get [`HEAD_START`] for it: order in all normal cases, and a handler that blocks its thread delays the others by
//! no more than that.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use serde_json::Value;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::sync::oneshot;
use tower::Service;
use tower_lsp::jsonrpc::{Error, Id, Request, Response, Result};

use super::message::Incoming;
use super::outbox::{Outbox, Outgoing};
use super::phase::Phase;
use super::requests::Requests;
use super::{Ended, Event, parent};
use crate::task;

/// How long the first step of a request may hold up what came after it.
const HEAD_START: Duration = Duration::from_millis(20);
/// How long `exit` waits for the answer to `shutdown`, for clients that do not.
const LAST_ANSWER: Duration = Duration::from_secs(1);

/// The service and what is known about the conversation with its client.
pub(crate) struct Dispatch<S> {
    service: S,
    outbox: Outbox,
    requests: Requests,
    phase: Phase,
    /// Ends when `shutdown` is answered.
    shutdown: Option<oneshot::Receiver<()>>,
    events: Sender<Event>,
}

impl<S> Dispatch<S>
where
    S: Service<Request, Response = Option<Response>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    pub(crate) fn new(service: S, outbox: Outbox, events: Sender<Event>) -> Self {
        let requests = Requests::new(outbox.clone());
        Self { service, outbox, requests, phase: Phase::Fresh, shutdown: None, events }
    }

    /// Serves until `exit`, or until the client is lost.
    pub(crate) async fn run(&mut self, mut inbox: Receiver<Event>) -> Ended {
        while let Some(event) = inbox.recv().await {
            match event {
                Event::Message(Incoming::Notification { method, .. }) if method == "exit" => {
                    if let Some(answered) = self.shutdown.take() {
                        let _ = tokio::time::timeout(LAST_ANSWER, answered).await;
                    }
                    break;
                }
                Event::Message(Incoming::Notification { method, params }) => {
                    self.notification(method, params);
                }
                Event::Message(Incoming::Request { id, method, params }) => {
                    self.request(id, method, params).await;
                }
                // The reader routes answers itself.
                Event::Message(Incoming::Answer(_)) => {}
                Event::Lost(loss) => {
                    tracing::info!(?loss, "the client is gone");
                    break;
                }
            }
        }
        if self.phase == Phase::ShutDown { Ended::AfterShutdown } else { Ended::WithoutShutdown }
    }

    fn notification(&mut self, method: String, params: Option<Value>) {
        if method == "$/cancelRequest" {
            self.cancel(params);
        } else if self.phase.admits_notification() {
            self.start_notification(method, params);
        } else {
            tracing::warn!(method, phase = ?self.phase, "notification dropped");
        }
    }

    /// Runs the first step here; what is left of the handler goes on beside what comes next.
    fn start_notification(&mut self, method: String, params: Option<Value>) {
        let call = self.service.call(request(method.clone(), params).finish());
        let mut handler = Box::pin(AssertUnwindSafe(call).catch_unwind());
        match (&mut handler).now_or_never() {
            None => task::spawn("notification", async move { report(&method, handler.await) }),
            Some(outcome) => report(&method, outcome),
        }
    }

    fn cancel(&mut self, params: Option<Value>) {
        let id = params.and_then(|mut params| serde_json::from_value::<Id>(params["id"].take()).ok());
        let Some(ticket) = id.and_then(|id| self.requests.cancel(&id)) else { return };
        // The client has its answer; this stops the handler at its next await.
        let stop =
            Request::build("$/cancelRequest").params(serde_json::json!({ "id": ticket.id() })).finish();
        let _ = self.service.call(stop).now_or_never();
    }

    async fn request(&mut self, id: Id, method: String, params: Option<Value>) {
        if let Err(error) = self.phase.admit_request(&method) {
            return self.outbox.push(Outgoing::Response(Response::from_error(id, error)));
        }
        let Some(ticket) = self.requests.open(&id) else { return };
        let parent = (method == "initialize").then(|| process_id(params.as_ref())).flatten();
        let call = self.service.call(request(method.clone(), params).id(ticket.id()).finish());
        let handler = AssertUnwindSafe(call).catch_unwind();
        // Nothing else is admitted before its outcome is known.
        if method == "initialize" {
            let body = body_of(&method, handler.await);
            if body.is_ok() {
                self.phase = Phase::Running;
                self.watch(parent);
            }
            return self.requests.answer(&id, ticket, body);
        }
        let (answered, wait_answered) = oneshot::channel();
        if method == "shutdown" {
            self.phase = Phase::ShutDown;
            self.shutdown = Some(wait_answered);
        }
        let requests = self.requests.clone();
        let answer = move |outcome| {
            requests.answer(&id, ticket, body_of(&method, outcome));
            drop(answered);
        };
        start_request(handler, answer).await;
    }

    fn watch(&self, process_id: Option<i64>) {
        let Some(process_id) = process_id else { return };
        if let Err(error) = parent::watch(process_id, self.events.clone()) {
            tracing::warn!(%error, "cannot watch the client's process");
        }
    }
}

/// Spawns a handler and waits for the end of its first step, or of its head start.
async fn start_request<T: Send + 'static>(
    handler: impl Future<Output = T> + Send + 'static,
    answer: impl FnOnce(T) + Send + 'static,
) {
    let (stepped, first_step) = oneshot::channel();
    let mut handler = Box::pin(handler);
    task::spawn("request", async move {
        let first = futures::poll!(&mut handler);
        if let Poll::Ready(outcome) = first {
            answer(outcome);
            let _ = stepped.send(());
        } else {
            let _ = stepped.send(());
            answer(handler.await);
        }
    });
    let _ = tokio::time::timeout(HEAD_START, first_step).await;
}

/// What a handler came to: the service's word, or the panic that ended it.
type Outcome<E> = std::thread::Result<std::result::Result<Option<Response>, E>>;

fn body_of<E>(method: &str, outcome: Outcome<E>) -> Result<Value> {
    match outcome {
        Ok(Ok(Some(response))) => response.into_parts().1,
        // The service is silent about unknown `$/` methods, which is right for notifications only.
        Ok(Ok(None)) => Err(Error::method_not_found()),
        Ok(Err(_)) => Err(Error::invalid_request()),
        Err(panic) => {
            let mut error = Error::internal_error();
            let words = task::panic_words(panic.as_ref());
            tracing::error!(method, panic = words, "handler panicked");
            error.message =
                format!("{method} failed on a bug in ktl-lsp: {words}; the server goes on").into();
            Err(error)
        }
    }
}

fn report<E>(method: &str, outcome: Outcome<E>) {
    if let Err(panic) = outcome {
        tracing::error!(method, panic = task::panic_words(panic.as_ref()), "handler panicked");
    }
}

fn request(method: String, params: Option<Value>) -> tower_lsp::jsonrpc::RequestBuilder {
    let builder = Request::build(method);
    match params {
        Some(params) => builder.params(params),
        None => builder,
    }
}

fn process_id(params: Option<&Value>) -> Option<i64> {
    params?.get("processId")?.as_i64()
}
