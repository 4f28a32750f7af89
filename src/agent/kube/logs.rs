//! What a container said last.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, api::LogParams};
use tokio::time::timeout;

/// The most lines that are told.
const LINES: usize = 20;
/// The most bytes that are told.
const BYTES: usize = 4 << 10;
/// The most bytes that are read: the API counts from the first of the last lines, we from the last.
const READ: i64 = 64 << 10;
/// How long the cluster may take: the pod may be on a node that is away.
const PATIENCE: Duration = Duration::from_secs(5);

/// One life of one container.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Life {
    /// Where its pod is.
    pub namespace: String,
    /// Its pod.
    pub pod: String,
    /// Its name.
    pub container: String,
    /// How often it was started again before.
    pub restarts: i32,
    /// Whether the next life has begun, or is waited for.
    pub is_over: bool,
}

/// The answer to a question for last words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LastWords {
    /// These lines, without control characters; none when it said nothing.
    Said(Vec<String>),
    /// This user may not read logs there.
    Denied,
    /// The cluster did not tell, or not in time.
    Unknown,
}

/// Asks once for what a container said last.
pub async fn last_words(client: &Client, life: &Life) -> LastWords {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &life.namespace);
    let asked = LogParams {
        container: Some(life.container.clone()),
        previous: life.is_over,
        tail_lines: i64::try_from(LINES).ok(),
        limit_bytes: Some(READ),
        ..LogParams::default()
    };
    match timeout(PATIENCE, pods.logs(&life.pod, &asked)).await {
        Ok(Ok(text)) => LastWords::Said(last_lines(&text)),
        Ok(Err(kube::Error::Api(status))) if status.code == 403 => LastWords::Denied,
        Ok(Err(error)) => {
            tracing::debug!(%error, pod = life.pod, "no last words of a container");
            LastWords::Unknown
        }
        Err(_) => LastWords::Unknown,
    }
}

/// The last lines, as many as the bounds allow; of a single line that is too long, its end.
fn last_lines(text: &str) -> Vec<String> {
    let start = text.ceil_char_boundary(text.len().saturating_sub(BYTES));
    let lines: Vec<String> = text[start..].lines().map(plain).collect();
    // The first of them may have been cut.
    let cut = usize::from(start > 0 && lines.len() > 1 && !text[..start].ends_with('\n'));
    lines.into_iter().skip(cut).rev().take(LINES).rev().collect()
}

/// A line without colors and other control characters.
fn plain(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' && rest.next_if_eq(&'[').is_some() {
            // A control sequence ends with its first letter or sign from `@` on.
            while rest.next().is_some_and(|c| !('@'..='~').contains(&c)) {}
        } else if c == '\t' || !c.is_control() {
            plain.push(c);
        }
    }
    plain.truncate(plain.trim_end().len());
    plain
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use axum::{Router, extract::RawQuery, http::StatusCode, response::IntoResponse, routing::get};

    use super::*;
    use crate::{clusters::Target, kube::connect};

    #[test]
    fn only_the_last_lines_are_told_and_only_so_much_of_them() {
        let many: Vec<String> = (0..100).map(|number| format!("line {number}\n")).collect();
        let told = last_lines(&many.concat());
        assert_eq!((told.len(), told[0].as_str(), told[19].as_str()), (20, "line 80", "line 99"));
        let long = format!("{}\n{}\nend\n", "a".repeat(BYTES), "ü".repeat(100));
        assert_eq!(last_lines(&long), ["ü".repeat(100), "end".to_owned()]);
        let one = "ü".repeat(BYTES);
        assert_eq!(last_lines(&one).concat().len(), BYTES);
        assert!(last_lines("").is_empty());
    }

    #[test]
    fn colors_and_control_characters_are_left_out() {
        assert_eq!(last_lines("\u{1b}[31;1mpanic\u{1b}[0m:\ta\u{7}\r\n"), ["panic:\ta"]);
    }

    async fn cluster(home: &Path) -> Client {
        let answer = |query: RawQuery| async move {
            match query.0.unwrap_or_default() {
                asked if asked.contains("container=secret") => {
                    let status = serde_json::json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403, "message": "no", "reason": "Forbidden" });
                    (StatusCode::FORBIDDEN, status.to_string()).into_response()
                }
                asked => format!("{asked}\n").into_response(),
            }
        };
        let router = Router::new().route("/api/v1/namespaces/shop/pods/web-1/log", get(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let path = home.join("config");
        let config = format!(
            "clusters: [{{ name: c, cluster: {{ server: 'http://{address}' }} }}]\ncontexts: [{{ name: a, context: {{ cluster: c }} }}]\n"
        );
        std::fs::write(&path, config).unwrap();
        let (kubeconfig, context) = (vec![path], Some("a".to_owned()));
        connect(&Target { name: "x".into(), kubeconfig, context, namespace: "n".into() }).await.unwrap()
    }

    #[tokio::test]
    async fn the_life_that_is_over_is_asked_for_within_bounds() {
        let home = tempfile::tempdir().unwrap();
        let client = cluster(home.path()).await;
        let life = |container: &str, pod: &str| Life {
            namespace: "shop".into(),
            pod: pod.into(),
            container: container.into(),
            restarts: 2,
            is_over: true,
        };
        let LastWords::Said(asked) = last_words(&client, &life("app", "web-1")).await else {
            panic!("nothing")
        };
        for part in ["container=app", "previous=true", "tailLines=20", "limitBytes=65536"] {
            assert!(asked[0].contains(part), "{asked:?}");
        }
        assert_eq!(last_words(&client, &life("secret", "web-1")).await, LastWords::Denied);
        assert_eq!(last_words(&client, &life("app", "gone")).await, LastWords::Unknown);
    }
}
