//! The last words of the containers that crashed, each asked for once.

use std::collections::HashSet;

use futures::future::join_all;
use kube::Client;

use super::Cause;
use crate::kube::logs::{LastWords, Life, last_words};

/// The way to the logs of one release.
pub struct Logs {
    client: Client,
    asked: HashSet<Life>,
    has_told_denial: bool,
}

/// What an asking gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The lines of each container that said something.
    pub lines: Vec<(Life, Vec<String>)>,
    /// The namespace in which logs may not be read, the first time.
    pub denied: Option<String>,
}

impl Logs {
    /// Nothing was asked yet.
    pub fn new(client: Client) -> Self {
        Self { client, asked: HashSet::new(), has_told_denial: false }
    }

    /// Asks for the last words behind these causes, all at once, and adds them to their messages. Takes no longer than
    /// one question does.
    pub async fn ask(&mut self, causes: &mut [Cause]) -> Said {
        let new: Vec<(usize, Life)> = causes
            .iter()
            .enumerate()
            .filter_map(|(index, cause)| Some((index, cause.crashed.clone()?)))
            .filter(|(_, life)| self.asked.insert(life.clone()))
            .collect();
        let client = &self.client;
        let words = join_all(new.iter().map(|(_, life)| last_words(client, life))).await;
        let mut said = Said::default();
        for ((index, life), words) in new.into_iter().zip(words) {
            match words {
                LastWords::Said(lines) if lines.is_empty() => {}
                LastWords::Said(lines) => {
                    causes[index].add_last_words(&lines);
                    said.lines.push((life, lines));
                }
                LastWords::Denied if !std::mem::replace(&mut self.has_told_denial, true) => {
                    said.denied = Some(life.namespace);
                }
                LastWords::Denied | LastWords::Unknown => {}
            }
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use axum::http::{Request, Response, StatusCode};
    use kube::client::Body;

    use super::*;
    use crate::{frame::ObjectRef, kube::readiness::Health};

    /// A cluster that answers each request with this, and how many it has answered.
    fn cluster(code: StatusCode, body: &'static str) -> (Client, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let answer = move |_: Request<Body>| {
            counted.fetch_add(1, Ordering::Relaxed);
            let mut response = Response::new(Body::from(body.as_bytes().to_vec()));
            *response.status_mut() = code;
            async { Ok::<_, Infallible>(response) }
        };
        (Client::new(tower::service_fn(answer), "shop"), count)
    }

    fn crash(container: &str, restarts: i32) -> Cause {
        let (namespace, pod, container) = ("shop".to_owned(), "web-1".to_owned(), container.to_owned());
        let crashed = Some(Life { namespace, pod, container, restarts, is_over: true });
        Cause { crashed, ..Cause::of_silence(&ObjectRef::default(), &Health::awaited(), 1) }
    }

    #[tokio::test]
    async fn each_life_is_asked_once_for_its_last_words() {
        let (client, count) = cluster(StatusCode::OK, "panic: no\n");
        let mut logs = Logs::new(client);
        let mut causes = [crash("app", 1), crash("side", 1), Cause { crashed: None, ..crash("app", 1) }];
        let said = logs.ask(&mut causes).await;
        assert_eq!((said.lines.len(), count.load(Ordering::Relaxed)), (2, 2));
        assert!(causes[0].message.ends_with("\n  panic: no") && !causes[2].message.contains("panic"));
        assert_eq!(logs.ask(&mut [crash("app", 1)]).await, Said::default());
        logs.ask(&mut [crash("app", 2)]).await;
        assert_eq!(count.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn that_logs_may_not_be_read_is_said_once() {
        let status = r#"{"kind":"Status","status":"Failure","code":403,"reason":"Forbidden","message":"no"}"#;
        let mut logs = Logs::new(cluster(StatusCode::FORBIDDEN, status).0);
        let mut causes = [crash("app", 1), crash("side", 1)];
        assert_eq!(logs.ask(&mut causes).await.denied.as_deref(), Some("shop"));
        assert_eq!(logs.ask(&mut [crash("app", 2)]).await, Said::default());
        assert_eq!(causes[0].message, crash("app", 1).message);
    }
}
