//! The client's requests that wait for an answer, so that each one gets exactly one.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tower_lsp::jsonrpc::{Error, Id, Response, Result};

use super::outbox::{Outbox, Outgoing};

/// The number under which the service knows a request. Ours and never used twice, so a handler that panicked
/// cannot leave the client's own id blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Ticket(i32);

impl Ticket {
    pub(crate) fn id(self) -> Id {
        Id::Number(self.0.into())
    }
}

/// A handle to the open requests; clones share them.
#[derive(Clone)]
pub(crate) struct Requests {
    open: Arc<Mutex<Open>>,
    outbox: Outbox,
}

#[derive(Default)]
struct Open {
    tickets: HashMap<Id, Ticket>,
    last: i32,
}

impl Requests {
    pub(crate) fn new(outbox: Outbox) -> Self {
        Self { open: Arc::default(), outbox }
    }

    /// Takes a request in; `None`, and an error to the client, when its id still waits for an answer.
    pub(crate) fn open(&self, id: &Id) -> Option<Ticket> {
        let mut open = self.lock();
        let ticket = Ticket(open.last.wrapping_add(1));
        if let Entry::Vacant(entry) = open.tickets.entry(id.clone()) {
            entry.insert(ticket);
            open.last = ticket.0;
            return Some(ticket);
        }
        drop(open);
        let mut error = Error::invalid_request();
        error.message = format!("the id {id} is still in use by an unanswered request").into();
        self.outbox.push(Outgoing::Response(Response::from_error(id.clone(), error)));
        None
    }

    /// Answers a request, unless it was answered already.
    pub(crate) fn answer(&self, id: &Id, ticket: Ticket, body: Result<Value>) {
        let mut open = self.lock();
        if open.tickets.get(id) == Some(&ticket) {
            open.tickets.remove(id);
            drop(open);
            self.outbox.push(Outgoing::Response(Response::from_parts(id.clone(), body)));
        }
    }

    /// Answers a request with "cancelled" at once, whatever its handler is doing, and says which one to stop.
    pub(crate) fn cancel(&self, id: &Id) -> Option<Ticket> {
        let ticket = self.lock().tickets.get(id).copied()?;
        self.answer(id, ticket, Err(Error::request_cancelled()));
        Some(ticket)
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(outbox: &Outbox) -> Vec<(Id, Option<i64>)> {
        outbox.close();
        std::iter::from_fn(|| outbox.next())
            .map(|message| {
                let Outgoing::Response(response) = message else { panic!("only answers are expected") };
                (response.id().clone(), response.error().map(|error| error.code.code()))
            })
            .collect()
    }

    #[test]
    fn a_request_is_answered_once() {
        let outbox = Outbox::default();
        let requests = Requests::new(outbox.clone());
        let id = Id::from("a");
        let ticket = requests.open(&id).unwrap();
        requests.answer(&id, ticket, Ok(Value::Null));
        requests.answer(&id, ticket, Ok(Value::Null));
        assert_eq!(requests.cancel(&id), None);
        assert_eq!(answers(&outbox), [(id, None)]);
    }

    #[test]
    fn a_cancelled_request_is_answered_at_once_and_its_result_is_dropped() {
        let outbox = Outbox::default();
        let requests = Requests::new(outbox.clone());
        let id = Id::from(1);
        let ticket = requests.open(&id).unwrap();
        assert_eq!(requests.cancel(&id), Some(ticket));
        // The id is free again, and the late result of the first request must not answer the second.
        let second = requests.open(&id).unwrap();
        requests.answer(&id, ticket, Ok(Value::Null));
        requests.answer(&id, second, Ok(Value::Null));
        assert_eq!(answers(&outbox), [(id.clone(), Some(-32800)), (id, None)]);
    }

    #[test]
    fn an_id_in_use_is_refused() {
        let outbox = Outbox::default();
        let requests = Requests::new(outbox.clone());
        let id = Id::from(1);
        assert!(requests.open(&id).is_some());
        assert!(requests.open(&id).is_none());
        assert_eq!(answers(&outbox), [(id, Some(-32600))]);
    }
}
