//! Work-done progress: created, begun, reported at a human pace, and always ended.
//!
//! One task owns each progress. The handle only says what should be shown; when it is dropped, however that came
//! about, the task ends the progress. A client that shows none gets a message at the start instead.

use std::{future::Future, time::Duration};

use lsp_types::{
    MessageType, ProgressParams, ProgressParamsValue, ProgressToken, WorkDoneProgress, WorkDoneProgressBegin,
    WorkDoneProgressEnd, WorkDoneProgressReport, notification::Progress as ProgressNotification,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_lsp::Client;

use crate::{editor::Editor, task};

/// At most five reports a second.
const PACE: Duration = Duration::from_millis(200);
/// How long a client may think about creating one.
const CREATE_DEADLINE: Duration = Duration::from_secs(5);

/// All progresses of the server, so that they can be ended with it.
#[derive(Clone, Default)]
pub(crate) struct Progresses {
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// One progress; dropping it ends it.
pub(crate) struct Progress {
    said: watch::Sender<Said>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Said {
    doing: String,
    verdict: Option<String>,
}

impl Progress {
    /// What is being done now. Only the last word before each report counts.
    pub(crate) fn doing(&self, doing: String) {
        self.said.send_if_modified(|said| {
            let differs = said.doing != doing;
            said.doing = doing;
            differs
        });
    }

    /// Ends it with a last word.
    pub(crate) fn end(self, verdict: String) {
        self.said.send_modify(|said| said.verdict = Some(verdict));
    }
}

impl Progresses {
    /// Starts one. `given` is a token that the client made itself; otherwise `token` is created first.
    pub(crate) fn start(
        &self,
        editor: &Editor,
        given: Option<ProgressToken>,
        token: ProgressToken,
        title: String,
    ) -> Progress {
        let (said, heard) = watch::channel(Said::default());
        let (client, shows, stop) = (editor.client.clone(), editor.agreed().progress, self.stop.clone());
        let tracked = self.tasks.track_future(async move {
            let token = match given {
                Some(token) => token,
                None if shows && create(&client, &token).await => token,
                None => return client.show_message(MessageType::INFO, title).await,
            };
            send(&client, &token, begin(title)).await;
            let to_client = move |value| {
                let (client, token) = (client.clone(), token.clone());
                async move { send(&client, &token, value).await }
            };
            report(heard, &stop, to_client).await;
        });
        task::spawn("progress", tracked);
        Progress { said }
    }

    /// Ends all of them, and waits until the client was told, but not for long.
    pub(crate) async fn end_all(&self) {
        self.stop.cancel();
        self.tasks.close();
        let _ = timeout(PACE, self.tasks.wait()).await;
    }
}

/// The token that we make for a session.
pub(crate) fn token_of(session: &str) -> ProgressToken {
    ProgressToken::String(format!("ktl/{session}"))
}

/// A client that refuses, or does not answer, shows no progress.
async fn create(client: &Client, token: &ProgressToken) -> bool {
    match timeout(CREATE_DEADLINE, client.create_work_done_progress(token.clone())).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::debug!(%error, "the client refused a progress");
            false
        }
        Err(_) => {
            tracing::warn!("the client did not answer about a progress");
            false
        }
    }
}

/// Reports until the handle is gone, there is a verdict, or the server stops; then ends.
async fn report<Sent: Future<Output = ()>>(
    mut heard: watch::Receiver<Said>,
    stop: &CancellationToken,
    mut send: impl FnMut(WorkDoneProgress) -> Sent,
) {
    let mut next = Instant::now();
    loop {
        let changed = tokio::select! {
            changed = heard.changed() => changed.is_ok(),
            () = stop.cancelled() => false,
        };
        if !changed || heard.borrow().verdict.is_some() {
            break;
        }
        tokio::select! {
            () = sleep_until(next) => {}
            () = stop.cancelled() => break,
            // The end does not wait for the pace of reports.
            _ = heard.wait_for(|said| said.verdict.is_some()) => break,
        }
        next = Instant::now() + PACE;
        let doing = heard.borrow_and_update().doing.clone();
        let report = WorkDoneProgressReport { message: Some(doing), ..WorkDoneProgressReport::default() };
        send(WorkDoneProgress::Report(report)).await;
    }
    let message = heard.borrow().verdict.clone();
    send(WorkDoneProgress::End(WorkDoneProgressEnd { message })).await;
}

/// Never with a percentage: a client that saw one once wants one in each report, and nobody knows it.
fn begin(title: String) -> WorkDoneProgress {
    WorkDoneProgress::Begin(WorkDoneProgressBegin {
        title,
        cancellable: Some(true),
        ..WorkDoneProgressBegin::default()
    })
}

async fn send(client: &Client, token: &ProgressToken, value: WorkDoneProgress) {
    let params = ProgressParams { token: token.clone(), value: ProgressParamsValue::WorkDone(value) };
    client.send_notification::<ProgressNotification>(params).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client is sent for what `work` says.
    async fn sent(work: impl AsyncFnOnce(Progress), stop: &CancellationToken) -> Vec<String> {
        let (said, heard) = watch::channel(Said::default());
        let mut sent = Vec::new();
        let reports = report(heard, stop, |value| {
            sent.push(match value {
                WorkDoneProgress::Begin(_) => "begin".to_owned(),
                WorkDoneProgress::Report(report) => report.message.unwrap_or_default(),
                WorkDoneProgress::End(end) => format!("end: {}", end.message.unwrap_or_default()),
            });
            std::future::ready(())
        });
        tokio::join!(reports, work(Progress { said }));
        sent
    }

    #[tokio::test]
    async fn reports_keep_their_pace_and_the_last_word_counts() {
        let began = Instant::now();
        let sent = sent(
            async |progress| {
                for number in 0..100 {
                    progress.doing(number.to_string());
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                tokio::time::sleep(PACE).await;
                progress.end("done".to_owned());
            },
            &CancellationToken::new(),
        )
        .await;
        let most = usize::try_from(began.elapsed().as_millis() / PACE.as_millis()).unwrap() + 1;
        assert!(sent.len() - 1 <= most, "{most} at most: {sent:?}");
        assert_eq!(sent[sent.len() - 2..], ["99", "end: done"]);
    }

    #[tokio::test]
    async fn a_progress_that_is_dropped_ends() {
        assert_eq!(sent(async |progress| drop(progress), &CancellationToken::new()).await, ["end: "]);
    }

    #[tokio::test]
    async fn a_server_that_stops_ends_what_it_began() {
        let stop = CancellationToken::new();
        let sent = sent(
            async |progress| {
                stop.cancel();
                tokio::time::sleep(Duration::from_millis(20)).await;
                progress.doing("too late".to_owned());
            },
            &stop,
        );
        assert_eq!(sent.await, ["end: "]);
    }
}
